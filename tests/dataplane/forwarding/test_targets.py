"""Targets of every kind: TLS with an authority and a certificate, unix sockets, IPv6."""

import socket
import ssl
from pathlib import Path
from urllib.parse import quote

import pytest

from hubgate.certificates.authority import make_authority, make_server
from hubgate.model import ClientTLS, Timeouts
from tests.certificates.made import Files, make_files, write
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import Target, echo, exchange
from tests.dataplane.wire import TLSWire, request

GET = request("GET", "/a")


def trusting(authority: str, **more: object) -> dict[str, ClientTLS]:
    """Return the settings of a data plane that trusts `authority`."""
    return {"client_tls": ClientTLS(ca=authority, **more)}  # type: ignore[arg-type]


# --- TLS -------------------------------------------------------------------------------------


async def test_a_target_over_tls(
    start_front: StartFront,
    start_target: StartTarget,
    server_tls: ssl.SSLContext,
    certificates: Files,
) -> None:
    target = await start_target(tls=server_tls)
    front = await start_front(config=trusting(certificates.ca))
    front.route("/", target.url)
    seen, got = await exchange(front, target, GET)

    assert seen.line == "GET /a HTTP/1.1"
    assert seen.get("host") == "hub"
    assert seen.get("x-forwarded-proto") == "http"
    assert got.body == b"hello"


async def test_connections_over_tls_are_kept(
    start_front: StartFront,
    start_target: StartTarget,
    server_tls: ssl.SSLContext,
    certificates: Files,
) -> None:
    target = await start_target(echo, tls=server_tls)
    front = await start_front(config=trusting(certificates.ca))
    front.route("/", target.url)
    for _ in range(5):
        assert (await front.ask("POST", "/", body=b"data")).body.endswith(b"data")

    assert target.accepted == 1


async def test_a_large_body_both_ways_over_tls(
    start_front: StartFront,
    start_target: StartTarget,
    server_tls: ssl.SSLContext,
    certificates: Files,
) -> None:
    target = await start_target(echo, tls=server_tls)
    front = await start_front(config=trusting(certificates.ca))
    front.route("/", target.url)
    data = bytes(range(256)) * 8192

    assert (await front.ask("POST", "/", body=data)).body.endswith(data)


async def test_a_tunnel_to_a_target_over_tls(
    start_front: StartFront,
    start_target: StartTarget,
    server_tls: ssl.SSLContext,
    certificates: Files,
) -> None:
    target = await start_target(tls=server_tls)
    front = await start_front(config=trusting(certificates.ca))
    front.route("/", target.url)
    client = await front.client()
    await client.send(request("GET", "/", "Connection: Upgrade", "Upgrade: x") + b"early")
    wire = await target.accept()
    await wire.read_request()
    await wire.send(b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nwelcome")
    assert (await client.read_response()).status == 101
    assert await client.read_exactly(7) == b"welcome"
    assert await wire.read_exactly(5) == b"early"

    wire.close()
    assert await client.ending() == "end"


async def test_an_authority_nobody_trusts_is_503(
    start_front: StartFront,
    start_target: StartTarget,
    server_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    target = await start_target(tls=server_tls)
    front = await start_front(config=trusting(make_files(tmp_path).ca))
    front.route("/", target.url)

    assert (await front.ask("GET", "/")).status == 503


async def test_a_certificate_need_not_be_looked_at(
    start_front: StartFront, start_target: StartTarget, server_tls: ssl.SSLContext
) -> None:
    target = await start_target(tls=server_tls)
    front = await start_front(config={"client_tls": ClientTLS(verify=False)})
    front.route("/", target.url)
    _, got = await exchange(front, target, GET)

    assert got.body == b"hello"


@pytest.mark.parametrize("shown", [True, False])
async def test_a_target_that_wants_to_see_a_certificate(
    start_front: StartFront, start_target: StartTarget, tmp_path: Path, shown: bool
) -> None:
    authority = make_authority()
    server = write(tmp_path, "server", make_server(authority, ("127.0.0.1",), days=30), authority)
    proxy = write(tmp_path, "proxy", make_server(authority, ("proxy",), days=30), authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.cert, server.key)
    context.load_verify_locations(server.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    target = await start_target(tls=context)
    mine = {"cert": proxy.cert, "key": proxy.key} if shown else {}
    front = await start_front(config=trusting(server.ca, **mine))
    front.route("/", target.url)
    if not shown:
        assert (await front.ask("GET", "/")).status == 503
        return

    _, got = await exchange(front, target, GET)
    assert got.body == b"hello"
    (wire,) = target.wires
    assert isinstance(wire, TLSWire)
    names = (wire.tls.getpeercert() or {})["subjectAltName"]
    assert ("DNS", "proxy") in names


async def test_plain_where_tls_was_expected_is_503(
    start_front: StartFront, start_target: StartTarget, certificates: Files
) -> None:
    target = await start_target(echo)
    front = await start_front(
        config=trusting(certificates.ca), timeouts=Timeouts(connect=1, ready=0)
    )
    front.route("/", target.url.replace("http", "https"))

    assert (await front.ask("GET", "/")).status == 503


# --- unix sockets and IPv6 -------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http+unix", "unix+http"])
async def test_a_target_on_a_unix_socket(
    start_front: StartFront, start_target: StartTarget, tmp_path: Path, scheme: str
) -> None:
    path = str(tmp_path / "note book.sock")
    target = await start_target(family=socket.AF_UNIX, address=path)
    front = await start_front()
    front.route("/", f"{scheme}://{quote(path, safe='')}/base")
    seen, got = await exchange(front, target, GET)

    assert seen.line == "GET /base/a HTTP/1.1"
    assert seen.get("host") == "hub"
    assert got.body == b"hello"


async def test_a_unix_socket_as_origin(
    start_front: StartFront, start_target: StartTarget, tmp_path: Path
) -> None:
    path = str(tmp_path / "a.sock")
    target = await start_target(family=socket.AF_UNIX, address=path)
    front = await start_front(change_origin=True)
    front.route("/", f"http+unix://{quote(path, safe='')}")
    seen, _ = await exchange(front, target, GET)

    assert seen.get("host") == "localhost"


async def test_no_such_unix_socket_is_503(start_front: StartFront, tmp_path: Path) -> None:
    front = await start_front(timeouts=Timeouts(ready=0))
    front.route("/", f"http+unix://{quote(str(tmp_path / 'none.sock'), safe='')}")

    assert (await front.ask("GET", "/")).status == 503


async def test_a_target_over_ipv6(start_front: StartFront, start_target: StartTarget) -> None:
    target = await start_target(family=socket.AF_INET6, address=("::1", 0))
    front = await start_front(change_origin=True)
    front.route("/", f"http://[::1]:{target.port}")
    seen, got = await exchange(front, target, GET)

    assert seen.get("host") == f"[::1]:{target.port}"
    assert got.body == b"hello"


async def test_a_target_by_name(start_front: StartFront, target: Target) -> None:
    front = await start_front()
    front.route("/", f"http://localhost:{target.port}")
    _, got = await exchange(front, target, GET)

    assert got.body == b"hello"


# --- which one -------------------------------------------------------------------------------


async def test_each_route_has_its_target(
    start_front: StartFront, start_target: StartTarget
) -> None:
    alice, bob = await start_target(echo), await start_target(echo)
    front = await start_front()
    front.route("/user/alice", alice.url)
    front.route("/user/bob", bob.url)
    for name in ("alice", "bob", "alice"):
        assert (await front.ask("GET", f"/user/{name}/x")).status == 200

    assert (alice.accepted, bob.accepted) == (1, 1)


async def test_a_changed_route_takes_the_next_request(
    start_front: StartFront, start_target: StartTarget
) -> None:
    old, new = await start_target(), await start_target(echo)
    front = await start_front()
    front.route("/", old.url)
    client = await front.client()
    await client.send(GET)
    wire = await old.accept()
    await wire.read_request()
    front.route("/", new.url)
    assert (await front.ask("GET", "/")).status == 200

    # What is under way stays where it began.
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold")
    assert (await client.read_response()).body == b"old"
    await client.send(GET)
    assert (await client.read_response()).body.startswith(b"GET /a")


async def test_hosts_choose_among_native_routes(
    start_front: StartFront, start_target: StartTarget
) -> None:
    hub, docs = await start_target(echo), await start_target(echo)
    front = await start_front(native_routes=True)
    front.route("/", hub.url)
    front.route("docs.example/", docs.url)
    await front.ask("GET", "/", host="docs.example:8000")
    assert (hub.accepted, docs.accepted) == (0, 1)

    await front.ask("GET", "http://docs.example/", host="other")
    await front.ask("GET", "/", host="other")
    assert (hub.accepted, docs.accepted) == (1, 1)
