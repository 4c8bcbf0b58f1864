"""What the client says when the API is not there, or is something else."""

import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import click
import pytest

from hubgate.cli.api.client import Api, check_api_url
from hubgate.errors import ConfigError


@contextmanager
def answering(raw: bytes) -> Iterator[str]:
    """Answer each connection with `raw` bytes, whatever it asks; yields the URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(raw)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join(30)


def response(status: str, body: bytes = b"", kind: str = "text/plain") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def complaint(call: Callable[[], object]) -> str:
    with pytest.raises(click.ClickException) as raised:
        call()
    assert "\n" not in raised.value.message
    return raised.value.message


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    line = complaint(Api(url).get)
    assert line == (
        f"{url}: no API there (Connection refused); start `proxyctl serve`, or give --api-url"
    )


def test_no_such_host_and_no_such_socket() -> None:
    line = complaint(Api("http://no-such-host.invalid:1").get)
    assert line.startswith("http://no-such-host.invalid:1: no API there (")
    line = complaint(Api("http+unix://%2Fno%2Fsuch.sock").get)
    assert "no API there (No such file or directory)" in line


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (
            b"",
            "it ends the connection without a response; is it starting or ending (see its log), or"
            " is it https for http (check --api-url)?",
        ),
        (b"SSH-2.0-x\r\n", "is not a route API: it does not respond like one"),
        (response("200 OK", b"<html>"), "is not a route API: its response is not a JSON object"),
        (response("200 OK", b"[]"), "is not a route API: its response is not a JSON object"),
        (response("200 OK", b"\xff"), "is not a route API: its response is not a JSON object"),
        (response("302 Found"), "is not a route API: it returned 302 (check --api-url)"),
        (response("404 Not Found"), "is not a route API: it returned 404 (check --api-url)"),
        (response("405 No"), "is not a route API: it returned 405 (check --api-url)"),
        (
            response("403 Forbidden"),
            "needs a token; set HUBGATE_TOKEN, give --token-file, or be the user who runs",
        ),
        (response("403 Forbidden", b"refused: this host name"), "refused: this host name"),
        (response("503 No", b"the store is\naway"), "failed: the store is away; see its log"),
        (response("500 No"), "failed: 500; see its log"),
    ],
)
def test_something_else_there(raw: bytes, words: str) -> None:
    with answering(raw) as url:
        assert complaint(Api(url).get).startswith(f"{url}: {words}")


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (response("404 Not Found"), "/a: no such route; see `proxyctl list`"),
        (response("400 Bad", b"a bad\ttarget"), "/a: a bad target"),
        (response("409 Conflict", b"is set in routes.yaml"), "/a: is set in routes.yaml"),
        (response("413 Too Large"), "/a: refused with 413"),
    ],
)
def test_a_refusal_names_the_route(raw: bytes, line: str) -> None:
    with answering(raw) as url:
        assert complaint(lambda: Api(url).delete("/a")) == line


def test_a_wrong_token_is_not_repeated() -> None:
    with answering(response("403 Forbidden")) as url:
        api = Api(url, "s3cret", token_source="HUBGATE_TOKEN")
        assert "needs another token than that in HUBGATE_TOKEN; correct or unset it, " in complaint(
            api.get
        )
        assert "s3cret" not in complaint(api.get)
        assert "s3cret" not in repr(api)


class _Recorder(http.server.BaseHTTPRequestHandler):
    """Remembers what it was asked."""

    asked: list[tuple[str, str, str | None, bytes]]

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append((self.command, self.path, self.headers.get("Authorization"), body))
        self.send_response(200)
        content = json.dumps({"/": {"target": "http://root"}, "a.b/": {"target": "http://b"}})
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_what_goes_over_the_wire() -> None:
    handler = type("Recorder", (_Recorder,), {"asked": []})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        api = Api(f"http://127.0.0.1:{server.server_port}/base/", "s3cret")
        assert api.get("/") == {"target": "http://root"}
        assert api.get("a.b/") == {"target": "http://b"}
        api.put("/a b/c%", {"target": "http://x"})
        api.delete("a.b/é")
        server.shutdown()
        thread.join(30)
    assert [asked[:3] for asked in handler.asked] == [
        ("GET", "/base/api/routes/", "token s3cret"),
        ("GET", "/base/api/routes/?host=a.b", "token s3cret"),
        ("POST", "/base/api/routes/a%20b/c%25", "token s3cret"),
        ("DELETE", "/base/api/routes/%C3%A9?host=a.b", "token s3cret"),
    ]
    assert json.loads(handler.asked[2][3]) == {"target": "http://x"}


def test_a_token_that_is_made_meanwhile_is_found() -> None:
    """As in an upgrade from a release that has made none."""
    handler = type("Recorder", (_Recorder,), {"asked": []})
    made = iter([None, "made-meanwhile"])
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        api = Api(f"http://127.0.0.1:{server.server_port}", find_token=lambda: next(made))
        for _ in range(2):
            api.operate("GET", "/api/upgrade")
        server.shutdown()
        thread.join(30)
    assert [asked[2] for asked in handler.asked] == [None, "token made-meanwhile"]
    assert "made-meanwhile" not in repr(api)


def test_a_url_that_cannot_be() -> None:
    assert check_api_url("https://h:1/") == "https://h:1"
    with pytest.raises(ConfigError, match=r"^--api-url: 'h:1' has no scheme; write http://h:1"):
        check_api_url("h:1")


def test_an_answer_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubgate.cli.api.client.OVERALL", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def trickle() -> None:
            with server.accept()[0] as client, suppress(OSError):
                client.recv(65536)
                for byte in b"HTTP/1.1 200 OK\r\n" + 1000 * b"X-A: b\r\n":
                    client.sendall(bytes([byte]))
                    if ended.wait(0.05):
                        return

        thread = threading.Thread(target=trickle)
        thread.start()
        api = Api(f"http://127.0.0.1:{server.getsockname()[1]}", "any")
        assert "no answer within " in complaint(lambda: api.operate("GET", "/api/upgrade", 0.2))
        ended.set()
        thread.join()
