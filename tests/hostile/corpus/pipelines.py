"""Several requests in one write, some of them bad: answers in order, nothing behind a bad one."""

from tests.hostile.building import SMUGGLED, chunked, get, lines, sized
from tests.hostile.entry import Entry, HalfClose, Outcome, Pause, Seen, dropped, passed, refused

A, B = Seen(b"GET /a HTTP/1.1"), Seen(b"GET /b HTTP/1.1")
ALICE = Seen(b"GET /user/alice/x HTTP/1.1", at="alice")
BOB = Seen(b"GET /user/bob/x HTTP/1.1", at="bob")

SECOND = {
    "garbage": b"garbage\r\n\r\n",
    "a NUL": b"\0",
    "no host": b"GET /b HTTP/1.1\r\n\r\n",
    "a bare LF": b"GET /b HTTP/1.1\nHost: hub\r\n\r\n",
    "two lengths": sized(5, b"Content-Length: 6", body=b"hello"),
    "a length beside chunked": chunked(b"Content-Length: 5"),
    "a bad length": sized(b"x"),
    "a bad coding": lines(b"POST /b HTTP/1.1", b"Host: hub", b"Transfer-Encoding: x"),
    "a bad chunk": chunked(body=b"x\r\n"),
    "another version": lines(b"GET /b HTTP/2.0", b"Host: hub"),
    "CONNECT": lines(b"CONNECT hub:80 HTTP/1.1", b"Host: hub"),
    "a status line": b"HTTP/1.1 200 OK\r\n\r\n",
    "a doubtful path": get(b"/user/alice%2f..%2fbob/x"),
}

ENTRIES = [
    *(
        Entry(
            f"good, then {name}, then good",
            (get() + bad + SMUGGLED,),
            (refused(400, 405, 501, 505, after=(A,)),),
        )
        for name, bad in SECOND.items()
    ),
    *(
        Entry(f"{name}, then good", (bad + SMUGGLED,), (refused(400, 405, 501, 505),))
        for name, bad in SECOND.items()
    ),
    Entry(
        "ten good ones",
        (b"".join(get(b"/%d" % number) for number in range(10)),),
        (passed(*(Seen(b"GET /%d HTTP/1.1" % number) for number in range(10))),),
    ),
    Entry(
        "to three targets in turn",
        (get() + get(b"/user/alice/x") + get(b"/user/bob/x") + get(b"/b") + get(b"/user/alice/x"),),
        (passed(A, ALICE, BOB, B, ALICE),),
    ),
    Entry(
        "to targets of two users, bodies in between",
        (
            lines(b"POST /user/alice/x HTTP/1.1", b"Host: hub", b"Content-Length: 5")
            + b"hello"
            + lines(b"POST /user/bob/x HTTP/1.1", b"Host: hub", b"Transfer-Encoding: chunked")
            + b"2\r\nhi\r\n0\r\n\r\n"
            + get(),
        ),
        (
            passed(
                Seen(b"POST /user/alice/x HTTP/1.1", b"hello", "alice"),
                Seen(b"POST /user/bob/x HTTP/1.1", b"hi", "bob"),
                A,
            ),
        ),
    ),
    Entry(
        "a good one, then half of one",
        (get() + get(b"/b")[:20], HalfClose()),
        (
            passed(A, end=dropped().end),
            Outcome((A,), (), dropped().end),
            dropped(begun=True),
            refused(400, after=(A,)),
        ),
    ),
    Entry(
        "a good one, then a bad one in another write",
        (get(), Pause(), b"GET /b HTTP/1.1\r\nHost : hub\r\n\r\n" + SMUGGLED),
        (refused(400, after=(A,)),),
    ),
    Entry(
        "a HEAD, then a GET",
        (lines(b"HEAD /a HTTP/1.1", b"Host: hub", b"Connection: close") + SMUGGLED,),
        (passed(Seen(b"HEAD /a HTTP/1.1"), end=dropped().end),),
        bodiless=True,
    ),
    Entry(
        "200 good ones",
        (b"".join(get(b"/%d" % number) for number in range(200)),),
        (passed(*(Seen(b"GET /%d HTTP/1.1" % number) for number in range(200))),),
    ),
]
