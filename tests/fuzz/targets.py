"""What is fuzzed: each function takes any bytes and fails when a promise is broken."""

import contextlib
import json
from typing import cast

from proxy.dataplane.frames import FrameScanner
from proxy.dataplane.headers import forward_path, request_rest
from proxy.dataplane.reader import Incoming, RequestReader
from proxy.dataplane.request import RequestHead
from proxy.errors import BadRequestError, ConfigError, RouteError, UpstreamError
from proxy.model import ForwardRules, Limits, Route, RouteOptions
from proxy.routing.keys import clean_key
from proxy.routing.table import RouteEntry, RouteTable
from proxy.routing.target import Peer, Target, parse_target
from proxy.settings.document import parse_document
from proxy.settings.fields import check_headers
from proxy.upstream.connection import UpstreamConnection
from proxy.upstream.response import ResponseHead

LIMITS = Limits(request_line=2048, head=4096, headers=32, body=1 << 20)
RULES = ForwardRules()


def read(data: bytes, pieces: int) -> list[Incoming]:
    """Return the requests in `data`, fed in as many pieces."""
    reader = RequestReader(LIMITS)
    size = max(1, len(data) // pieces)
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
    return list(reader.requests)


def seen(request: Incoming) -> tuple[object, ...]:
    """Return what of a request must not depend on how its bytes were cut."""
    head = request.head
    # Which of two mistakes is seen first may depend on the cut; that one is, may not.
    refused = request.error is not None
    if head is None:
        return (refused,)
    line = (head.method, head.target, head.host, head.upgrade, head.body, head.length)
    return (*line, tuple(head.lines), b"".join(request.chunks), request.ended, refused)


def request(data: bytes) -> None:
    """Requests do not depend on cuts, and what is forwarded is one request, the same one."""
    whole = read(data, 1)
    if len(data) <= LIMITS.head:
        assert [seen(each) for each in whole] == [seen(each) for each in read(data, 7)]
    entry = RouteEntry(Route("/a", "http://127.0.0.1:1/base", options=OPTIONS), 1)
    for each in whole:
        if each.head is not None:
            forward(each.head, entry)


OPTIONS = RouteOptions(strip_prefix=True, headers=(("X-Team", "physics"),))


def forward(head: RequestHead, entry: RouteEntry) -> None:
    """Write a request's head anew, read it as a target would, and compare."""
    target = cast(Target, entry.target)
    try:
        path = forward_path(head, entry, target, RULES)
    except BadRequestError:
        return
    rest = request_rest(head, target, RULES, (), entry.header_lines)
    written = b"%b %b%b" % (head.method, path, rest)
    again = RequestReader(Limits(request_line=1 << 16, head=1 << 16, headers=256))
    again.feed(written)
    assert len(again.requests) == 1, written
    read_again = again.requests[0]
    assert read_again.error is None, (read_again.error, written)
    assert read_again.head is not None
    new = read_again.head
    assert (new.method, new.body, new.length) == (head.method, head.body, head.length), written
    assert new.upgrade == head.upgrade, written
    assert new.target.startswith(b"/base"), written
    assert not new.forwarded, written


class Receiver:
    """Notes the parts of a response and holds them to their order."""

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        self.body = b""
        self.over = False

    def on_informational(self, head: ResponseHead) -> None:
        assert not self.over
        assert self.head is None
        assert 100 <= head.status < 200

    def on_response(self, head: ResponseHead | None, body: bytes, ended: bool) -> None:
        assert not self.over
        assert (head is None) == (self.head is not None)
        self.head = self.head or head
        self.body += body
        self.over = ended

    def on_switched(self, head: ResponseHead, leftover: bytes) -> None:
        assert not self.over
        self.over = True

    def on_upstream_lost(self, error: UpstreamError) -> None:
        assert not self.over
        self.over = True

    def on_upstream_writable(self, writable: bool) -> None:
        raise AssertionError("nothing was written")


class Transport:
    """A connection that goes nowhere."""

    def write(self, data: bytes) -> None:
        pass

    def abort(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False


def response(data: bytes) -> None:
    """Responses arrive in order, end once, and do not depend on cuts."""
    bodiless, data = data[:1] == b"H", data[1:]
    results = []
    for size in (max(1, len(data)), 13):
        connection = UpstreamConnection(Peer("h", 1), lambda _: None)
        connection.connection_made(Transport())  # type: ignore[arg-type]
        receiver = Receiver()
        connection.begin(receiver, b"", bodiless)
        for start in range(0, len(data), size):
            connection.data_received(data[start : start + size])
            if receiver.over:
                break
        status = receiver.head.status if receiver.head else 0
        results.append((status, receiver.body if status else b"", receiver.over))
        if receiver.over:
            connection.abort()  # as whoever has all it asked for does, if not with release()
        connection.connection_lost(None)
    if results[0][0] and results[1][0]:
        assert results[0][0] == results[1][0]


def paths(data: bytes) -> None:
    """Keys, targets and paths from anywhere give an answer or one of our errors."""
    text = data.decode("utf-8", "surrogateescape")
    table = RouteTable(ForwardRules(native_routes=True))
    with contextlib.suppress(RouteError):
        key = clean_key(text)
        assert clean_key(key) == key
        table.apply([Route(key, "http://127.0.0.1:1")], ())
        table.apply((), [key])
        assert len(table) == 0
    with contextlib.suppress(RouteError):
        parse_target(text)
    with contextlib.suppress(BadRequestError):
        table.match("hub", "/" + text)


def frames(data: bytes) -> None:
    """A scanner comes to the same end however the stream is cut."""
    whole, cut = FrameScanner(), FrameScanner()
    whole.feed(data)
    for start in range(0, len(data), 3):
        cut.feed(data[start : start + 3])
    assert whole.at_boundary == cut.at_boundary


def settings(data: bytes) -> None:
    """Any text as routes.yaml gives a document or a ConfigError of one line a mistake."""
    lines: tuple[str, ...] = ()
    try:
        parse_document(data.decode("utf-8", "replace"), "routes.yaml")
    except ConfigError as error:
        lines = tuple(error.lines)
    assert all(line and "\n" not in line for line in lines)
    with contextlib.suppress(ConfigError, ValueError):
        check_headers(json.loads(data))


TARGETS = {
    "request": request,
    "response": response,
    "paths": paths,
    "frames": frames,
    "settings": settings,
}
