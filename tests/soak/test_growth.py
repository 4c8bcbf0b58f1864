"""What counts as growth in a soak."""

from collections.abc import Callable

import pytest

from tests.soak.bystander import p99, split
from tests.soak.growth import Look, Use, grown, is_back


def looks(seconds: float, memory: Callable[[float], float], descriptors: float = 100) -> list[Look]:
    times = [2.0 * number for number in range(int(seconds) // 2)]
    return [Look(after, Use(memory(after), descriptors)) for after in times]


@pytest.mark.parametrize(
    ("seconds", "grows", "after", "wrong"),
    [
        # From the fifth minute on 5 % are too much; before, everything may grow.
        (3600, 1.06, 3000, True),
        (3600, 1.06, 3480, True),
        (3600, 1.04, 3000, False),
        (3600, 1.50, 200, False),
        (600, 1.06, 500, True),
        # A short run is held to 10 %.
        (80, 1.06, 70, False),
        (80, 1.12, 60, True),
        (80, 1.50, 15, False),
    ],
)
def test_what_grows(seconds: float, grows: float, after: float, wrong: bool) -> None:
    found = grown(looks(seconds, lambda now: 1000 * (grows if now >= after else 1)), seconds)
    assert bool(found) is wrong


def test_one_moment_is_chance() -> None:
    assert not grown(looks(900, lambda now: 1500 if now == 600 else 1000), 900)


def test_descriptors_may_not_grow_either() -> None:
    early, late = looks(600, lambda _: 1000), looks(600, lambda _: 1000, 120)
    (line,) = grown(early[:200] + late[200:], 600)
    assert line.startswith("descriptors")


def test_what_must_be_back_when_all_have_left() -> None:
    before = Use(1000, 50)
    assert is_back(before, Use(1090, 50))
    assert not is_back(before, Use(1110, 50))
    assert not is_back(before, Use(1000, 51))


def test_what_the_bystander_saw_is_split_at_each_change() -> None:
    taken = [(float(now), now / 10) for now in range(9)]
    assert split(taken, [3, 6]) == ([0, 0.1, 0.2, 0.6, 0.7, 0.8], [0.3, 0.4, 0.5])
    assert split(taken, []) == ([now / 10 for now in range(9)], [])


def test_one_in_a_hundred_may_take_longer() -> None:
    assert p99([0.1] * 99 + [5.0] * 1) == 5.0
    assert p99([0.1] * 199 + [5.0] * 1) == 0.1
    assert p99([]) == 0
