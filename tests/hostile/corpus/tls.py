"""The TLS port: what is not TLS there, and the same framing rules inside TLS."""

from tests.hostile.building import SMUGGLED, chunked, get, lines, post, sized
from tests.hostile.corpus.versions import client_hello
from tests.hostile.entry import Door, Entry, HalfClose, Pause, Seen, dropped, passed, refused

HELLO = client_hello()
RAW = {
    "plain HTTP": get(),
    "plain HTTP, then a hello": get() + HELLO,
    "a hello cut short": HELLO[:40],
    "a hello, then plain HTTP": HELLO[:40] + get(),
    "a hello with a bad length": HELLO[:3] + b"\xff\xff" + HELLO[5:],
    "SSL 2 hello": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"\0" * 37,
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "application data": b"\x17\x03\x03\x00\x10" + b"x" * 16,
    "zeros": b"\0" * 1024,
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}
A = Seen(b"GET /a HTTP/1.1", fields=((b"x-forwarded-proto", b"https"),))
INSIDE = {
    "a length beside chunked": chunked(b"Content-Length: 5", body=b"0\r\n\r\n" + SMUGGLED),
    "two lengths": sized(5, b"Content-Length: 6", body=b"hello" + SMUGGLED),
    "a bad chunk": chunked(body=b"+5\r\nhello\r\n0\r\n\r\n" + SMUGGLED),
    "a bare LF": b"GET /a HTTP/1.1\nHost: hub\n\n",
    "no host": lines(b"GET /a HTTP/1.1"),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS inside TLS": HELLO,
    "a space before the colon": post(b"Content-Length : 5", body=b"hello" + SMUGGLED),
}

ENTRIES = [
    *(
        Entry(name, (data, HalfClose()), (dropped(), refused(400)), Door.TLS_PORT)
        for name, data in RAW.items()
    ),
    Entry(
        "a request", (get() + get(b"/b"),), (passed(A, Seen(b"GET /b HTTP/1.1")),), Door.INSIDE_TLS
    ),
    *(
        Entry(f"inside: {name}", (data,), (refused(400, 505),), Door.INSIDE_TLS)
        for name, data in INSIDE.items()
    ),
    Entry(
        "inside: an upgrade refused, a request behind it",
        (get(b"/a", b"Connection: Upgrade", b"Upgrade: websocket") + SMUGGLED,),
        (passed(Seen(b"GET /a HTTP/1.1"), end=dropped().end),),
        Door.INSIDE_TLS,
    ),
    Entry(
        "inside: a chunked body in many records",
        (chunked(body=b"5\r\nhel"), Pause(), b"lo\r\n0\r", Pause(), b"\n\r\n"),
        (passed(Seen(b"POST /a HTTP/1.1", b"hello")),),
        Door.INSIDE_TLS,
    ),
]
