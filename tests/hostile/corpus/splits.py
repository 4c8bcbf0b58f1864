"""Requests cut into pieces: where a read ends must change nothing."""

from tests.hostile.building import SMUGGLED, chunked, get, post, sized
from tests.hostile.entry import Entry, Pause, Seen, Step, passed, refused

TINY = Pause(0.001)


def by_byte(data: bytes) -> tuple[Step, ...]:
    return tuple(step for code in data for step in (bytes((code,)), TINY))


def cut(data: bytes, *marks: bytes) -> tuple[Step, ...]:
    """Cut `data` in the middle of each of `marks`."""
    steps: list[Step] = []
    for mark in marks:
        position = data.index(mark) + len(mark) // 2
        steps += [data[:position], Pause()]
        data = data[position:]
    return (*steps, data)


POST = b"POST /a HTTP/1.1"
A = Seen(b"GET /a HTTP/1.1", fields=((b"x", b"y"),))
CHUNKED = chunked(body=b"5;x\r\nhello\r\n0\r\nX: y\r\n\r\n")
BOTH = post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED)

ENTRIES = [
    Entry("a GET byte by byte", by_byte(get(b"/a", b"X: y")), (passed(A),)),
    Entry(
        "a POST byte by byte",
        by_byte(sized(5, body=b"hello")),
        (passed(Seen(POST, b"hello")),),
    ),
    Entry("a chunked POST byte by byte", by_byte(CHUNKED), (passed(Seen(POST, b"hello")),)),
    Entry("a length beside chunked byte by byte", by_byte(BOTH[:75]), (refused(400),)),
    Entry("a folded line byte by byte", by_byte(get(b"/a", b"X: y\r\n z")), (refused(400),)),
    Entry("a bare LF byte by byte", by_byte(get(b"/a", b"X: y\nZ: z")), (refused(400),)),
    Entry(
        "cut in the method, path, version, name, value and empty line",
        cut(get(b"/a", b"X: y"), b"GET", b"/a", b"HTTP", b"Host", b"hub", b"\r\n\r\n"),
        (passed(A),),
    ),
    Entry(
        "a path cut in a percent sign",
        (b"GET /user/alice/..%", Pause(), b"2fbob HTTP/1.1\r\nHost: hub\r\n\r\n"),
        (refused(400),),
    ),
    Entry(
        "a path cut between two users' names",
        (b"GET /user/al", Pause(), b"ice/x HTTP/1.1\r\nHost: hub\r\n\r\n"),
        (passed(Seen(b"GET /user/alice/x HTTP/1.1", at="alice")),),
    ),
    Entry(
        "the second Host in a late write",
        (get(b"/a")[:-2], Pause(), b"Host: evil\r\n\r\n"),
        (refused(400),),
    ),
    Entry(
        "Transfer-Encoding cut in two",
        cut(BOTH, b"Transfer-Encoding", b"chunked"),
        (refused(400),),
    ),
    Entry(
        "a length cut in two",
        (post(b"Content-Length: 1")[:-4], Pause(), b"0\r\n\r\nhellohello" + get(b"/b")),
        (passed(Seen(POST, b"hellohello"), Seen(b"GET /b HTTP/1.1")),),
    ),
    Entry(
        "CRLF cut in two at the end of the head",
        cut(get(b"/a", b"X: y"), b"y\r\n", b"\r\n"),
        (passed(A),),
    ),
]
