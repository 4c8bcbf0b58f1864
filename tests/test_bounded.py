"""A cache that cannot grow without end."""

from hubgate.bounded import keep


def test_it_holds_no_more_than_it_may() -> None:
    cache: dict[int, str] = {}
    for number in range(1000):
        keep(cache, number, str(number), most=3)
        assert cache[number] == str(number)
        assert 0 < len(cache) <= 3
