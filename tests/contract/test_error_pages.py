"""The pages of errors that --error-target serves."""

import contextlib
import gzip
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.contract.better import better
from tests.contract.certificates import Certificates
from tests.contract.conftest import StartProxy
from tests.contract.harness import RunningProxy
from tests.contract.target import Connection, Target, answer, chunked, replying
from tests.contract.wire import Closed

DEAD = "http://127.0.0.1:9"


class ErrorServer:
    """A server of error pages that stays while the proxy which knows its URL is shared."""

    def __init__(self) -> None:
        self.reply = b""
        self.target = Target(self._serve)

    def _serve(self, connection: Connection) -> None:
        while True:
            connection.read_request()
            connection.send(self.reply)
            if b"Connection: close" in self.reply:
                return

    def asked(self) -> list[str]:
        return self.target.paths


@pytest.fixture(scope="module")
def pages() -> Iterator[ErrorServer]:
    server = ErrorServer()
    yield server
    server.target.stop()


@pytest.fixture
def nobody() -> str:
    """Return a path without a route, another in each test: pages may be kept for a moment."""
    return f"/nobody/{secrets.token_hex(4)}"


@pytest.fixture
def proxy(start: StartProxy, pages: ErrorServer) -> RunningProxy:
    pages.target.requests.clear()
    pages.reply = answer(200, b"<h1>sorry</h1>", ("Content-Type", "text/html; charset=x"))
    return start("--error-target", f"{pages.target.url}/hub/error")


def test_no_route_shows_the_targets_page_with_our_status(
    proxy: RunningProxy, pages: ErrorServer, nobody: str
) -> None:
    response = proxy.get(nobody)
    assert response.status == 404
    assert response.body == b"<h1>sorry</h1>"
    assert response.all("Content-Type") == ["text/html; charset=x"]


def test_it_is_asked_for_by_code_and_url(
    proxy: RunningProxy, pages: ErrorServer, nobody: str
) -> None:
    proxy.get(nobody)
    assert pages.target.last.method == "GET"
    assert urlsplit(pages.target.last.path).path == "/hub/error/404"
    assert parse_qs(urlsplit(pages.target.last.path).query) == {"url": [nobody]}


def test_a_dead_target_asks_for_503(proxy: RunningProxy, pages: ErrorServer) -> None:
    proxy.add("/x", DEAD)
    response = proxy.get("/x/y")
    assert (response.status, response.body) == (503, b"<h1>sorry</h1>")
    assert urlsplit(pages.target.last.path).path == "/hub/error/503"


@pytest.mark.parametrize(
    "path", ["/a%20b?x=1&y=2#", "/user/Zo%C3%AB/", "/?next=%2Fhub%2F&a+b", "/a=b&c;d"]
)
def test_the_url_is_the_raw_one_escaped(proxy: RunningProxy, pages: ErrorServer, path: str) -> None:
    proxy.get(path.rstrip("#"))
    query = urlsplit(pages.target.last.path).query
    assert parse_qs(query, strict_parsing=True) == {"url": [path.rstrip("#")]}


def test_the_page_is_asked_for_with_get_whatever_failed(
    proxy: RunningProxy, pages: ErrorServer, nobody: str
) -> None:
    with proxy.connect() as client:
        assert client.ask(nobody, method="POST", body=b"x").status == 404
    assert pages.target.last.method == "GET"
    assert pages.target.last.body == b""


def test_the_clients_headers_are_not_shown_to_it(
    proxy: RunningProxy, pages: ErrorServer, nobody: str
) -> None:
    proxy.get(nobody, ("Cookie", "secret=1"), ("Authorization", "token x"))
    assert {"cookie", "authorization"}.isdisjoint(pages.target.last.names)


def test_its_own_status_does_not_matter(
    proxy: RunningProxy, pages: ErrorServer, nobody: str
) -> None:
    pages.reply = answer(418, b"teapot")
    response = proxy.get(nobody)
    assert (response.status, response.body) == (404, b"teapot")


def test_its_content_encoding_comes_along(
    proxy: RunningProxy, pages: ErrorServer, nobody: str
) -> None:
    packed = gzip.compress(b"<h1>packed</h1>")
    pages.reply = answer(200, packed, ("Content-Encoding", "gzip"), ("Content-Type", "text/html"))
    response = proxy.get(nobody)
    assert response.all("Content-Encoding") == ["gzip"]
    assert gzip.decompress(response.body) == b"<h1>packed</h1>"


def test_its_other_headers_do_not_come_along(
    proxy: RunningProxy, pages: ErrorServer, nobody: str
) -> None:
    pages.reply = answer(200, b"sorry", ("Set-Cookie", "a=1"), ("X-Own", "1"))
    response = proxy.get(nobody)
    assert response.get("Set-Cookie") is None
    assert response.get("X-Own") is None


def test_its_page_may_come_chunked(proxy: RunningProxy, pages: ErrorServer, nobody: str) -> None:
    head = answer(200, b"", ("Transfer-Encoding", "chunked"), length=False)
    pages.reply = head + chunked(b"sor", b"ry")
    assert proxy.get(nobody).body == b"sorry"


def test_a_head_request_gets_the_status_alone(
    proxy: RunningProxy, pages: ErrorServer, nobody: str
) -> None:
    with proxy.connect() as client:
        assert client.ask(nobody, method="HEAD").status == 404
        assert client.ask("/_chp_healthz").status == 200


def test_an_answer_of_the_targets_own_is_left_alone(
    proxy: RunningProxy, pages: ErrorServer, target: Target
) -> None:
    target.script = replying(answer(503, b"busy"))
    proxy.add("/x", target.url)
    response = proxy.get("/x")
    assert (response.status, response.body) == (503, b"busy")
    assert not pages.asked()


@pytest.mark.parametrize("reply", [b"no http\r\n\r\n", b"Connection: close"])
def test_a_broken_error_target_falls_back_to_the_built_in_page(
    proxy: RunningProxy, pages: ErrorServer, reply: bytes, nobody: str
) -> None:
    pages.reply = reply
    response = proxy.get(nobody)
    assert response.status == 404
    assert response.body


def test_a_dead_error_target_falls_back_to_the_built_in_page(
    start: StartProxy, nobody: str
) -> None:
    proxy = start("--error-target", DEAD)
    response = proxy.get(nobody)
    assert response.status == 404
    assert b"Not Found" in response.body


def test_a_trailing_slash_of_the_error_target_is_not_doubled(
    own: StartProxy, target: Target, nobody: str
) -> None:
    own("--error-target", f"{target.url}/hub/error/").get(nobody)
    assert urlsplit(target.last.path).path == "/hub/error/404"


def test_an_error_target_without_a_path_is_asked_at_its_root(
    own: StartProxy, target: Target, nobody: str
) -> None:
    own("--error-target", target.url).get(nobody)
    assert urlsplit(target.last.path).path == "/404"


def test_an_error_target_may_be_a_unix_socket(own: StartProxy, folder: Path) -> None:
    server = Target(replying(answer(200, b"by socket")), path=str(folder / "e.sock"))
    try:
        proxy = own("--error-target", f"{server.url}/hub/error")
        response = proxy.get("/nobody?x")
        assert (response.status, response.body) == (404, b"by socket")
        assert server.last.path == "/hub/error/404?url=%2Fnobody%3Fx"
    finally:
        server.stop()


def test_an_error_target_may_be_https(
    own: StartProxy, certificates: Certificates, nobody: str
) -> None:
    server = Target(replying(answer(200, b"by tls")), tls=certificates.server_context())
    try:
        proxy = own("--error-target", f"{server.url}/e", "--client-ssl-ca", certificates.ca)
        assert proxy.get(nobody).body == b"by tls"
    finally:
        server.stop()


@better("it leaves the client waiting for ever", hangs=True)
def test_an_error_target_that_breaks_off_does_not_leave_the_client_waiting(
    proxy: RunningProxy, pages: ErrorServer, nobody: str
) -> None:
    pages.reply = b"HTTP/1.1 200 Fine\r\nConnection: close\r\nContent-Length: 100\r\n\r\nhalf"
    with proxy.connect() as client, contextlib.suppress(Closed, ConnectionError):
        assert client.ask(nobody).status == 404
