"""A JSON object in pieces is read as in one, and what is not one is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubgate.control.api.object_reader import LONGEST_MEMBER, ObjectReader
from hubgate.errors import RouteError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)  # fmt: skip


def read(content: bytes, size: int) -> list[tuple[str, Any]]:
    reader, found = ObjectReader(), []
    for first in range(0, len(content), size):
        found += reader.feed(content[first : first + size])
    found += reader.feed(b"", final=True)
    return found


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=5), st.integers(1, 40), st.booleans())
def test_pieces_are_read_as_the_whole(content: dict[str, Any], size: int, readable: bool) -> None:
    text = json.dumps(content, indent=1 if readable else None, ensure_ascii=readable)
    body = text.encode("utf-8", "surrogatepass") if readable else text.encode("utf-8", "replace")
    assert read(body, size) == list(json.loads(body).items())


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"a"',
        b'{"a"}',
        b'{"a":}',
        b'{"a":1',
        b'{"a":1,}',
        b'{"a":1 "b":2}',
        b'{"a":1}}',
        b'{"a":1} x',
        b"{a:1}",
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'{"a":"\xff"}',
        b'{"a":"\xc3',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a\n":1}',
        b'{"a":' + b"[" * 5000,
        b'{"a":' + b"1" * 5000 + b"}",
    ],
)
def test_what_is_no_object_is_refused_with_one_line(content: bytes, size: int) -> None:
    with pytest.raises(RouteError, match=r"not a valid JSON object|not UTF-8") as raised:
        read(content, size)
    assert "\n" not in str(raised.value)


def test_a_member_is_limited_complete_or_not() -> None:
    longest = b'{"a":"' + b"x" * LONGEST_MEMBER + b'"}'
    for content in (longest, longest[:-2] + b"x" * LONGEST_MEMBER):
        with pytest.raises(RouteError):
            read(content, 65536)
    assert read(longest.replace(b"x" * 100, b"x"), 65536)


@pytest.mark.parametrize("end", [b'"}', b'",', b""])
@pytest.mark.parametrize("name", [b'"a\\u0062"', b'"ab"'])
def test_a_value_that_is_too_long_is_not_called_unfinished(name: bytes, end: bytes) -> None:
    with pytest.raises(RouteError, match=r"('ab'|a member) has more than 1048576 characters"):
        read(b"{" + name + b': "' + b"x" * 3 * LONGEST_MEMBER + end, 65536)


@pytest.mark.parametrize(
    "value",
    [b"[1, " * 10 + b"2" + b", 3" * LONGEST_MEMBER, b'"' + b"\\ud83d\\ude00" * LONGEST_MEMBER],
)
@pytest.mark.parametrize("size", [65536, 65537, 65543])
def test_wherever_a_piece_ends(value: bytes, size: int) -> None:
    with pytest.raises(RouteError, match=r"'ab' has more than 1048576 characters"):
        read(b'{"ab": ' + value, size)


def test_a_mistake_in_a_value_that_is_too_long_is_still_one() -> None:
    with pytest.raises(RouteError, match="Expecting value"):
        read(b'{"a": [nothing, "' + b"x" * 3 * LONGEST_MEMBER + b'"]}', 65536)


def test_numbers_that_are_too_long_are_told_in_our_words() -> None:
    for number, said in (
        (b"1" * 5000, "has more than 4300 digits"),
        (b"1" * 5000 + b".5", "large"),
    ):
        for size in (1000, 100_000):
            with pytest.raises(RouteError, match=said) as raised:
                read(b'{"a": [' + number + b"]}", size)
            assert len(str(raised.value)) < 200
    assert read(b'{"a": -' + b"1" * 4300 + b"}", 1000)


def test_members_come_before_the_end() -> None:
    reader = ObjectReader()
    assert list(reader.feed(b'{"a": 1, "b": 2, "c": 3')) == [("a", 1), ("b", 2)]
