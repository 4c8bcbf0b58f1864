"""Which of several states of the shared table is the one to go on with."""

import pytest

from hubgate.store.redis.history import (
    Meta,
    Point,
    Step,
    continued,
    kept_up_to,
    lineage_of,
    lineage_text,
    next_history,
    point_of,
    winner,
)

FIRST, SECOND, THIRD = "1-a", "2-b", "3-c"


def test_a_history_has_a_number_and_a_name() -> None:
    name = next_history(4)
    assert point_of(name, 7) == Point(5, 7, name.partition("-")[2])
    assert next_history(4) != name


@pytest.mark.parametrize(
    ("claims", "stored", "best"),
    [
        ({}, None, ""),
        ({"a": Point(1, 5, "x")}, None, "a"),
        ({"a": Point(1, 5, "x"), "b": Point(1, 6, "x")}, Point(1, 4, "x"), "b"),
        ({"a": Point(1, 5, "x")}, Point(1, 5, "x"), ""),
        ({"a": Point(1, 500, "x")}, Point(2, 3, "y"), ""),
        ({"a": Point(1, 500, "x"), "b": Point(2, 4, "y")}, Point(2, 3, "y"), "b"),
        ({"a": Point(1, 5, "x"), "b": Point(1, 5, "x")}, None, "b"),
    ],
)
def test_the_highest_revision_of_the_newest_history_goes_on(
    claims: dict[str, Point], stored: Point | None, best: str
) -> None:
    assert winner(claims, stored) == best


def test_a_lineage_is_read_as_it_is_written() -> None:
    lineage = continued((), "", 0, FIRST)
    lineage = continued(lineage, FIRST, 40, SECOND)
    assert lineage_of(lineage_text(lineage)) == lineage
    assert lineage[-1] == Step(2, SECOND, FIRST, 40)
    assert lineage_of("") == ()


def test_what_another_history_has_kept_of_ours_is_known_by_its_lineage() -> None:
    first = continued((), "", 0, FIRST)
    second = continued(first, FIRST, 40, SECOND)
    third = continued(second, SECOND, 55, THIRD)
    assert kept_up_to(FIRST, first, second) == 40
    assert kept_up_to(SECOND, second, third) == 55
    # What went on from an older revision has lost what came after that.
    assert kept_up_to(FIRST, first, continued(first, FIRST, 12, SECOND)) == 12
    # Two that parted: up to where they parted.
    sibling = continued(first, FIRST, 30, THIRD)
    assert kept_up_to(SECOND, second, sibling) == 30
    assert kept_up_to("9-z", (), third) is None


@pytest.mark.parametrize(
    ("history", "run", "revision", "whole", "goes_on"),
    [
        (FIRST, "run", 7, True, True),
        (FIRST, "run", 5, True, True),
        (FIRST, "run", 4, True, False),
        (FIRST, "another", 7, True, False),
        (SECOND, "run", 7, True, False),
        (FIRST, "run", 7, False, False),
    ],
)
def test_a_history_goes_on_where_nothing_of_it_is_lost(
    history: str, run: str, revision: int, whole: bool, goes_on: bool
) -> None:
    assert Meta(history, "run", run, revision, whole).continues(FIRST, 5) is goes_on
