"""What attackers send is what their names say, byte for byte."""

import pytest

from benchmarks.strangers.handshake import client_hello
from benchmarks.strangers.members import (
    BURST,
    BY_KEY,
    MEMBERS,
    UNREAD,
    Manner,
    Member,
    frames,
    repeated,
)
from tests.frames import BINARY, frame

EVERY = [*MEMBERS, *UNREAD]
ENDLESS = [each for each in EVERY if each.make().manner is Manner.SEND]


def test_no_two_have_the_same_key() -> None:
    assert len(BY_KEY) == len(EVERY)


@pytest.mark.parametrize("member", ENDLESS, ids=lambda each: each.key)
def test_a_burst_is_large_and_can_follow_itself(member: Member) -> None:
    burst = member.make().burst
    assert BURST // 2 < len(burst) <= BURST
    # Whole messages: the last one is as long as the first.
    first = b"\r\n\r\n" if b"HTTP/" in burst else burst[:6]
    assert burst.endswith(first) or burst.endswith(first + b"x")


def test_a_message_larger_than_a_burst_is_sent_once() -> None:
    assert repeated(b"x" * 10, size=5) == b"x" * 10


def test_requests_with_many_fields_have_them() -> None:
    head = BY_KEY["fields"].make().burst.partition(b"\r\n\r\n")[0]
    assert head.count(b"\r\nX-Field-") == 200
    assert head.startswith(b"GET /evil/answer HTTP/1.1\r\n")


def test_chunks_have_one_byte() -> None:
    attack = BY_KEY["chunks-up"].make()
    assert b"Transfer-Encoding: chunked" in attack.opening
    assert attack.burst.startswith(b"1\r\nx\r\n1\r\nx\r\n")


@pytest.mark.parametrize(("mask", "size"), [(bytes(4), 6), (None, 2)])
def test_frames_without_payload_are_as_small_as_can_be(mask: bytes | None, size: int) -> None:
    burst = frames(b"", masked=mask is not None)
    assert burst == frame(BINARY, mask=mask or None) * (len(burst) // size)


def test_only_one_byte_at_a_time_goes_out_in_a_trickle() -> None:
    assert BY_KEY["trickle"].make().segment == 1


def test_a_client_hello_is_one_whole_record() -> None:
    hello = client_hello()
    assert hello[:2] == b"\x16\x03"
    assert len(hello) == 5 + int.from_bytes(hello[3:5], "big")
