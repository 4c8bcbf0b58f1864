"""A dict that cannot grow without end."""

from hubgate.bounded import BoundedDict


def test_it_holds_no_more_than_it_may() -> None:
    kept: BoundedDict[int, str] = BoundedDict(3)
    for number in range(1000):
        kept[number] = str(number)
        assert kept[number] == str(number)
        assert 0 < len(kept) <= 3


def test_what_is_assigned_again_empties_nothing() -> None:
    kept: BoundedDict[str, int] = BoundedDict(2)
    kept["a"], kept["b"] = 1, 2
    kept["a"] = 3
    assert kept == {"a": 3, "b": 2}
