"""The log of changes: revisions, what came after one, and what is no longer known."""

import asyncio

import pytest

from hubgate.control.routes.change_log import ChangeLog, MissedError, Revision
from hubgate.model import Route

A, B = Route("/a", "http://127.0.0.1:1"), Route("/b", "http://127.0.0.1:1")


def test_a_revision_is_read_as_it_is_written() -> None:
    revision = ChangeLog().revision
    assert Revision.parsed(str(revision)) == revision


@pytest.mark.parametrize(
    "text", ["", ".", "a", "a.", ".1", "a.b", "a.-1", "a.1.x", "a." + "9" * 30]
)
def test_what_is_no_revision_is_none(text: str) -> None:
    assert Revision.parsed(text) is None


def test_no_two_tables_have_the_same_revision() -> None:
    assert ChangeLog().revision != ChangeLog().revision


def test_changes_after_a_revision_come_in_order() -> None:
    log = ChangeLog()
    begun = log.revision
    log.note([A], [])
    middle = log.revision
    log.note([B], ["/a"])
    assert [(each.put, each.delete) for each in log.after(begun)] == [((A,), ()), ((B,), ("/a",))]
    assert [each.revision for each in log.after(middle)] == [log.revision]
    assert log.after(log.revision) == []


def test_only_the_latest_changes_are_kept() -> None:
    log = ChangeLog(kept=4)
    revisions = [log.revision]
    for _ in range(4):
        log.note([A], ["/b"])
        revisions.append(log.revision)
    assert len(log.after(revisions[2])) == 2
    with pytest.raises(MissedError) as missed:
        log.after(revisions[1])
    assert missed.value.too_slow


def test_of_a_large_change_only_that_it_happened_is_known() -> None:
    log = ChangeLog()
    before = log.revision
    log.note_large()
    large = log.revision
    log.note([A], [])
    with pytest.raises(MissedError) as missed:
        log.after(before)
    assert not missed.value.too_slow
    assert len(log.after(large)) == 1


def test_another_history_and_the_future_are_not_known() -> None:
    log = ChangeLog()
    for unknown in (ChangeLog().revision, Revision(log.revision.history, 1)):
        with pytest.raises(MissedError):
            log.after(unknown)


def test_a_shared_store_has_numbers_of_its_own() -> None:
    log = ChangeLog()
    log.begin("of-the-store", 41)
    log.note([A], [], 45)
    assert str(log.revision) == "of-the-store.45"
    assert len(log.after(Revision("of-the-store", 41))) == 1


async def test_who_waits_is_woken_by_a_change_and_by_the_end() -> None:
    log = ChangeLog()
    for act in (lambda: log.note([A], []), log.close):
        waiting = asyncio.ensure_future(log.wait(log.revision, 60))  # noqa: TID251
        await asyncio.sleep(0)
        act()
        await asyncio.wait_for(waiting, 5)
    await asyncio.wait_for(log.wait(log.revision, 60), 5)  # closed: nobody waits any more
