"""What is no response, or no whole one."""

import contextlib

import pytest

from hubgate.errors import BadResponseError, UpstreamClosedError
from hubgate.upstream.connection import UpstreamState
from tests.dataplane.peers import Target, until
from tests.upstream.answers import CHUNKED, HINTS, LENGTH, REQUEST, UNTIL_CLOSE, answered, opened
from tests.upstream.receiver import Recorder


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
    assert connection.state is UpstreamState.CLOSED


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


async def test_a_hundred_informational_responses_may_come(target: Target) -> None:
    recorder, _ = await answered(target, b"HTTP/1.1 102 Processing\r\n\r\n" * 100 + LENGTH)

    assert len(recorder.informational) == 100
    assert recorder.body == b"hello"


async def test_no_more_informational_responses_may_come(target: Target) -> None:
    recorder, connection = await answered(target, b"HTTP/1.1 102 Processing\r\n\r\n" * 101 + LENGTH)

    assert isinstance(recorder.error, BadResponseError)
    assert "over 100 interim responses" in str(recorder.error)
    assert connection.state is UpstreamState.CLOSED


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
    assert connection.state is UpstreamState.CLOSED


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
