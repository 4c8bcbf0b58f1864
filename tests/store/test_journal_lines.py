"""A journal says what was written to it, however it was cut off, and notices any other harm."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubgate.errors import StoreError
from hubgate.model import Route, RouteOptions
from hubgate.store.journal_lines import (
    HEADER,
    Kept,
    activity_line,
    delete_line,
    put_line,
    read_journal,
    together,
)

KEYS = st.sampled_from(["/", "/user/alice", "/user/bob@lab", "/\u00fc\ud800\n", "hub.example.org/"])
ROUTES = st.builds(
    lambda key, target, data, strip, headers: Route(
        key, target, {**data, "target": target}, RouteOptions(strip, tuple(headers))
    ),
    KEYS,
    st.text(),
    st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text()),
    st.booleans(),
    st.lists(st.tuples(st.text(), st.text()), max_size=2),
)
CHANGES = st.lists(ROUTES | KEYS | st.dictionaries(KEYS, st.floats(0, 2e9), max_size=3), max_size=8)


A, B, C = (Route(key, "http://h", {"target": "http://h"}) for key in ("/a", "/b", "/c"))


def line(change: Route | str | dict[str, float]) -> bytes:
    if isinstance(change, Route):
        return put_line(change)
    return delete_line(change) if isinstance(change, str) else activity_line(change)


def expected(changes: Sequence[Route | str | dict[str, float]]) -> Kept:
    kept = Kept()
    for change in changes:
        if isinstance(change, Route):
            kept.routes[change.key] = change
        elif isinstance(change, str):
            kept.routes.pop(change, None)
            kept.activity.pop(change, None)
        else:
            kept.activity.update(change)
    kept.activity = {key: when for key, when in kept.activity.items() if key in kept.routes}
    return kept


@given(CHANGES)
def test_what_is_written_is_read(changes: list[Route | str | dict[str, float]]) -> None:
    content = HEADER + b"".join(map(line, changes))
    assert content.isascii()
    assert read_journal(content) == expected(changes)


@given(CHANGES, st.data())
def test_a_last_line_that_was_cut_off_is_left_out(
    changes: list[Route | str | dict[str, float]], data: st.DataObject
) -> None:
    lines = [HEADER, *map(line, changes)]
    content = b"".join(lines)
    cut = data.draw(st.integers(len(HEADER), len(content)))
    complete = content[:cut].count(b"\n") - 1
    assert read_journal(content[:cut]) == expected(changes[:complete])


@given(CHANGES.filter(bool), st.data())
def test_a_changed_byte_never_makes_another_table(
    changes: list[Route | str | dict[str, float]], data: st.DataObject
) -> None:
    content = bytearray(HEADER + b"".join(map(line, changes)))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    try:
        read = read_journal(bytes(content))
    except StoreError:
        return
    # The very last byte: without its line's end, the last change counts as cut off.
    assert place == len(content) - 1
    assert read == expected(changes[:-1])


@pytest.mark.parametrize("content", [b"", HEADER[:-1], b"hubgate routes 2\n", b"\0" * 4096])
def test_what_is_no_journal_is_refused(content: bytes) -> None:
    with pytest.raises(StoreError, match="does not start"):
        read_journal(content)


def test_the_damaged_line_is_named() -> None:
    content = HEADER + delete_line("/a") + b"0\n" + delete_line("/b")
    with pytest.raises(StoreError, match="line 3 is damaged"):
        read_journal(content)


def test_what_belongs_together_is_read_whole_or_not_at_all() -> None:
    before, first, second = (put_line(route) for route in (A, B, C))
    content = HEADER + before + together([first, delete_line(A.key), second])
    begun = len(HEADER + before)
    assert set(read_journal(content).routes) == {B.key, C.key}
    for end in range(begun, len(content)):
        assert set(read_journal(content[:end]).routes) == {A.key}


def test_after_what_belongs_together_others_may_follow() -> None:
    content = HEADER + together([put_line(A), put_line(B)]) + put_line(C)
    assert set(read_journal(content).routes) == {A.key, B.key, C.key}


def test_one_line_needs_no_other() -> None:
    assert together([put_line(A)]) == put_line(A)
    assert together([]) == b""
