"""Bare CR and bare LF where a line should end, and line ends where none should be."""

from tests.hostile.building import SMUGGLED, get
from tests.hostile.entry import Entry, HalfClose, Seen, dropped, passed, refused

A = Seen(b"GET /a HTTP/1.1")

BAD = {
    "LF behind the request line": b"GET /a HTTP/1.1\nHost: hub\r\n\r\n",
    "CR behind the request line": b"GET /a HTTP/1.1\rHost: hub\r\n\r\n",
    "LF behind a field": b"GET /a HTTP/1.1\r\nHost: hub\nX: y\r\n\r\n",
    "CR behind a field": b"GET /a HTTP/1.1\r\nHost: hub\rX: y\r\n\r\n",
    "LF everywhere": b"GET /a HTTP/1.1\nHost: hub\n\n",
    "CR everywhere": b"GET /a HTTP/1.1\rHost: hub\r\r",
    "LF as the empty line": b"GET /a HTTP/1.1\r\nHost: hub\r\n\n",
    "CR as the empty line": b"GET /a HTTP/1.1\r\nHost: hub\r\n\rX: y\r\n\r\n",
    "CR CR LF behind the request line": b"GET /a HTTP/1.1\r\r\nHost: hub\r\n\r\n",
    "CR CR LF behind a field": b"GET /a HTTP/1.1\r\nHost: hub\r\r\nX: y\r\n\r\n",
    "CR CR LF as the empty line": b"GET /a HTTP/1.1\r\nHost: hub\r\n\r\r\n",
    "LF CR behind a field": b"GET /a HTTP/1.1\r\nHost: hub\n\rX: y\r\n\r\n",
    "LF in the method": b"GE\nT /a HTTP/1.1\r\nHost: hub\r\n\r\n",
    "CR in the method": b"GE\rT /a HTTP/1.1\r\nHost: hub\r\n\r\n",
    "LF in the path": b"GET /a\nX HTTP/1.1\r\nHost: hub\r\n\r\n",
    "CR in the path": b"GET /a\rX HTTP/1.1\r\nHost: hub\r\n\r\n",
    "CRLF in the path": b"GET /a\r\nX HTTP/1.1\r\nHost: hub\r\n\r\n",
    "CR before the version": b"GET /a \rHTTP/1.1\r\nHost: hub\r\n\r\n",
    "LF in the version": b"GET /a HTTP/1\n.1\r\nHost: hub\r\n\r\n",
    "CR in a field name": b"GET /a HTTP/1.1\r\nHost: hub\r\nX\rY: z\r\n\r\n",
    "LF in a field name": b"GET /a HTTP/1.1\r\nHost: hub\r\nX\nY: z\r\n\r\n",
    "CR before the colon": b"GET /a HTTP/1.1\r\nHost: hub\r\nX\r: z\r\n\r\n",
    "CR behind the colon": b"GET /a HTTP/1.1\r\nHost: hub\r\nX:\ry\r\n\r\n",
    "LF behind the colon": b"GET /a HTTP/1.1\r\nHost: hub\r\nX:\ny: z\r\n\r\n",
    "CR in a value": b"GET /a HTTP/1.1\r\nHost: hub\r\nX: y\rz\r\n\r\n",
    "LF in a value": b"GET /a HTTP/1.1\r\nHost: hub\r\nX: y\nz\r\n\r\n",
    "a field behind a LF": b"GET /a HTTP/1.1\r\nHost: hub\r\nX: y\nX-Evil: z\r\n\r\n",
    "a field behind a CR": b"GET /a HTTP/1.1\r\nHost: hub\r\nX: y\rX-Evil: z\r\n\r\n",
    "the host behind a CR": b"GET /a HTTP/1.1\r\nX: y\rHost: hub\r\n\r\n",
    "the end of the head behind a LF": b"GET /a HTTP/1.1\r\nHost: hub\r\nX: y\n\n",
    "a request behind CR CR": b"GET /a HTTP/1.1\r\nHost: hub\r\nX: y\r\r" + SMUGGLED,
    "a request behind LF LF": b"GET /a HTTP/1.1\r\nHost: hub\r\nX: y\n\n" + SMUGGLED,
    "an empty value that swallows a line": b"GET /a HTTP/1.1\r\nHost: hub\r\nX:\n" + SMUGGLED,
    "CR at the end of Host": b"GET /a HTTP/1.1\r\nHost: hub\r\rX: y\r\n\r\n",
}
# RFC 9112, section 2.2: empty lines before a request line are to be ignored.
EMPTY = {
    "one CRLF before the request": b"\r\n",
    "three CRLF before the request": b"\r\n\r\n\r\n",
    "a LF before the request": b"\n",
    "a CR before the request": b"\r",
}

ENTRIES = [
    *(Entry(name, (data,), (refused(400, 505),)) for name, data in BAD.items()),
    *(Entry(name, (data + get(),), (passed(A), refused(400))) for name, data in EMPTY.items()),
    Entry(
        "CRLF behind a request, as old browsers sent it",
        (get() + b"\r\n" + get(b"/b"),),
        (passed(A, Seen(b"GET /b HTTP/1.1")), refused(400, after=(A,))),
    ),
    Entry(
        "empty lines without end",
        (b"\r\n" * 100_000, HalfClose()),
        (dropped(), refused(400, 431)),
    ),
]
