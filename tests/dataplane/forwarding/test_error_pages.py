"""What clients see when there is nothing to forward: built in, from a folder, from a target."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from hubgate.model import Timeouts
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import Front, Target, answering, until
from tests.dataplane.wire import Message, Wire, chunked, request, response

NOTHING = request("GET", "/nothing?a=b")
UPGRADE = ["Connection: Upgrade", "Upgrade: websocket"]


# --- built in --------------------------------------------------------------------------------


async def test_the_built_in_page_says_what_happened(front: Front) -> None:
    got = await front.ask("GET", "/nothing")

    assert got.line == "HTTP/1.1 404 Not Found"
    assert got.get("content-type") == "text/html; charset=utf-8"
    assert b"<title>404 Not Found</title>" in got.body
    assert b"nothing at this address" in got.body
    assert got.get("connection") is None


async def test_the_built_in_page_never_repeats_what_was_asked_for(front: Front) -> None:
    got = await front.ask("GET", "/%3Cscript%3Ealert(1)%3C/script%3E?<script>")

    assert b"script" not in got.body


async def test_a_program_gets_json(front: Front) -> None:
    got = await front.ask("GET", "/nothing", "Accept: application/json")

    assert got.status == 404
    assert got.get("content-type") == "application/json"
    assert json.loads(got.body)["status"] == 404


@pytest.mark.parametrize("accept", ["text/html, application/json", "*/*", "application/xml"])
async def test_everybody_else_gets_a_page(front: Front, accept: str) -> None:
    got = await front.ask("GET", "/nothing", f"Accept: {accept}")

    assert got.get("content-type") == "text/html; charset=utf-8"


async def test_an_answer_to_head_has_no_body(front: Front) -> None:
    client = await front.client()
    await client.send(request("HEAD", "/nothing") + request("GET", "/_chp_healthz"))
    got = await client.read_response(to="HEAD")
    assert got.status == 404
    assert int(got.get("content-length") or 0) > 100

    assert (await client.read_response()).status == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 70000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 70000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414),
        (b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", 405),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
    ],
)
async def test_a_bad_request_gets_its_answer_and_the_end(
    joined: Front, target: Target, sent: bytes, status: int
) -> None:
    client = await joined.client()
    await client.send(sent)
    got = await client.read_response()
    assert got.status == status
    assert got.get("connection") == "close"
    assert await client.ending() == "end"
    assert target.accepted == 0


async def test_a_503_says_when_to_come_back(start_front: StartFront) -> None:
    front = await start_front(timeouts=Timeouts(ready=0))
    front.route("/", "http://127.0.0.1:1")

    assert int((await front.ask("GET", "/")).get("retry-after") or 0) >= 1


@pytest.mark.parametrize("rules", [{}, {"error_target": "http://127.0.0.1:1"}])
async def test_an_upgrade_gets_an_empty_answer_and_the_end(
    start_front: StartFront, rules: dict[str, str]
) -> None:
    front = await start_front(**rules)
    client = await front.client()
    await client.send(request("GET", "/nothing", *UPGRADE))
    got = await client.read_response()

    assert (got.status, got.body) == (404, b"")
    assert await client.ending() == "end"


# --- health ----------------------------------------------------------------------------------


async def test_health_comes_before_any_routing(joined: Front, target: Target) -> None:
    got = await joined.ask("GET", "/_chp_healthz")

    assert got.status == 200
    assert got.get("content-type") == "application/json"
    assert json.loads(got.body) == {"status": "OK"}
    assert target.accepted == 0


async def test_health_may_be_asked_with_head(front: Front) -> None:
    assert (await front.ask("HEAD", "/_chp_healthz")).status == 200


# --- from a folder ---------------------------------------------------------------------------


async def test_a_folder_has_a_page_for_each_status(start_front: StartFront, tmp_path: Path) -> None:
    (tmp_path / "404.html").write_text("our 404")
    (tmp_path / "error.html").write_text("our page")
    front = await start_front(error_path=str(tmp_path), timeouts=Timeouts(ready=0))
    front.route("/down", "http://127.0.0.1:1")
    front.route("/bad", "nonsense")

    for path, status, body in [
        ("/nothing", 404, b"our 404"),
        ("/down", 503, b"our page"),
        ("/bad", 503, b"our page"),
    ]:
        got = await front.ask("GET", path)
        assert (got.status, got.body) == (status, body)
        assert got.get("content-type") == "text/html"


async def test_a_folder_without_pages_leaves_the_built_in_one(
    start_front: StartFront, tmp_path: Path
) -> None:
    front = await start_front(error_path=str(tmp_path))

    assert b"nothing at this address" in (await front.ask("GET", "/nothing")).body


async def test_a_page_that_cannot_be_read_to_its_end_leaves_the_next_one(
    start_front: StartFront, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "404.html")
    (tmp_path / "error.html").symlink_to("/dev/zero")
    front = await start_front(error_path=str(tmp_path))

    assert b"<title>404 Not Found</title>" in (await front.ask("GET", "/nothing")).body


async def test_a_page_may_change_while_we_run(start_front: StartFront, tmp_path: Path) -> None:
    front = await start_front(error_path=str(tmp_path))
    for text in (b"one", b"another"):
        (tmp_path / "404.html").write_bytes(text)
        assert (await front.ask("GET", "/nothing")).body == text


# --- from a target ---------------------------------------------------------------------------


async def asked(front: Front, pages: Target, answer: bytes) -> tuple[Message, Message]:
    """Ask for nothing, let the error target give `answer`; return its request and the outcome."""
    client = await front.client()
    await client.send(NOTHING)
    wire = await pages.accept()
    seen = await wire.read_request()
    await wire.send(answer)
    return seen, await client.read_response()


async def test_an_error_target_is_asked_for_the_page(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(error_target=target.url + "/hub/error")
    lines = ["Content-Type: text/x", "Content-Encoding: br", "Set-Cookie: a=b", "X-Other: c"]
    seen, got = await asked(front, target, response(200, *lines, body=b"made for you"))

    assert seen.method == "GET"
    assert seen.path == "/hub/error/404?url=%2Fnothing%3Fa%3Db"
    assert seen.get("host") == f"127.0.0.1:{target.port}"
    assert (got.status, got.body) == (404, b"made for you")
    assert got.get("content-type") == "text/x"
    assert got.get("content-encoding") == "br"
    assert got.names.isdisjoint({"set-cookie", "x-other"})


@pytest.mark.parametrize("path", ["", "/", "/hub/error/", "/hub/error"])
async def test_slashes_at_the_end_do_not_matter(
    start_front: StartFront, target: Target, path: str
) -> None:
    front = await start_front(error_target=target.url + path)
    seen, _ = await asked(front, target, response(200))

    assert seen.path.startswith(path.rstrip("/") + "/404?url=")


@pytest.mark.parametrize(
    "answer",
    [
        response(404, body=b"page"),
        response(200, "Transfer-Encoding: chunked", body=None) + chunked(b"pa", b"ge"),
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + response(500, body=b"page"),
    ],
)
async def test_any_answer_of_the_error_target_is_a_page(
    start_front: StartFront, target: Target, answer: bytes
) -> None:
    front = await start_front(error_target=target.url)
    _, got = await asked(front, target, answer)

    assert (got.status, got.body) == (404, b"page")


async def test_a_page_until_the_end_of_the_connection(
    start_front: StartFront, start_target: StartTarget
) -> None:
    pages = await start_target(answering(response(200, body=None) + b"page"))
    front = await start_front(error_target=pages.url)

    assert (await front.ask("GET", "/nothing")).body == b"page"


async def test_the_connection_to_the_error_target_is_kept(
    start_front: StartFront, start_target: StartTarget
) -> None:
    pages = await start_target(answering(*[response(200, body=b"page")] * 5))
    front = await start_front(error_target=pages.url)
    client = await front.client()
    for number in range(5):
        await client.send(request("GET", f"/{number}"))
        got = await client.read_response()
        assert (got.status, got.body) == (404, b"page")

    assert pages.accepted == 1


async def test_a_stale_connection_to_the_error_target_is_replaced(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(error_target=target.url)
    await asked(front, target, response(200, body=b"page"))
    client = await front.client()
    await client.send(request("GET", "/other"))
    await target.wires[0].read_request()
    target.wires[0].close()
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, body=b"again"))

    assert (await client.read_response()).body == b"again"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        response(200, body=bytes(3 << 20)),
    ],
    ids=["nothing", "half a head", "half a page", "nonsense", "a switch", "too much"],
)
async def test_a_page_that_is_none_leaves_the_built_in_one(
    start_front: StartFront, start_target: StartTarget, answer: bytes
) -> None:
    pages = await start_target(answering(answer))
    front = await start_front(error_target=pages.url)
    got = await front.ask("GET", "/nothing")

    assert got.status == 404
    assert b"nothing at this address" in got.body


async def test_an_error_target_that_is_down_leaves_the_built_in_page(
    start_front: StartFront,
) -> None:
    front = await start_front(error_target="http://127.0.0.1:1")

    assert b"nothing at this address" in (await front.ask("GET", "/nothing")).body


async def test_an_error_target_that_is_silent_leaves_the_built_in_page(
    start_front: StartFront, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    front = await start_front(error_target=target.url, timeouts=Timeouts(connect=0.3))

    assert b"nothing at this address" in (await front.ask("GET", "/nothing")).body
    assert await target.wires[0].drain() in ("end", "reset")
    line = "failed to get the custom error page for 404: it did not arrive within 0.3 s"
    assert line in caplog.messages


async def test_an_error_target_that_fails_leaves_its_clients_connection_open(
    start_front: StartFront,
) -> None:
    front = await start_front(error_target="http://127.0.0.1:1")
    client = await front.client()
    for _ in range(3):
        await client.send(NOTHING)
        assert (await client.read_response()).status == 404


async def test_the_error_target_is_asked_for_a_dead_targets_page_too(
    start_front: StartFront, start_target: StartTarget, target: Target
) -> None:
    async def die(wire: Wire) -> None:
        await wire.read_request()

    dead = await start_target(die)
    front = await start_front(error_target=target.url)
    front.route("/", dead.url)
    seen, got = await asked(front, target, response(200, body=b"page"))

    assert seen.path.startswith("/503?")
    assert (got.status, got.body) == (503, b"page")


async def test_malformed_requests_are_not_the_error_targets_business(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(error_target=target.url)
    client = await front.client()
    await client.send(b"nonsense\r\n\r\n")

    assert (await client.read_response()).status == 400
    assert target.accepted == 0


async def test_a_pipelined_request_waits_for_the_page(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(error_target=target.url)
    client = await front.client()
    await client.send(NOTHING + request("GET", "/_chp_healthz"))
    wire = await target.accept()
    await wire.read_request()
    await asyncio.sleep(0.05)
    await wire.send(response(200, body=b"page"))

    assert (await client.read_response()).body == b"page"
    assert (await client.read_response()).status == 200


# --- in numbers ------------------------------------------------------------------------------


async def test_errors_are_counted_once(front: Front) -> None:
    front.route("/down", "nonsense")
    for path in ("/a/none", "/down", "/_chp_healthz"):
        await front.ask("GET", path)
    await until(lambda: front.open == 0, "the clients are gone")
    front.plane.report()
    await front.ask("GET", "/none")
    await front.ask("GET", "/down")
    counters = front.plane.report().counters

    assert counters["requests_web"] == 2
    assert counters["requests_proxy:404"] == 1
    assert counters["requests_proxy:503"] == 1
