"""An API to ask: it has one route, whose name is not ASCII, and agrees to everything."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

ROUTES = {
    "/a": {"target": "http://127.0.0.1:9", "last_activity": "2026-01-01T00:00:00.000Z"},
    "/zoë→": {"target": "http://127.0.0.1:9", "last_activity": "2026-01-01T00:00:00.000Z"},
}


EVENTS = """\
:

id: a.1
event: table
data: {
data: "/a": {"target": "http://127.0.0.1:9"}
data: }

id: a.2
event: change
data: {"put": {"/zoë→": {"target": "http://127.0.0.1:9"}}, "delete": ["/a"]}

"""


class AgreeingHandler(BaseHTTPRequestHandler):
    """Says yes. After an upgrade was asked for, it has been done."""

    upgraded = False

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""

    def do_GET(self) -> None:
        if self.path == "/api/upgrade":
            self._answer(200, {"version": "2", "generation": 1, "state": "serving"})
        elif self.path == "/api/routes":
            self._answer(200, ROUTES)
        elif self.path == "/api/watch":
            self._answer(200, EVENTS.encode(), "text/event-stream; charset=utf-8")
        else:
            self._answer(200, ROUTES["/a"])

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/api/upgrade":
            self._answer(202, {"version": "1", "generation": 0})
        elif self.path == "/api/reload":
            self._answer(200, {"changed": ["routes./zoë"], "needs_restart": []})
        else:
            self._answer(201, {})

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(200, {"added": 1, "changed": 0, "removed": 0, "left": 0})

    do_PATCH = do_PUT

    def do_DELETE(self) -> None:
        self._answer(204, b"")

    def _answer(self, status: int, content: object, kind: str = "application/json") -> None:
        body = (
            content
            if isinstance(content, bytes)
            else json.dumps(content, ensure_ascii=False).encode()
        )
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", kind)
        self.send_header("ETag", '"a.1"')
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def agreeing_api() -> Iterator[str]:
    """Run one; yield its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), AgreeingHandler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
