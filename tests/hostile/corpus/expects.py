"""Expect: a body that is announced and held back, or never comes."""

from dataclasses import replace

from tests.hostile.building import SMUGGLED, chunked, get, lines, post, sized
from tests.hostile.entry import (
    End,
    Entry,
    HalfClose,
    Outcome,
    Pause,
    Seen,
    UntilSeen,
    dropped,
    passed,
    refused,
)

POST = b"POST /a HTTP/1.1"
CONTINUE = b"Expect: 100-continue"
ODD = {
    "unknown": b"Expect: 200-ok",
    "empty": b"Expect:",
    "a list": b"Expect: 100-continue, 100-continue",
    "twice": b"Expect: 100-continue\r\nExpect: 100-continue",
    "other letters": b"Expect: 100-CONTINUE",
    "a parameter": b"Expect: 100-continue;x=y",
    "nonsense": b"Expect: \xff",
}

# The answer to the first is 417, the body is read as a body, the second is served.
UNMET = Outcome((Seen(b"GET /b HTTP/1.1"),), (frozenset((417,)), frozenset((200,))), End.KEPT)

ENTRIES = [
    *(
        Entry(
            f"{name}, body at once",
            (sized(5, line, body=b"hello") + get(b"/b"),),
            (
                passed(Seen(POST, b"hello"), Seen(b"GET /b HTTP/1.1")),
                refused(400, 417),
                UNMET,
            ),
        )
        for name, line in ODD.items()
    ),
    Entry(
        "body at once",
        (sized(5, CONTINUE, body=b"hello") + get(b"/b"),),
        (passed(Seen(POST, b"hello"), Seen(b"GET /b HTTP/1.1")),),
    ),
    Entry(
        "body when the target has the head",
        (sized(5, CONTINUE), UntilSeen(b"POST /a"), b"hello"),
        (passed(Seen(POST, b"hello")),),
    ),
    Entry(
        "a request instead of the body",
        (sized(len(SMUGGLED), CONTINUE), UntilSeen(b"POST /a"), SMUGGLED),
        (passed(Seen(POST, SMUGGLED)),),
    ),
    Entry(
        "no body at all",
        (sized(5, CONTINUE), UntilSeen(b"POST /a"), HalfClose()),
        (dropped(begun=True), refused(400, begun=True)),
    ),
    Entry(
        "chunked",
        (chunked(CONTINUE, body=b""), UntilSeen(b"POST /a"), b"5\r\nhello\r\n0\r\n\r\n"),
        (passed(Seen(POST, b"hello")),),
    ),
    Entry(
        "on a GET without a body",
        (get(b"/a", CONTINUE) + get(b"/b"),),
        (passed(Seen(b"GET /a HTTP/1.1"), Seen(b"GET /b HTTP/1.1")), refused(400, 417)),
    ),
    Entry(
        "with a length of zero",
        (sized(0, CONTINUE, body=get(b"/b")),),
        (passed(Seen(POST), Seen(b"GET /b HTTP/1.1")), refused(400, 417)),
    ),
    Entry(
        "in HTTP/1.0",
        (lines(b"POST /a HTTP/1.0", b"Host: hub", CONTINUE, b"Content-Length: 5") + b"hello",),
        (passed(Seen(POST, b"hello"), end=dropped().end), refused(400, 417)),
    ),
    Entry(
        "space before the colon",
        (post(b"Expect : 100-continue", b"Content-Length: 5", body=b"hello"),),
        (refused(400),),
    ),
    Entry(
        "answered early, then the body, then a request",
        (
            post(CONTINUE, b"Content-Length: 5", path=b"/early"),
            UntilSeen(b"POST /early"),
            Pause(),
            b"hello" + get(b"/b"),
        ),
        (
            passed(Seen(b"POST /early HTTP/1.1"), Seen(b"GET /b HTTP/1.1")),
            replace(passed(Seen(b"POST /early HTTP/1.1"), end=dropped().end), begun=True),
            replace(passed(Seen(b"POST /early HTTP/1.1"), Seen(b"GET /b HTTP/1.1")), begun=True),
        ),
    ),
]
