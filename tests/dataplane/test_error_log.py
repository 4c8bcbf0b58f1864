"""One log line a second of each kind."""

from hubgate.dataplane.error_log import Sampler


def test_the_first_of_each_kind_is_admitted() -> None:
    sampler = Sampler()

    assert sampler.admit("a", 100.0) == 0
    assert sampler.admit("b", 100.0) == 0


def test_what_follows_within_a_second_is_counted_for_the_next_line() -> None:
    sampler = Sampler()
    sampler.admit("a", 100.0)
    for place in range(5):
        assert sampler.admit("a", 100.1 + place / 10) is None

    assert sampler.admit("a", 101.0) == 5
    assert sampler.admit("a", 101.5) is None
    assert sampler.admit("a", 200.0) == 1
    assert sampler.admit("a", 300.0) == 0


def test_kinds_without_end_take_no_memory_without_end() -> None:
    sampler = Sampler()
    for number in range(10000):
        assert sampler.admit(number, 100.0) == 0

    assert len(sampler._seen) <= 1024
