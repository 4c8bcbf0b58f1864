"""A cache that cannot grow without end."""

from hubgate.bounded import ENTRY, ByteCache, keep


def test_it_holds_no_more_than_it_may() -> None:
    cache: dict[int, str] = {}
    for number in range(1000):
        keep(cache, number, str(number), most=3)
        assert cache[number] == str(number)
        assert 0 < len(cache) <= 3


def test_it_holds_no_more_bytes_than_it_may() -> None:
    cache: ByteCache[int, bytes] = ByteCache(10 * ENTRY)
    for number in range(1000):
        size = number % 300
        cache.keep(number, bytes(size), size)
        assert number in cache
        assert cache.held == sum(len(value) + ENTRY for value in cache.values()) <= cache.most


def test_it_keeps_nothing_that_is_larger_than_all_of_it() -> None:
    cache: ByteCache[int, bytes] = ByteCache(10 * ENTRY)
    cache.keep(1, b"", 0)
    cache.keep(2, bytes(10 * ENTRY), 10 * ENTRY)
    assert [*cache] == [1]
    cache.clear()
    assert (cache.held, len(cache)) == (0, 0)
