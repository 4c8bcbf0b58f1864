"""Fields behind the last chunk: none may cross, none may change what was read before."""

from tests.hostile.building import SMUGGLED, chunked, get
from tests.hostile.entry import Entry, HalfClose, Pause, Seen, dropped, passed, refused

SENT = Seen(b"POST /a HTTP/1.1", b"hello")
NEXT = Seen(b"GET /b HTTP/1.1")

# Dropped, or refused; RFC 9110, section 6.5.1 forbids the framing and routing ones.
TRAILERS = {
    "an ordinary one": (b"X-Sum: 1", b"x-sum"),
    "Content-Length": (b"Content-Length: 5", b"content-length"),
    "Host": (b"Host: evil", None),
    "Cookie": (b"Cookie: a=b", b"cookie"),
    "Authorization": (b"Authorization: token x", b"authorization"),
    "X-Forwarded-User": (b"X-Forwarded-User: root", b"x-forwarded-user"),
    "Connection": (b"Connection: close", None),
    "Upgrade": (b"Upgrade: websocket", b"upgrade"),
    "Trailer": (b"Trailer: X", b"trailer"),
    "Transfer-Encoding": (b"Transfer-Encoding: chunked", None),
    "Content-Type": (b"Content-Type: text/evil", b"content-type"),
    "Connection: upgrade and Upgrade": (b"Connection: upgrade\r\nUpgrade: h2c", b"upgrade"),
}
BAD = {
    "no colon": b"X",
    "space before the colon": b"X : y",
    "empty name": b": y",
    "folded": b"X: y\r\n z",
    "bare LF": b"X: y\nZ: z",
    "bare CR": b"X: y\rZ: z",
    "NUL": b"X: \0",
    "a request line": b"GET /smuggled HTTP/1.1",
}


def request(trailers: bytes) -> bytes:
    return chunked(body=b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n\r\n")


ENTRIES = [
    *(
        Entry(
            name,
            (request(line) + get(b"/b"),),
            (
                passed(Seen(SENT.line, b"hello", fields=((gone, None),) if gone else ()), NEXT),
                refused(400, after=(SENT,)),
                refused(400),
            ),
        )
        for name, (line, gone) in TRAILERS.items()
    ),
    *(Entry(name, (request(line) + SMUGGLED,), (refused(400),)) for name, line in BAD.items()),
    Entry(
        "announced in Trailer",
        (chunked(b"Trailer: X-Sum", body=b"0\r\nX-Sum: 1\r\n\r\n") + get(b"/b"),),
        (passed(Seen(SENT.line, fields=((b"trailer", None), (b"x-sum", None))), NEXT),),
    ),
    Entry(
        "in a write of its own",
        (chunked(body=b"5\r\nhello\r\n0\r\n"), Pause(), b"Host: evil\r\n", Pause(), b"\r\n"),
        (passed(Seen(SENT.line, b"hello", fields=((b"host", b"hub"),))), refused(400, begun=True)),
    ),
    Entry(
        "never ended",
        (chunked(body=b"5\r\nhello\r\n0\r\nX: y\r\n"), HalfClose()),
        (dropped(begun=True), refused(400, begun=True)),
    ),
    Entry(
        "1000 of them",
        (request(b"\r\n".join(b"X-%d: y" % number for number in range(1000))) + get(b"/b"),),
        (passed(SENT, NEXT), refused(400, 431)),
    ),
]
