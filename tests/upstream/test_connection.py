"""One connection to a target: how responses end, and what never gets into the next one."""

import asyncio
import contextlib
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import BadResponseError, StaleConnectionError, UpstreamClosedError
from proxy.routing.target import Peer
from proxy.upstream.connection import Body, State, UpstreamConnection
from proxy.upstream.peer import connect
from tests.dataplane.peers import Target, until
from tests.dataplane.wire import Wire, chunked
from tests.upstream.receiver import Recorder

REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


async def opened(target: Target) -> tuple[UpstreamConnection, Wire]:
    """Return both ends of a new connection to `target`."""
    peer = Peer("127.0.0.1", target.port)
    connection = await connect(peer, lambda: UpstreamConnection(peer, lambda lost: None), None, 5)
    return connection, await target.accept()


async def answered(
    target: Target, answer: bytes, *, bodiless: bool = False, close: bool = False
) -> tuple[Recorder, UpstreamConnection]:
    """Send one request, give `answer` to it and return what came of it."""
    connection, wire = await opened(target)
    recorder = Recorder()
    connection.begin(recorder, REQUEST, bodiless)
    await wire.read_request()
    await wire.send(answer)
    if close:
        wire.close()
    await recorder.finish()
    return recorder, connection


# --- how responses end -----------------------------------------------------------------------

LENGTH = b"HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nX-Y: z\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hel", b"lo")
TRAILERS = CHUNKED[:-2] + b"X-Trailer: t\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nhello"
OLD = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"
OLD_KEPT = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
NO_REASON = b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello"


@pytest.mark.parametrize(
    ("answer", "body", "framing", "reusable"),
    [
        (LENGTH, b"hello", Body.LENGTH, True),
        (CHUNKED, b"hello", Body.CHUNKED, True),
        (TRAILERS, b"hello", Body.CHUNKED, True),
        (EMPTY, b"", Body.NONE, True),
        (NO_CONTENT, b"", Body.NONE, True),
        (NOT_MODIFIED, b"", Body.NONE, True),
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
    assert connection.state is State.CLOSED


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
    assert connection.state is State.BUSY

    connection.detach().abort()
    assert connection.state is State.DETACHED


@pytest.mark.parametrize(
    "lines", [b"", b"Upgrade: websocket\r\n", b"Connection: Upgrade\r\n", b"Content-Length: 5\r\n"]
)
async def test_a_101_that_names_no_protocol_is_no_answer(target: Target, lines: bytes) -> None:
    recorder, _ = await answered(target, b"HTTP/1.1 101 Go on\r\n" + lines + b"\r\n" + LENGTH)

    assert recorder.head is None
    assert isinstance(recorder.error, BadResponseError)


# --- any cut ---------------------------------------------------------------------------------


class Sink(asyncio.Transport):
    """A transport that goes nowhere."""

    closed = False

    def write(self, data: Any) -> None:
        pass

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def received(pieces: list[bytes], *, bodiless: bool = False) -> tuple[Any, ...]:
    connection = UpstreamConnection(Peer("h", 1), lambda lost: None)
    connection.connection_made(Sink())
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


HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
LONG = b"HTTP/1.1 200 A rather long reason\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3000


@settings(deadline=None)
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
    edges = [0, *sorted({place % (len(stream) + 1) for place in places}), len(stream)]
    pieces = [stream[start:end] for start, end in itertools.pairwise(edges)]

    assert received(pieces) == received([stream])


@pytest.mark.parametrize(
    "answer", [LENGTH, CHUNKED, TRAILERS, NO_CONTENT, NOT_MODIFIED, UNTIL_CLOSE, OLD_KEPT, LAST]
)
def test_byte_by_byte_is_as_good_as_all_at_once(answer: bytes) -> None:
    stream = HINTS + answer

    assert received([bytes([byte]) for byte in stream]) == received([stream])


# --- responses that are none -----------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        b"hello\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/3.0 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\n\r\n",
    ],
)
async def test_what_is_no_response_is_none(target: Target, answer: bytes) -> None:
    recorder, connection = await answered(target, answer)

    assert recorder.head is None
    assert isinstance(recorder.error, BadResponseError)
    assert connection.state is State.CLOSED


@pytest.mark.parametrize("chunk", [b"x\r\nhello\r\n", b"5\nhello\r\n", b"5\r\nhelloXX", b"-1\r\n"])
async def test_a_bad_chunk_breaks_the_response(target: Target, chunk: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    recorder, _ = await answered(target, head + b"2\r\nab\r\n" + chunk)

    assert not recorder.ended
    assert isinstance(recorder.error, BadResponseError)


@pytest.mark.parametrize("part", [b"X: " + b"y" * 20000 + b"\r\n", b"y" * 20000])
async def test_endless_headers_end(target: Target, part: bytes) -> None:
    connection, wire = await opened(target)
    recorder = Recorder()
    connection.begin(recorder, REQUEST, False)
    await wire.send(b"HTTP/1.1 200 OK\r\nX: ")
    with contextlib.suppress(ConnectionError):
        for _ in range(200):
            await wire.send(part)
    await recorder.finish()

    assert isinstance(recorder.error, BadResponseError)


async def test_any_number_of_informational_responses_may_come(target: Target) -> None:
    recorder, _ = await answered(target, b"HTTP/1.1 102 Processing\r\n\r\n" * 20000 + LENGTH)

    assert len(recorder.informational) == 20000
    assert recorder.body == b"hello"


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        LENGTH[:-1],
        LENGTH[:-5],
        CHUNKED[:-1],
        CHUNKED[:-5],
        CHUNKED[:60],
        HINTS,
    ],
)
async def test_a_target_that_leaves_too_early_breaks_the_response(
    target: Target, part: bytes
) -> None:
    recorder, connection = await answered(target, part, close=True)

    assert not recorder.ended
    assert type(recorder.error) is UpstreamClosedError
    assert connection.state is State.CLOSED


async def test_a_targets_last_byte_ends_the_response_though_a_body_is_on_its_way(
    target: Target,
) -> None:
    connection, wire = await opened(target)
    recorder = Recorder()
    connection.begin(recorder, b"PUT / HTTP/1.1\r\n\r\n", False)
    connection.transport.write(bytes(1 << 24))
    await wire.send(UNTIL_CLOSE)
    wire.half_close()
    await recorder.finish()

    assert recorder.ended
    assert recorder.body == b"hello"


async def test_a_reset_is_no_end(target: Target) -> None:
    connection, wire = await opened(target)
    recorder = Recorder()
    connection.begin(recorder, REQUEST, False)
    await wire.read_request()
    await wire.send(UNTIL_CLOSE)
    await until(lambda: recorder.body, "the body begins")
    wire.reset()
    await recorder.finish()

    assert not recorder.ended
    assert isinstance(recorder.error, UpstreamClosedError)


# --- one request after the other -------------------------------------------------------------


@pytest.mark.parametrize("answer", [LENGTH, CHUNKED, EMPTY, NO_CONTENT, NOT_MODIFIED, LONG])
async def test_a_connection_serves_one_request_after_the_other(
    target: Target, answer: bytes
) -> None:
    connection, wire = await opened(target)
    for number in range(1, 6):
        recorder = Recorder()
        connection.begin(recorder, REQUEST, False)
        assert connection.state is State.BUSY
        await wire.read_request()
        await wire.send(answer[:30])
        await wire.send(answer[30:])
        await recorder.finish()

        assert recorder.error is None
        assert connection.reusable
        connection.release()
        assert connection.state is State.IDLE
        assert connection.served == number


@pytest.mark.parametrize("first", [LENGTH, CHUNKED, EMPTY, NO_CONTENT, NOT_MODIFIED])
@pytest.mark.parametrize("excess", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", LENGTH])
async def test_what_follows_a_response_at_once_ends_the_connection(
    target: Target, first: bytes, excess: bytes
) -> None:
    recorder, connection = await answered(target, first + excess)

    assert recorder.ended
    assert recorder.heads == 1
    assert recorder.body in (b"hello", b"")
    assert not connection.reusable


@pytest.mark.parametrize("excess", [b"hello", LENGTH])
async def test_what_follows_a_response_to_head_ends_the_connection(
    target: Target, excess: bytes
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    recorder, connection = await answered(target, head + excess, bodiless=True)

    assert recorder.ended
    assert recorder.body == b""
    assert not connection.reusable


async def test_what_comes_while_nobody_asks_closes_the_connection(target: Target) -> None:
    recorder, connection = await answered(target, LENGTH)
    assert connection.reusable
    connection.release()
    await target.wires[0].send(LENGTH)

    assert await target.wires[0].drain() in ("end", "reset")
    assert connection.state is State.CLOSED
    assert recorder.body == b"hello"


async def test_a_body_longer_than_announced_is_cut_and_ends_the_connection(
    target: Target,
) -> None:
    connection, wire = await opened(target)
    recorder = Recorder()
    connection.begin(recorder, REQUEST, False)
    await wire.send(LENGTH[:-4])
    await until(lambda: recorder.body == b"h", "the first byte comes")
    await wire.send(b"ello, and more")
    await recorder.finish()

    assert recorder.body == b"hello"
    assert not connection.reusable


# --- how connections end ---------------------------------------------------------------------


async def test_a_connection_that_died_while_idle_is_stale(target: Target) -> None:
    recorder, connection = await answered(target, LENGTH)
    connection.release()
    second = Recorder()
    target.wires[0].reset()
    connection.begin(second, REQUEST, False)
    await second.finish()

    assert isinstance(second.error, StaleConnectionError)
    assert second.error.retry_safe
    assert recorder.error is None


async def test_a_new_connection_is_never_stale(target: Target) -> None:
    connection, wire = await opened(target)
    recorder = Recorder()
    connection.begin(recorder, REQUEST, False)
    await wire.read_request()
    wire.close()
    await recorder.finish()

    assert type(recorder.error) is UpstreamClosedError
    assert not recorder.error.retry_safe


async def test_one_byte_of_a_response_makes_a_connection_no_longer_stale(target: Target) -> None:
    _, connection = await answered(target, LENGTH)
    connection.release()
    recorder = Recorder()
    connection.begin(recorder, REQUEST, False)
    await target.wires[0].read_request()
    await target.wires[0].send(b"H")
    await until(lambda: connection._got_bytes, "the byte comes")
    target.wires[0].close()
    await recorder.finish()

    assert type(recorder.error) is UpstreamClosedError


async def test_an_idle_connection_tells_its_pool_when_it_dies(target: Target) -> None:
    lost: list[UpstreamConnection] = []
    peer = Peer("127.0.0.1", target.port)
    connection = await connect(peer, lambda: UpstreamConnection(peer, lost.append), None, 5)
    wire = await target.accept()
    wire.close()
    await until(lambda: lost, "the pool hears of it")

    assert lost == [connection]


async def test_aborting_closes_and_says_nothing(target: Target) -> None:
    connection, wire = await opened(target)
    recorder = Recorder()
    connection.begin(recorder, REQUEST, False)
    await wire.read_request()
    connection.abort()
    connection.abort()

    assert await wire.ending() in ("end", "reset")
    assert not recorder.finished
    assert connection.state is State.CLOSED


async def test_a_target_that_reads_slowly_is_told_of(target: Target) -> None:
    connection, wire = await opened(target)
    recorder = Recorder()
    connection.begin(recorder, b"PUT / HTTP/1.1\r\n\r\n", False)
    sent = 18
    while not recorder.writable:
        connection.transport.write(bytes(1 << 20))
        sent += 1 << 20
        assert sent < 1 << 28, "it takes everything"
    assert recorder.writable == [False]

    await wire.read_exactly(sent)
    await until(lambda: recorder.writable == [False, True], "it is writable again")
    connection.abort()


async def test_a_connection_says_what_it_is_doing(target: Target) -> None:
    connection, _ = await opened(target)
    assert repr(connection) == f"<UpstreamConnection {connection.peer} idle>"

    connection.begin(Recorder(), REQUEST, False)
    assert repr(connection).endswith("busy>")
    connection.abort()
