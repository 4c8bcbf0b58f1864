"""What is over is freed at once: nothing of it waits for the garbage collector.

A collection comes after 20,000 new objects, and one that looks at old objects much later. A
connection over TLS is a few dozen objects, but 256 KiB and more of buffers.
"""

import asyncio
import gc
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from hubgate.dataplane import plane
from hubgate.dataplane.downstream.connection import DownstreamConnection
from hubgate.model import ClientTLS, Limits, Timeouts
from tests.certificates.made import Files
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import Front, Script, Target, answering, echo, until, url_of
from tests.dataplane.tunnels.tunnels import HELLO, SWITCH, UPGRADE
from tests.dataplane.wire import TLSWire, Wire, chunked, request, response

Ask = Callable[[bytes], Awaitable[Wire]]
OURS = ("hubgate", "httptools")
BLOCK = bytes(1 << 16)


@pytest.fixture
def uncollected() -> Iterator[Callable[[], Counter[str]]]:
    """Turn the collector off; return a function that says what of ours it would have freed."""
    gc.collect()
    gc.disable()

    def found() -> Counter[str]:
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        gc.set_debug(0)
        names = [f"{type(each).__module__}.{type(each).__name__}" for each in gc.garbage]
        gc.garbage.clear()
        return Counter(name for name in names if name.startswith(OURS))

    yield found
    gc.enable()


@pytest.fixture
async def guarded(
    start_front: StartFront,
    server_settings: dict[str, Any],
    certificates: Files,
    uncollected: Callable[[], Counter[str]],
) -> AsyncIterator[Front]:
    """A data plane with TLS on both sides, which must have left no garbage in the end."""
    front = await start_front(
        timeouts=Timeouts(ready=0),
        limits=Limits(headers=10, head=4096, request_line=1000, body=1 << 20),
        config={**server_settings, "client_tls": ClientTLS(ca=certificates.ca)},
    )
    yield front
    for wire in front.clients:
        wire.close()
    await until(lambda: not front.open, "everybody has left")
    front.plane.connector.close()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not uncollected()


@pytest.fixture
def ask(guarded: Front, client_tls: ssl.SSLContext) -> Ask:
    """Send a request on a connection of its own."""

    async def send(data: bytes) -> TLSWire:
        wire = await guarded.tls_client(client_tls)
        await wire.send(data)
        return wire

    return send


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"GET  / HTTP/1.1\r\n\r\n", 400, id="malformed"),
        pytest.param(request("GET", "/nowhere", "x:  y"), 404, id="not canonical"),
        pytest.param(request("GET", "/" + 2000 * "x", "x:  y"), 414, id="long line"),
        pytest.param(request("GET", "/", *(20 * ["x:  y"])), 431, id="many headers"),
        pytest.param(request("GET", "/", "x: " + 5000 * "y"), 431, id="long head"),
        pytest.param(request("POST", "/up", "Content-Length: 9999999"), 413, id="too long"),
        pytest.param(
            request("POST", "/up", "Transfer-Encoding: chunked") + b"x\r\n", 400, id="no size"
        ),
        pytest.param(b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400, id="version"),
    ],
)
async def test_refused_requests(guarded: Front, target: Target, ask: Ask, sent: bytes, status: int):
    guarded.route("/up", target.url)
    wire = await ask(sent)
    assert (await wire.read_response()).status == status


@pytest.mark.parametrize("sent", [b"GET /x HT", b"GET /x HTTP/1.1\r\nx: ", b""])
async def test_half_a_head(guarded: Front, ask: Ask, sent: bytes) -> None:
    wire = await ask(sent)
    await until(lambda: guarded.open, "it has arrived")
    await asyncio.sleep(0.05)  # what it sent has arrived, or not
    wire.reset()


async def swapping(wire: Wire) -> None:
    """Switch protocols, echo once, and die."""
    await wire.read_request()
    await wire.send(SWITCH)
    await wire.send(await wire.read_exactly(len(HELLO)))


@pytest.mark.parametrize("leaves", ["client", "target"])
async def test_tunnels(
    guarded: Front,
    start_target: StartTarget,
    server_tls: ssl.SSLContext,
    ask: Ask,
    leaves: str,
) -> None:
    target = await start_target(swapping, tls=server_tls)
    guarded.route("/", target.url)
    wire = await ask(request("GET", "/", *UPGRADE, "x:  y"))
    assert (await wire.read_response()).status == 101
    if leaves == "target":
        await wire.send(HELLO)
        assert await wire.read_rest() == HELLO
    wire.reset()


async def endless(wire: Wire) -> None:
    """Answer with more than anybody reads."""
    await wire.read_request()
    await wire.send(response(200, "Transfer-Encoding: chunked", body=None))
    while True:
        await wire.send(b"10000\r\n" + BLOCK + b"\r\n")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "script",
    [
        echo,
        answering(response(200, "Transfer-Encoding: chunked", body=None) + chunked(b"a", b"b")),
        answering(response(200, "Connection: close", body=None) + b"until it ends"),
        answering(response(100, body=None) + response(204, body=None)),
        answering(response(200, "Content-Length: 9", body=None) + b"half"),
        answering(b"not HTTP\r\n\r\n"),
        answering(b""),
        endless,
    ],
)
async def test_answers(
    guarded: Front,
    start_target: StartTarget,
    server_tls: ssl.SSLContext,
    ask: Ask,
    script: Script,
) -> None:
    target = await start_target(script, tls=server_tls)
    guarded.route("/", target.url)
    wire = await ask(
        request("POST", "/", "Transfer-Encoding: chunked") + chunked(b"some", b"thing")
    )
    await wire.read_head()
    await wire.read(1000)
    wire.reset()


async def held(front: Front) -> int:
    """Return how many clients' connections are still in memory when all have left."""
    for wire in front.clients:
        wire.close()
    await until(lambda: not front.open, "everybody has left")
    for _ in range(10):
        await asyncio.sleep(0)
    return sum(type(each) is DownstreamConnection for each in gc.get_objects())


async def test_a_target_that_is_down_keeps_no_client(
    guarded: Front, ask: Ask, refusing: socket.socket
) -> None:
    guarded.route("/", url_of(refusing))
    for _ in range(5):
        assert (await (await ask(request("GET", "/"))).read_response()).status == 503
    assert await held(guarded) == 0


async def test_the_sweep_keeps_no_client(
    guarded: Front, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane, "_SWEEP_INTERVAL", 0.01)
    await asyncio.sleep(0.6)  # the sweep that had begun is over
    await ask(b"GET /x HT")
    await until(lambda: guarded.open, "it has arrived")
    await asyncio.sleep(0.1)  # it is swept past
    assert await held(guarded) == 0


@pytest.mark.parametrize("reads", [True, False], ids=["reads", "does not read"])
async def test_who_sends_much_at_once(guarded: Front, ask: Ask, reads: bool) -> None:
    wire = await ask(request("GET", "/nowhere") * 2000)

    def greedy() -> bool:
        return any(each._greedy for each in guarded.plane._listener.clients)

    await until(greedy, "it waits for its turns")
    for _ in range(2000 if reads else 0):
        assert (await wire.read_response()).status == 404
    wire.reset()


@pytest.mark.parametrize("leaves", ["client", "target"])
async def test_large_messages_through_a_tunnel(
    guarded: Front,
    start_target: StartTarget,
    server_tls: ssl.SSLContext,
    ask: Ask,
    leaves: str,
) -> None:
    async def swallowing(wire: Wire) -> None:
        await wire.read_request()
        await wire.send(SWITCH)
        await wire.read_exactly(16 * len(BLOCK))
        await wire.send(HELLO)
        if leaves == "client":
            await wire.ending()

    target = await start_target(swallowing, tls=server_tls)
    guarded.route("/", target.url)
    wire = await ask(request("GET", "/", *UPGRADE))
    await wire.read_head()
    await wire.send(16 * BLOCK)
    assert await wire.read_exactly(len(HELLO)) == HELLO
    wire.reset() if leaves == "client" else await wire.ending()
