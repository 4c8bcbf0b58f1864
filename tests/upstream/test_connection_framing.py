"""Where a response ends and what comes before it, however its bytes are cut."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubgate.errors import BadResponseError
from hubgate.http1.message import Body
from hubgate.routing.target import Peer
from hubgate.upstream.connection import UpstreamConnection, UpstreamState
from tests.dataplane.peers import Target, until
from tests.nowhere import Nowhere
from tests.turns import AtOnce
from tests.upstream.answers import (
    CHUNKED,
    EMPTY,
    HINTS,
    LAST,
    LENGTH,
    LONG,
    NO_CONTENT,
    NO_REASON,
    NOT_MODIFIED,
    NOT_MODIFIED_FIVE,
    OLD,
    OLD_KEPT,
    REQUEST,
    TRAILERS,
    UNTIL_CLOSE,
    answered,
    opened,
)
from tests.upstream.receiver import Recorder


@pytest.mark.parametrize("behind", [b"5\r\n", b"5", b"\r", b"5\r\n\r\n", b"0\r\n\r\n", b"hello"])
@pytest.mark.parametrize("cut", [0, 20, -1, -3])
def test_whatever_stands_behind_a_heads_answer_ends_the_connection(behind: bytes, cut: int) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for extra, reusable in ((b"", True), (behind, False)):
        pieces = [head[:cut], head[cut:] + extra] if cut else [head + extra]
        assert received(pieces, bodiless=True)[4] is reusable


def test_a_trailer_may_end_the_connection() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert received([head, b"2\r\nab\r\n0\r\nX: y\r\n\r\n"])[4] is True
    assert received([head, b"2\r\nab\r\n0\r\nConnection: close\r\n\r\n"])[4] is False


# --- how responses end -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "body", "framing", "reusable"),
    [
        (LENGTH, b"hello", Body.LENGTH, True),
        (CHUNKED, b"hello", Body.CHUNKED, True),
        (TRAILERS, b"hello", Body.CHUNKED, True),
        (EMPTY, b"", Body.NONE, True),
        (NO_CONTENT, b"", Body.NONE, True),
        (NOT_MODIFIED, b"", Body.NONE, True),
        (NOT_MODIFIED_FIVE, b"", Body.NONE, False),
        (OLD, b"hello", Body.LENGTH, False),
        (OLD_KEPT, b"hello", Body.LENGTH, True),
        (LAST, b"hello", Body.LENGTH, False),
        (NO_REASON, b"hello", Body.LENGTH, True),
    ],
)
async def test_a_response_ends_where_its_framing_says(
    target: Target, answer: bytes, body: bytes, framing: Body, reusable: bool
) -> None:
    recorder, connection = await answered(target, answer)

    assert recorder.error is None
    assert recorder.body == body
    assert recorder.heads == 1
    assert recorder.head is not None
    assert recorder.head.body is framing
    assert connection.reusable is reusable


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n",
    ],
)
async def test_a_response_to_head_ends_with_its_head(target: Target, answer: bytes) -> None:
    recorder, connection = await answered(target, answer, bodiless=True)

    assert recorder.ended
    assert recorder.body == b""
    assert recorder.head is not None
    assert recorder.head.body is Body.NONE
    assert connection.reusable


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 5\r\n\r\n",
    ],
)
async def test_after_a_last_response_to_head_nothing_follows(target: Target, answer: bytes) -> None:
    _, connection = await answered(target, answer, bodiless=True)

    assert not connection.reusable


async def test_a_body_until_the_end_of_the_connection(target: Target) -> None:
    recorder, connection = await answered(target, UNTIL_CLOSE, close=True)

    assert recorder.ended
    assert recorder.body == b"hello"
    assert recorder.head is not None
    assert recorder.head.body is Body.UNTIL_CLOSE
    assert not connection.reusable
    assert connection.state is UpstreamState.CLOSED


async def test_a_body_until_close_is_passed_on_as_it_comes(target: Target) -> None:
    connection, wire = await opened(target)
    recorder = Recorder()
    connection.begin(recorder, REQUEST, False)
    await wire.send(UNTIL_CLOSE)
    await until(lambda: recorder.body == b"hello", "the first part comes")
    await wire.send(b" again")
    await until(lambda: recorder.body == b"hello again", "the second part comes")

    assert not recorder.ended


# --- what comes before -----------------------------------------------------------------------


async def test_informational_responses_come_before_the_final_one(target: Target) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    recorder, _ = await answered(target, b"HTTP/1.1 100 Continue\r\n\r\n" + hints * 2 + LENGTH)

    assert recorder.informational == [
        (100, []),
        (103, [(b"Link", b"</a>")]),
        (103, [(b"Link", b"</a>")]),
    ]
    assert recorder.head is not None
    assert recorder.head.status == 200
    assert recorder.head.reason == b"Fine"
    assert recorder.head.headers == [(b"Content-Length", b"5"), (b"X-Y", b"z")]


async def test_a_switch_of_protocols_hands_over_what_follows(target: Target) -> None:
    head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    recorder, connection = await answered(target, head + b"\x81\x05hello")

    assert recorder.switched is not None
    assert recorder.switched.status == 101
    assert recorder.leftover == b"\x81\x05hello"
    assert connection.state is UpstreamState.BUSY

    connection.detach().abort()
    assert connection.state is UpstreamState.DETACHED


@pytest.mark.parametrize(
    "lines", [b"", b"Upgrade: websocket\r\n", b"Connection: Upgrade\r\n", b"Content-Length: 5\r\n"]
)
async def test_a_101_that_names_no_protocol_is_no_answer(target: Target, lines: bytes) -> None:
    recorder, _ = await answered(target, b"HTTP/1.1 101 Go on\r\n" + lines + b"\r\n" + LENGTH)

    assert recorder.head is None
    assert isinstance(recorder.error, BadResponseError)


# --- any cut ---------------------------------------------------------------------------------


def received(pieces: list[bytes], *, bodiless: bool = False) -> tuple[Any, ...]:
    connection = UpstreamConnection(Peer("h", 1), lambda lost: None, AtOnce())
    connection.connection_made(Nowhere())
    recorder = Recorder()
    connection.begin(recorder, REQUEST, bodiless)
    for piece in pieces:
        if not recorder.ended:
            connection.data_received(piece)
    head = recorder.head or recorder.switched
    return (
        recorder.informational,
        head and (head.status, head.reason, head.headers, head.body, head.length),
        recorder.body,
        recorder.ended,
        connection.reusable,
        type(recorder.error),
    )


@given(
    st.sampled_from([b"", HINTS, HINTS * 3]),
    st.sampled_from(
        [LENGTH, CHUNKED, TRAILERS, EMPTY, NO_CONTENT, NOT_MODIFIED, UNTIL_CLOSE, OLD, OLD_KEPT,
         LAST, NO_REASON, LONG]
    ),
    st.lists(st.integers(0, 4000), max_size=12),
)  # fmt: skip
def test_any_cut_gives_the_same_response(before: bytes, answer: bytes, places: list[int]) -> None:
    stream = before + answer
    edges = sorted({0, len(stream), *(place % len(stream) for place in places)})
    pieces = [stream[start:end] for start, end in itertools.pairwise(edges)]

    assert received(pieces) == received([stream])


@pytest.mark.parametrize(
    "answer", [LENGTH, CHUNKED, TRAILERS, NO_CONTENT, NOT_MODIFIED, UNTIL_CLOSE, OLD_KEPT, LAST]
)
def test_byte_by_byte_is_as_good_as_all_at_once(answer: bytes) -> None:
    stream = HINTS + answer

    assert received([bytes([byte]) for byte in stream]) == received([stream])
