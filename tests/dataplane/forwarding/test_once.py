"""How often a target gets a request: once, or once more where that can do no harm."""

import logging

import pytest

from hubgate.model import Timeouts
from hubgate.upstream import pool as pool_module
from tests.dataplane.conftest import StartFront
from tests.dataplane.peers import ANSWER, Front, Target, exchange, until
from tests.dataplane.wire import Wire, chunked, request

GET = request("GET", "/")
HANDSHAKE = request("GET", "/", "Connection: Upgrade", "Upgrade: websocket")
# Each as it is sent by browsers (without a length), and by programs.
ONCE = {
    f"{method} {'with' if lines else 'without'} a length": request(method, "/", *lines)
    for method in ("POST", "PATCH", "LOCK", "MKCOL", "MOVE", "NOTIFY")
    for lines in ([], ["Content-Length: 0"])
} | {
    "a chunked POST without a byte": request("POST", "/", "Transfer-Encoding: chunked") + chunked(),
    "a POST whose body waits": request("POST", "/", "Content-Length: 4", "Expect: 100-continue"),
    "a handshake": HANDSHAKE,
    "a handshake by POST": HANDSHAKE.replace(b"GET", b"POST"),
}
TWICE = {
    method: request(method, "/")
    for method in ("GET", "HEAD", "OPTIONS", "DELETE", "PUT", "PROPFIND", "REPORT", "SEARCH")
} | {
    "PUT with a length": request("PUT", "/", body=b""),
    "DELETE with a length": request("DELETE", "/", body=b""),
    "a chunked PUT without a byte": request("PUT", "/", "Transfer-Encoding: chunked") + chunked(),
}
WAYS = ["close", "reset"]


@pytest.fixture
async def front(start_front: StartFront) -> Front:
    """A data plane that does not wait for targets that refuse."""
    return await start_front(timeouts=Timeouts(ready=0, down=0, connect=5))


@pytest.fixture
async def stale(front: Front, target: Target) -> Wire:
    """The target's end of an idle connection that it will not serve again."""
    front.route("/", target.url)
    await exchange(front, target, GET)
    return target.wires[0]


def leave(wire: Wire, how: str) -> None:
    """End a connection in one of the WAYS."""
    wire.close() if how == "close" else wire.reset()


# --- a target that acts, and then closes without an answer -----------------------------------


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("sent", ONCE.values(), ids=ONCE.keys())
async def test_what_may_not_be_done_twice_is_sent_once(
    front: Front,
    target: Target,
    stale: Wire,
    sent: bytes,
    how: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    client = await front.client()
    await client.send(sent)
    await stale.read_head()
    leave(stale, how)
    got = await client.read_response()

    assert got.status == 503
    assert target.accepted == 1
    method = sent.partition(b" ")[0].decode()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"503 {method} / {target.url} closed an idle connection")
    assert line.endswith(f"and a {method} is not sent a second time")


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("sent", TWICE.values(), ids=TWICE.keys())
async def test_what_may_be_done_twice_is_sent_once_more(
    front: Front, target: Target, stale: Wire, sent: bytes, how: str
) -> None:
    client = await front.client()
    await client.send(sent)
    first = await stale.read_request()
    leave(stale, how)
    fresh = await target.accept()
    assert await fresh.read_request() == first
    # Not a third time.
    leave(fresh, how)

    assert (await client.read_response(to=first.method)).status == 503
    assert target.accepted == 2


async def test_a_body_that_has_not_begun_goes_with_the_second_attempt(
    front: Front, target: Target, stale: Wire
) -> None:
    client = await front.client()
    await client.send(request("PUT", "/", "Content-Length: 4"))
    await stale.read_head()
    stale.close()
    fresh = await target.accept()
    await fresh.read_head()
    await client.send(b"data")
    assert await fresh.read_exactly(4) == b"data"

    await fresh.send(ANSWER)
    assert (await client.read_response()).body == b"hello"


@pytest.mark.parametrize(
    "sent",
    [
        request("POST", "/", body=b"data"),
        request("PUT", "/", "Content-Length: 4") + b"da",
        request("PUT", "/", "Transfer-Encoding: chunked") + b"1\r\nx\r\n",
    ],
)
async def test_a_body_is_never_sent_twice(
    front: Front, target: Target, stale: Wire, sent: bytes
) -> None:
    client = await front.client()
    await client.send(sent)
    await stale.read_until(sent[-1:])
    stale.close()

    assert (await client.read_response()).status == 503
    assert target.accepted == 1


async def test_one_byte_of_an_answer_is_an_attempt(
    front: Front, target: Target, stale: Wire
) -> None:
    client = await front.client()
    await client.send(GET)
    await stale.read_request()
    await stale.send(b"H")
    stale.close()

    assert (await client.read_response()).status == 503
    assert target.accepted == 1


async def test_an_error_page_is_asked_for_once_more(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(error_target=target.url)
    _, page = await exchange(front, target, GET)
    assert page.body == b"hello"
    client = await front.client()
    await client.send(request("GET", "/another"))
    await target.wires[0].read_request()
    target.wires[0].close()
    fresh = await target.accept()
    assert (await fresh.read_request()).path == "/404?url=%2Fanother"

    await fresh.send(ANSWER)
    assert (await client.read_response()).body == b"hello"


# --- a stale connection costs nobody a request -----------------------------------------------


async def test_a_connection_the_target_closed_while_idle_is_not_used(
    front: Front, target: Target, stale: Wire
) -> None:
    stale.close()
    await until(lambda: "0 idle" in repr(front.plane.pool), "the pool hears of it")
    _, got = await exchange(front, target, GET)

    assert got.body == b"hello"


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("sent", ONCE.values(), ids=ONCE.keys())
async def test_what_is_sent_once_takes_no_connection_that_ended_unnoticed(
    front: Front, target: Target, stale: Wire, sent: bytes, how: str
) -> None:
    client = await front.client()
    (connection,) = front.plane.pool._idle[next(iter(front.plane.pool._idle))]
    # The loop does not get to read the end.
    connection.transport.pause_reading()
    leave(stale, how)
    await client.send(sent)
    fresh = await target.accept()
    await fresh.read_head()
    await fresh.send(ANSWER)

    assert (await client.read_response()).body == b"hello"


@pytest.mark.parametrize("sent", [*ONCE.values(), request("PUT", "/", body=b"data")])
async def test_what_is_sent_once_takes_no_connection_that_its_target_may_be_closing(
    front: Front, target: Target, stale: Wire, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "_SURE", -1.0)
    client = await front.client()
    await client.send(sent)
    fresh = await target.accept()
    await fresh.read_head()
    await fresh.send(ANSWER)
    assert (await client.read_response()).body == b"hello"


@pytest.mark.parametrize("sent", [GET, *ONCE.values()])
async def test_a_connection_in_use_a_moment_ago_is_used_again(
    front: Front, target: Target, stale: Wire, sent: bytes
) -> None:
    client = await front.client()
    await client.send(sent)
    await stale.read_head()
    await stale.send(ANSWER)

    assert (await client.read_response()).body == b"hello"
    assert target.accepted == 1
