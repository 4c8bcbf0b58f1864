"""What requests and responses share."""

import re

import pytest

from hubgate.http1.message import HOP_BY_HOP, any_name, chunk

NAMES = re.compile(any_name(HOP_BY_HOP) + rb":")


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_any_name_is_found_however_it_is_spelled(name: bytes) -> None:
    for spelled in (name, name.title(), name.upper(), name.swapcase()):
        assert NAMES.fullmatch(spelled + b":")


@pytest.mark.parametrize(
    "name", [b"tee", b"t", b"x-te", b"connections", b"keepXalive", b"content-length"]
)
def test_no_other_name_is(name: bytes) -> None:
    assert NAMES.match(name + b":") is None


def test_chunks() -> None:
    assert chunk(b"hello, world", last=False) == b"c\r\nhello, world\r\n"
    assert chunk(memoryview(b"a"), last=True) == b"1\r\na\r\n0\r\n\r\n"
    assert chunk(b"", last=False) == b""
    assert chunk(b"", last=True) == b"0\r\n\r\n"
