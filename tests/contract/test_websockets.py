"""Websockets between real implementations on both ends."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from threading import Thread

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from tests.contract.better import better
from tests.contract.conftest import MakeTarget
from tests.contract.frames import FrameServer, client_frame, handshake, read_frame
from tests.contract.harness import RunningProxy
from tests.frames import CONTINUATION, TEXT


def echo(connection: ServerConnection) -> None:
    """Send every message back; end with the code that a message `close CODE` names."""
    for message in connection:
        if isinstance(message, str) and message.startswith("close "):
            connection.close(int(message.split()[1]), "as you wish")
        else:
            connection.send(message)


def choose(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Take the subprotocol called b if it is offered."""
    return next((name for name in offered if name == "b"), None)


@pytest.fixture
def server() -> Iterator[Server]:
    listener = serve(echo, "127.0.0.1", 0, select_subprotocol=choose, max_size=None)
    thread = Thread(target=listener.serve_forever, name="websocket server")
    thread.start()
    yield listener
    listener.shutdown()
    thread.join()


Open = Callable[..., ClientConnection]


@pytest.fixture
def opened(proxy: RunningProxy, server: Server) -> Iterator[Open]:
    """Open websockets through the proxy, closed after the test."""
    host, port = server.socket.getsockname()[:2]
    proxy.add("/ws", f"http://{host}:{port}")
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(
            connect(f"ws://127.0.0.1:{proxy.port}/ws", max_size=None, proxy=None, **how)
        )


@pytest.mark.parametrize("message", ["hello", "Zoë ☃", "", b"\x00\xff" * 10, b""])
@pytest.mark.parametrize("compression", ["deflate", None])
def test_messages_go_through(opened: Open, message: str | bytes, compression: str | None) -> None:
    websocket = opened(compression=compression)
    websocket.send(message)
    assert websocket.recv(15) == message


def test_many_messages_keep_their_order(opened: Open) -> None:
    websocket = opened()
    for number in range(300):
        websocket.send(str(number))
    assert [websocket.recv(15) for _ in range(300)] == [str(number) for number in range(300)]


@pytest.mark.parametrize("size", [125, 126, 65535, 65536, 3_000_000])
def test_messages_of_every_length_encoding_go_through(opened: Open, size: int) -> None:
    websocket = opened(compression=None)
    websocket.send(b"x" * size)
    assert websocket.recv(15) == b"x" * size


def test_a_message_in_fragments_goes_through(opened: Open) -> None:
    websocket = opened()
    websocket.send(iter(["one ", "two ", "three"]))
    assert websocket.recv(15) == "one two three"


def test_fragments_are_not_joined_on_the_way(proxy: RunningProxy, make_target: MakeTarget) -> None:
    server = FrameServer(echo=True)
    proxy.add("/x", make_target(server).url)
    with proxy.connect() as client:
        handshake(client, "/x")
        client.send(client_frame(TEXT, b"one ", final=False))
        client.send(client_frame(CONTINUATION, b"two"))
        assert [read_frame(client) for _ in "12"] == [(TEXT, b"one "), (CONTINUATION, b"two")]
    assert server.frames[:2] == [(TEXT, b"one "), (CONTINUATION, b"two")]


def test_compression_is_agreed_between_the_ends(opened: Open) -> None:
    websocket = opened(compression="deflate")
    assert websocket.response is not None
    assert "permessage-deflate" in websocket.response.headers["Sec-WebSocket-Extensions"]
    websocket.send("x" * 100_000)
    assert websocket.recv(15) == "x" * 100_000


def test_the_subprotocol_is_agreed_between_the_ends(opened: Open) -> None:
    assert opened(subprotocols=["a", "b"]).subprotocol == "b"


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3456, 4999])
def test_a_close_code_of_the_target_reaches_the_client(opened: Open, code: int) -> None:
    websocket = opened()
    websocket.send(f"close {code}")
    with pytest.raises(ConnectionClosed) as closed:
        websocket.recv(15)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, "as you wish")


def test_a_close_code_of_the_client_reaches_the_target(
    proxy: RunningProxy, make_target: MakeTarget
) -> None:
    server = FrameServer()
    proxy.add("/x", make_target(server).url)
    with connect(f"ws://127.0.0.1:{proxy.port}/x", proxy=None) as websocket:
        websocket.close(4321, "mine")
    assert server.frames == [(0x8, (4321).to_bytes(2) + b"mine")]


def test_pings_are_answered_by_the_other_end(opened: Open) -> None:
    assert opened().ping("are you there").wait(15)


@better("it leaves the connection open, and its status line lacks a blank", hangs=True)
def test_a_missing_route_is_a_refused_handshake(proxy: RunningProxy) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(f"ws://127.0.0.1:{proxy.port}/nobody", proxy=None),
    ):
        pass
    assert refused.value.response.status_code == 404
