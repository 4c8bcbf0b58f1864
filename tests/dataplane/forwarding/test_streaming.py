"""Bodies go on part by part, also when the answer comes before the request's end."""

import pytest

from tests.dataplane.forwarding.exchanges import CHUNKED, GET, GET_10, closing_exchange
from tests.dataplane.peers import ANSWER, Front, Target
from tests.dataplane.wire import chunked, request, response

# --- parts, as they come ---------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["chunked", "until close"])
async def test_events_arrive_as_they_are_sent(joined: Front, target: Target, framing: str) -> None:
    client = await joined.client()
    await client.send(request("GET", "/", "Accept: text/event-stream"))
    wire = await target.accept()
    await wire.read_request()
    coding = ["Transfer-Encoding: chunked"] if framing == "chunked" else []
    await wire.send(response(200, "Content-Type: text/event-stream", *coding, body=None))
    got = await client.read_head()
    assert got.get("content-type") == "text/event-stream"

    for number in range(5):
        event = b"data: %d\n\n" % number
        await wire.send(chunked(event)[:-5] if framing == "chunked" else event)
        assert await client.read_chunk() == event
    if framing == "chunked":
        await wire.send(b"0\r\n\r\n")
    wire.close()
    assert await client.read_chunk() == b""


async def test_a_body_of_known_length_arrives_as_it_is_sent(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, "Content-Length: 6", body=None))
    await client.read_head()

    for part in (b"ab", b"cd", b"ef"):
        await wire.send(part)
        assert await client.read_exactly(2) == part


async def test_early_hints_come_before_the_response(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nKeep-Alive: 5\r\n\r\n")
    hints = await client.read_response()
    assert hints.status == 103
    assert hints.fields == [("Link", "</a.css>")]

    await wire.send(ANSWER)
    assert (await client.read_response()).body == b"hello"


async def test_http_10_gets_no_hints(joined: Front, target: Target) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    got, _ = await closing_exchange(joined, target, GET_10, hints + ANSWER)

    assert got.status == 200


async def test_a_body_may_go_both_ways_at_once(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(request("POST", "/", "Transfer-Encoding: chunked"))
    wire = await target.accept()
    await wire.read_head()
    await wire.send(response(200, "Transfer-Encoding: chunked", body=None))
    await client.read_head()

    for number in range(5):
        part = b"part %d" % number
        await client.send(chunked(part)[:-5])
        assert await wire.read_chunk() == part
        await wire.send(chunked(part)[:-5])
        assert await client.read_chunk() == part
    await client.send(b"0\r\n\r\n")
    assert await wire.read_chunk() == b""
    await wire.send(b"0\r\n\r\n")
    assert await client.read_chunk() == b""


# --- an answer before the request's end ------------------------------------------------------


@pytest.mark.parametrize("answer", [response(413, body=b"too much"), CHUNKED])
async def test_an_early_answer_reaches_a_client_that_still_sends(
    joined: Front, target: Target, answer: bytes
) -> None:
    client = await joined.client()
    await client.send(request("PUT", "/", "Content-Length: 100000000") + bytes(1000))
    wire = await target.accept()
    await wire.read_head()
    await wire.send(answer)
    await client.send(bytes(1 << 20))
    got = await client.read_response()

    assert got.status in (413, 200)
    assert got.get("connection") == "close"
    assert await wire.drain() in ("end", "reset")
    # The client may go on for a while without being cut off, then sees the end.
    await client.send(bytes(1 << 20))
    assert await client.ending() == "end"


async def test_what_comes_after_an_early_answer_is_not_kept(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(request("PUT", "/", "Content-Length: 100000000"))
    wire = await target.accept()
    await wire.read_head()
    await wire.send(response(413))
    await client.read_response()
    (connection,) = joined.plane._listener.clients
    for _ in range(40):
        await client.send(bytes(1 << 20))

    assert not connection._reader.requests
    assert sum(map(len, _waiting(connection))) == 0


def _waiting(connection: object) -> list[bytes]:
    """Return the body bytes that a connection holds for whichever request."""
    current = connection._reader._current  # type: ignore[attr-defined]
    return list(current.chunks) if current is not None else []


async def test_after_an_early_answer_no_request_follows(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(request("POST", "/", "Content-Length: 5") + b"he")
    wire = await target.accept()
    await wire.read_head()
    await wire.send(ANSWER)
    await client.read_response()
    await client.send(b"llo" + request("GET", "/next"))

    assert await client.ending() in ("end", "reset")
    assert target.accepted == 1
