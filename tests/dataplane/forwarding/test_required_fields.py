"""Statuses that are of no use without a certain field: the client gets it, whoever responds."""

import socket
from pathlib import Path

import pytest

from tests.dataplane.conftest import StartFront
from tests.dataplane.forwarding.exchanges import GET, GET_10, GET_10_KEPT
from tests.dataplane.peers import Front, Target, exchange, listening, url_of
from tests.dataplane.wire import Message, Wire, request, response

# RFC 9110: sections 15.3.7, 15.4.5, 15.5.2, 15.5.6, 15.5.8, 15.5.17, 15.5.22, 10.2.3 and 14.3.
OF_TARGETS = [
    (201, ["Location: /a/b"]),
    (206, ["Content-Range: bytes 0-4/10", "ETag: \"a\"", "Accept-Ranges: bytes"]),
    (301, ["Location: https://elsewhere/"]),
    (
        304,
        [
            *("ETag: W/\"a\"", "Date: Thu, 01 Jan 1970 00:00:00 GMT", "Vary: Cookie"),
            *("Cache-Control: no-cache", "Expires: 0", "Content-Location: /a", "Last-Modified: x"),
        ],
    ),
    (401, ["WWW-Authenticate: Basic realm=\"x\"", "WWW-Authenticate: Negotiate"]),
    (405, ["Allow: GET, PUT"]),
    (405, ["Allow:"]),
    (407, ["Proxy-Authenticate: Basic realm=\"x\"", "Proxy-Authentication-Info: a"]),
    (413, ["Retry-After: 7"]),
    (415, ["Accept-Post: text/html", "Accept-Encoding: gzip"]),
    (416, ["Content-Range: bytes */10"]),
    (426, ["Upgrade: websocket"]),
    (429, ["Retry-After: 7"]),
    (503, ["Retry-After: Thu, 01 Jan 1970 00:00:00 GMT"]),
]  # fmt: skip
ASKED = [GET, request("HEAD", "/"), GET_10, GET_10_KEPT]
# Spelled as we would write it, and not.
SPELLINGS = ["Content-Length: 0", "content-length:  0"]


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(("status", "lines"), OF_TARGETS)
async def test_what_a_target_says_is_kept(
    joined: Front, target: Target, status: int, lines: list[str], spelling: str, asked: bytes
) -> None:
    length = [] if status == 304 else [spelling]
    answer = response(status, *lines, "Connection: keep-alive", *length, body=None)
    _, got = await exchange(joined, target, asked, answer)
    assert got.status == status
    for line in lines:
        name, _, value = line.partition(":")
        assert value.strip() in got.all(name)


@pytest.mark.parametrize(
    ("asked", "rest"), [(GET, []), (GET_10, ["close"]), (GET_10_KEPT, ["keep-alive"])]
)
@pytest.mark.parametrize(
    "lines",
    [
        ["Upgrade: TLS/1.0, websocket", "Connection: Upgrade"],
        ["upgrade: TLS/1.0", "UPGRADE:  websocket", "Connection: close, X-Secret, upgrade"],
        ["Upgrade: TLS/1.0, websocket, TLS/1.0"],
    ],
)
async def test_a_426_names_the_protocols_and_connection_names_the_field(
    joined: Front, target: Target, lines: list[str], asked: bytes, rest: list[str]
) -> None:
    answer = response(426, *lines, "X-Secret: 1", body=b"please")
    _, got = await exchange(joined, target, asked, answer)
    assert got.get("upgrade") == "TLS/1.0, websocket"
    assert got.get("connection") == ", ".join(["Upgrade", *rest])
    assert (got.get("x-secret") is None) == ("X-Secret" in "".join(lines))
    assert got.body == b"please"


@pytest.mark.parametrize("status", [200, 400, 404, 503])
async def test_other_responses_offer_no_protocol(
    joined: Front, target: Target, status: int
) -> None:
    answer = response(status, "Upgrade: h2,h2c", "Connection: Upgrade")
    _, got = await exchange(joined, target, GET, answer)
    assert got.get("upgrade") is None
    assert got.get("connection") is None


async def test_a_426_to_a_handshake_is_the_last_response(joined: Front, target: Target) -> None:
    sent = request("GET", "/", "Connection: Upgrade", "Upgrade: other")
    _, got = await exchange(joined, target, sent, response(426, "Upgrade: websocket"))
    assert got.get("upgrade") == "websocket"
    assert got.get("connection") == "Upgrade, close"


@pytest.mark.parametrize("pages", ["built in", "error path", "error target"])
@pytest.mark.parametrize("http10", [False, True])
@pytest.mark.parametrize(
    ("method", "path", "status", "name"),
    [
        ("GET", "/dead", 503, "Retry-After"),
        ("HEAD", "/dead", 503, "Retry-After"),
        ("TRACE", "/dead", 405, "Allow"),
    ],
)
async def test_our_own_responses_have_it_whatever_the_page(
    start_front: StartFront,
    start_target: object,
    refusing: socket.socket,
    tmp_path: Path,
    method: str, path: str, status: int, name: str, http10: bool, pages: str,
) -> None:  # fmt: skip
    async def page(wire: Wire) -> None:
        await wire.read_request()
        await wire.send(response(200, "Content-Type: text/x", "X-Other: 1", body=b"of a target"))

    rules = {}
    if pages == "error path":
        (tmp_path / "error.html").write_text("of a folder")
        rules["error_path"] = str(tmp_path)
    elif pages == "error target":
        rules["error_target"] = (await start_target(page)).url  # type: ignore[operator]
    front = await start_front(**rules)
    front.route("/dead", url_of(refusing))
    got = await asked_on(front, front.port, method, path, http10)
    assert got.status == status
    assert got.get(name)
    if pages == "error target" and status == 503:
        assert got.get("content-type") == "text/x"
        assert got.get("x-other") is None


@pytest.mark.parametrize("http10", [False, True])
async def test_so_do_those_of_the_redirecting_port(start_front: StartFront, http10: bool) -> None:
    plain = listening(socket.AF_INET, ("127.0.0.1", 0))
    port = plain.getsockname()[1]
    front = await start_front(config={"redirect_to": 443}, redirect=[plain])
    assert (await asked_on(front, port, "TRACE", "/", http10)).get("allow")
    assert (await asked_on(front, port, "GET", "/", http10)).get("location")


async def asked_on(front: Front, port: int, method: str, path: str, http10: bool) -> Message:
    wire = Wire(socket.create_connection(("127.0.0.1", port)))
    front.clients.append(wire)
    sent = request(method, path)
    await wire.send(sent.replace(b"HTTP/1.1", b"HTTP/1.0") if http10 else sent)
    return await wire.read_response(to=method)
