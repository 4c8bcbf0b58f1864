"""Bodies where there can be none: behind 204, 304, HEAD and 1xx; and floods of 1xx."""

from tests.hostile.building import get, lines
from tests.hostile.entry import Pause
from tests.hostile.reply import FAILED, Broken, Close, Got, Piece, Repeated, Reply, ok

SECOND = b"HTTP/1.1 200 OK\r\nX-Record: 0\r\nContent-Length: 6\r\n\r\npoison"
END = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
HEAD = lines(b"HEAD /reply HTTP/1.1", b"Host: hub")
LENGTH = b"Content-Length: %d\r\n\r\n" % len(SECOND)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SECOND), SECOND)

BODIES = {
    "a length and a body": (LENGTH + SECOND,),
    "a length and a body later": (LENGTH, Pause(), SECOND),
    "chunks": (CHUNKED + CHUNK,),
    "chunks later": (CHUNKED, Pause(), CHUNK),
    "a body without framing": (b"\r\n" + SECOND,),
    "a length without a body": (LENGTH,),
    "chunked without a body": (CHUNKED,),
    "a last chunk alone": (CHUNKED + b"0\r\n\r\n",),
}


_ANSWERS = (LENGTH + SECOND, SECOND, b"\r\n" + SECOND)
"""What is an answer of its own when the head before it has no body."""


def bodiless(status: int) -> Got:
    return Got(frozenset((status,)), b"")


def behind(start: bytes, pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    first, *rest = pieces
    assert isinstance(first, bytes)
    return (start + first, *rest)


EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"

REPLIES = [
    *(
        Reply(
            f"{status}, {name}",
            behind(b"HTTP/1.1 %d None\r\n" % status, pieces),
            (
                bodiless(status),
                FAILED,
            ),
        )
        for status in (204, 304)
        for name, pieces in BODIES.items()
    ),
    *(
        Reply(
            f"HEAD, {name}", behind(b"HTTP/1.1 200 OK\r\n", pieces), (ok(b""), FAILED), HEAD, True
        )
        for name, pieces in BODIES.items()
    ),
    *(
        # A 1xx has no body (RFC 9112, section 6.3): what follows it is the answer itself.
        Reply(
            f"{status}, {name}",
            (*behind(b"HTTP/1.1 %d None\r\n" % status, pieces), Pause(), END),
            (ok(b"poison" if pieces[-1] in _ANSWERS else b"hi"), FAILED, Broken()),
        )
        for status in (100, 102, 103, 199)
        for name, pieces in BODIES.items()
    ),
    Reply(
        "100 and 103 as they should be",
        (b"HTTP/1.1 100 Continue\r\n\r\n", EARLY_HINTS + END),
        (ok(b"hi"),),
    ),
    Reply("1000 times 103", (Repeated(EARLY_HINTS, 1000), END), (ok(b"hi"), FAILED, Broken())),
    Reply("20 000 times 103", (Repeated(EARLY_HINTS, 20_000), END), (ok(b"hi"), FAILED, Broken())),
    Reply("103, then nothing", (EARLY_HINTS, Pause(), Close.END), (FAILED, Broken())),
    Reply("103 to HTTP/1.0", (EARLY_HINTS + END,), (ok(b"hi"),), lines(b"GET /reply HTTP/1.0")),
    Reply(
        "103 with a split field",
        (b"HTTP/1.1 103 Early Hints\r\nX: y\nSet-Cookie: a=b\r\n\r\n" + END,),
        (FAILED,),
    ),
    Reply(
        "205 with a body",
        (b"HTTP/1.1 205 Reset\r\nContent-Length: 2\r\n\r\nhi",),
        (
            Got(frozenset((205,))),
            FAILED,
        ),
    ),
    Reply(
        "304 that is right",
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: x\r\n\r\n",),
        (bodiless(304),),
    ),
    Reply(
        "HEAD that is right",
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",),
        (ok(b""),),
        HEAD,
        True,
    ),
    Reply(
        "GET answered as a HEAD",
        (b"HTTP/1.1 200 OK\r\n" + LENGTH, Pause(), Close.END),
        (
            Broken(),
            FAILED,
        ),
        get(b"/reply"),
    ),
]
