"""What targets are told of the client, and whose word counts."""

import socket
import ssl
from pathlib import Path

import pytest

from hubgate.dataplane.forwarding.trust import Trust
from tests.dataplane.conftest import StartFront
from tests.dataplane.peers import Front, Target, exchange, listening
from tests.dataplane.wire import Message, request

TWO_ADDRESSES = ["127.0.0.1", "127.0.0.2"]
SAID = [
    "X-Forwarded-For: 192.0.2.7",
    "X-Forwarded-Port: 4443",
    "X-Forwarded-Proto: gopher",
    "X-Forwarded-Host: outer.example",
    "Forwarded: for=192.0.2.7",
]


def forwarded(seen: Message) -> dict[str, str | None]:
    """Return what `seen` says of the client."""
    names = ("for", "port", "proto", "host")
    return {name: seen.get(f"X-Forwarded-{name}") for name in names}


async def told(front: Front, target: Target, *lines: str, host: str = "hub") -> Message:
    front.route("/", target.url)
    seen, _ = await exchange(front, target, request("GET", "/", *lines, host=host))
    return seen


# --- what is said ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("hub", "80"),
        ("hub:8000", "8000"),
        ("hub:", "80"),
        ("[::1]", "80"),
        ("[::1]:8000", "8000"),
    ],
)
async def test_a_client_is_described(front: Front, target: Target, host: str, port: str) -> None:
    seen = await told(front, target, host=host)

    assert forwarded(seen) == {"for": "127.0.0.1", "port": port, "proto": "http", "host": host}


@pytest.mark.parametrize(("host", "port"), [("hub", "443"), ("hub:8443", "8443")])
async def test_a_client_over_tls(
    secured: Front, target: Target, client_tls: ssl.SSLContext, host: str, port: str
) -> None:
    client = await secured.tls_client(client_tls)
    await client.send(request("GET", "/", host=host))
    seen = await (await target.accept()).read_request()

    assert forwarded(seen) == {"for": "127.0.0.1", "port": port, "proto": "https", "host": host}


@pytest.mark.parametrize("secure", [False, True])
async def test_an_upgrade_has_the_scheme_of_websockets(
    start_front: StartFront,
    target: Target,
    client_tls: ssl.SSLContext,
    server_settings: dict[str, object],
    secure: bool,
) -> None:
    front = await start_front(config=server_settings if secure else {})
    front.route("/", target.url)
    client = await front.tls_client(client_tls) if secure else await front.client()
    await client.send(request("GET", "/", "Connection: Upgrade", "Upgrade: websocket"))
    seen = await (await target.accept()).read_request()

    assert seen.get("x-forwarded-proto") == ("wss" if secure else "ws")


async def test_http_10_without_a_host(joined: Front, target: Target) -> None:
    seen, _ = await exchange(joined, target, b"GET / HTTP/1.0\r\n\r\n")

    assert forwarded(seen) == {"for": "127.0.0.1", "port": "80", "proto": "http", "host": None}


async def test_each_request_is_described_by_its_own_host(joined: Front, target: Target) -> None:
    client = await joined.client()
    hosts = ["a:1", "a:1", "b:2", "a:1"]
    await client.send(b"".join(request("GET", "/", host=host) for host in hosts))
    wire = await target.accept()
    for host in hosts:
        seen = await wire.read_request()
        assert seen.get("x-forwarded-host") == host
        assert seen.get("x-forwarded-port") == host[2:]
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


async def test_clients_that_send_the_same_are_told_apart(joined: Front, target: Target) -> None:
    clients = {address: await joined.client(address=address) for address in TWO_ADDRESSES}
    # Several connections of each, one after the other: what one taught must serve nobody else.
    for address in TWO_ADDRESSES * 3:
        again = await joined.client(address=address)
        for client in (again, clients[address]):
            await client.send(request("GET", "/"))
            wire = await target.accept()
            seen = await wire.read_request()
            assert seen.get("x-forwarded-for") == address
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await client.read_response()


# --- what was said before --------------------------------------------------------------------


async def test_everybody_is_believed_unless_told_otherwise(front: Front, target: Target) -> None:
    seen = await told(front, target, *SAID)

    assert forwarded(seen) == {
        "for": "192.0.2.7,127.0.0.1",
        "port": "4443,80",
        "proto": "gopher,http",
        "host": "outer.example",
    }
    assert seen.get("forwarded") == "for=192.0.2.7"


async def test_words_that_came_twice_are_one_list(front: Front, target: Target) -> None:
    lines = ["X-Forwarded-For: 192.0.2.1", "x-forwarded-for: 192.0.2.2, 192.0.2.3"]
    seen = await told(front, target, *lines)

    assert seen.get("x-forwarded-for") == "192.0.2.1, 192.0.2.2, 192.0.2.3,127.0.0.1"


async def test_a_stranger_is_not_believed(start_front: StartFront, target: Target) -> None:
    front = await start_front(trusted_peers=("10.0.0.0/8",))
    seen = await told(front, target, *SAID)

    assert forwarded(seen) == {"for": "127.0.0.1", "port": "80", "proto": "http", "host": "hub"}
    assert seen.get("forwarded") is None


async def test_who_says_the_same_is_believed_or_not(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(trusted_peers=("127.0.0.2/32",))
    front.route("/", target.url)
    for address in TWO_ADDRESSES * 2:
        client = await front.client(address=address)
        await client.send(request("GET", "/", *SAID))
        wire = await target.accept()
        told = (await wire.read_request()).get("x-forwarded-for")
        assert told == ("192.0.2.7,127.0.0.2" if address == "127.0.0.2" else address)
        wire.close()


async def test_nobody_may_be_believed(start_front: StartFront, target: Target) -> None:
    front = await start_front(trusted_peers=())

    assert (await told(front, target, *SAID)).get("x-forwarded-for") == "127.0.0.1"


async def test_a_peer_on_the_list_is_believed(start_front: StartFront, target: Target) -> None:
    front = await start_front(trusted_peers=("10.0.0.0/8", "127.0.0.0/8"))

    assert (await told(front, target, *SAID)).get("x-forwarded-for") == "192.0.2.7,127.0.0.1"


async def test_what_one_request_said_is_not_said_of_the_next(front: Front, target: Target) -> None:
    front.route("/", target.url)
    client = await front.client()
    await client.send(request("GET", "/", *SAID) + request("GET", "/"))
    wire = await target.accept()
    assert (await wire.read_request()).get("x-forwarded-for") == "192.0.2.7,127.0.0.1"
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    assert (await wire.read_request()).get("x-forwarded-for") == "127.0.0.1"


async def test_a_stranger_is_not_believed_over_an_upgrade_either(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(trusted_peers=())
    seen = await told(front, target, *SAID, "Connection: Upgrade", "Upgrade: websocket")

    assert forwarded(seen) == {"for": "127.0.0.1", "port": "80", "proto": "ws", "host": "hub"}


# --- saying nothing --------------------------------------------------------------------------


async def test_nothing_need_be_said(start_front: StartFront, target: Target) -> None:
    front = await start_front(x_forward=False)
    seen = await told(front, target)

    assert not any(name.startswith("x-forwarded") for name in seen.names)


async def test_saying_nothing_leaves_the_words_of_the_trusted(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(x_forward=False)
    seen = await told(front, target, *SAID)

    assert forwarded(seen) == {
        "for": "192.0.2.7",
        "port": "4443",
        "proto": "gopher",
        "host": "outer.example",
    }


async def test_saying_nothing_does_not_let_strangers_speak(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(x_forward=False, trusted_peers=())
    seen = await told(front, target, *SAID)

    assert not any("forwarded" in name for name in seen.names)


# --- addresses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("networks", "peer", "believed"),
    [
        (None, "192.0.2.1", True),
        ((), "192.0.2.1", False),
        (("192.0.2.0/24",), "192.0.2.1", True),
        (("192.0.2.0/24",), "192.0.3.1", False),
        (("192.0.2.1",), "192.0.2.1", True),
        (("192.0.2.0/24",), "::ffff:192.0.2.1", True),
        (("::1",), "::1", True),
        (("::1",), "127.0.0.1", False),
        (("fe80::/10",), "fe80::1%eth0", True),
        (("10.0.0.0/8", "fd00::/8"), "fd00::1", True),
        ((), "", True),
    ],
)
def test_which_peers_are_trusted(
    networks: tuple[str, ...] | None, peer: str, believed: bool
) -> None:
    assert Trust(networks).trusts(peer) is believed


async def test_a_peer_on_a_unix_socket_is_trusted_and_has_no_address(
    start_front: StartFront, target: Target, tmp_path: Path
) -> None:
    sock = listening(socket.AF_UNIX, str(tmp_path / "front.sock"))
    front = await start_front(sock=sock, trusted_peers=())
    seen = await told(front, target, *SAID)
    assert seen.get("x-forwarded-for") == "192.0.2.7"
    assert seen.get("x-forwarded-proto") == "gopher,http"

    seen = await exchange_again(front, target)
    assert seen.get("x-forwarded-for") is None
    assert seen.get("x-forwarded-proto") == "http"


async def exchange_again(front: Front, target: Target) -> Message:
    """Return the next request that the target's only connection gets."""
    client = await front.client()
    await client.send(request("GET", "/"))
    return await target.wires[0].read_request()
