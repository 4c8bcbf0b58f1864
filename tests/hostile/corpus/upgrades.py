"""Upgrade smuggling: what stands behind an upgrade's head is never read as a request."""

from tests.hostile.building import SMUGGLED, get, lines, post
from tests.hostile.entry import (
    End,
    Entry,
    Outcome,
    Pause,
    Seen,
    UntilSeen,
    dropped,
    passed,
    refused,
    switched,
)

WS = (b"Connection: Upgrade", b"Upgrade: websocket")
KEY = (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13")
FRAME = b"\x81\x85\0\0\0\0hello"
HOST = b"Host: hub"
CLOSED = dropped().end

PLAIN = ((b"upgrade", None), (b"connection", None), (b"http2-settings", None))
A = Seen(b"GET /a HTTP/1.1")
NEXT = Seen(b"GET /b HTTP/1.1")
SWITCH = Seen(b"GET /switch HTTP/1.1", fields=((b"upgrade", b"websocket"),))


def ordinary(*seen: Seen) -> tuple[Outcome, ...]:
    """Forwarded as requests without an upgrade, or the first one and then closed, or refused."""
    return (passed(*seen), passed(seen[0], end=CLOSED), refused(400, 501))


def unasked(first: Seen, *following: Seen) -> tuple[Outcome, ...]:
    """The target switched without being asked: an error of its own, whatever follows."""
    answers = (frozenset((502, 503)), *[frozenset((200,))] * len(following))
    return (
        Outcome((first, *following), answers, End.KEPT),
        Outcome((first,), answers[:1], CLOSED),
    )


def body_of(size: int) -> Seen:
    return Seen(b"POST /a HTTP/1.1", b"hello"[:size], fields=PLAIN)


CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
# With a body the upgrade is not taken: the body is a body, what follows a request.
BODIES = {
    "a length": (post(*WS, b"Content-Length: 5", body=b"hello" + get(b"/b")), 5),
    "a length, key and version": (
        post(*WS, *KEY, b"Content-Length: 5", body=b"hello" + get(b"/b")),
        5,
    ),
    "chunks": (post(*WS, b"Transfer-Encoding: chunked", body=CHUNKS + get(b"/b")), 5),
    "no chunk but the last": (
        post(*WS, b"Transfer-Encoding: chunked", body=CHUNKS[10:] + get(b"/b")),
        0,
    ),
}
# h2c would carry requests past every rule: its upgrade is not passed on, alone or in a list.
H2C = {
    "h2c": (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"),
    "H2C": (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: H2C"),
    "h2c, Connection without the settings": (b"Connection: Upgrade", b"Upgrade: h2c"),
    "h2c and blanks": (b"Connection: Upgrade", b"Upgrade: \t h2c \t"),
    "h2c-16": (b"Connection: Upgrade", b"Upgrade: h2c-16"),
    "h2c with a version": (b"Connection: Upgrade", b"Upgrade: h2c/2.0"),
    "h2c with a comma": (b"Connection: Upgrade", b"Upgrade: h2c,"),
    "h2c behind websocket": (b"Connection: Upgrade", b"Upgrade: websocket, h2c"),
    "h2c before websocket": (b"Connection: Upgrade", b"Upgrade: h2c, websocket"),
    "h2c without a blank": (b"Connection: Upgrade", b"Upgrade: websocket,h2c"),
    "h2c in a second line": (b"Connection: Upgrade", b"Upgrade: websocket", b"Upgrade: h2c"),
    "h2c in a first line": (b"Connection: Upgrade", b"Upgrade: h2c", b"Upgrade: websocket"),
    "h2": (b"Connection: Upgrade", b"Upgrade: h2"),
    "HTTP/2.0": (b"Connection: Upgrade", b"Upgrade: HTTP/2.0"),
    "HTTP/1.1": (b"Connection: Upgrade", b"Upgrade: HTTP/1.1"),
}
WEBSOCKET = switched(SWITCH, b"")

# Half an upgrade is none.
HALVES = {
    "no Upgrade": (b"Connection: Upgrade",),
    "no Connection": (b"Upgrade: websocket",),
    "empty Upgrade": (b"Connection: Upgrade", b"Upgrade:"),
    "Connection: close": (b"Connection: close", b"Upgrade: websocket"),
    "Connection: keep-alive": (b"Connection: keep-alive", b"Upgrade: websocket"),
    "Connection: upgraded": (b"Connection: upgraded", b"Upgrade: websocket"),
    "Connection: x-upgrade": (b"Connection: x-upgrade", b"Upgrade: websocket"),
    "Connection: upgrade;x": (b"Connection: upgrade;x", b"Upgrade: websocket"),
    'Connection: "upgrade"': (b'Connection: "upgrade"', b"Upgrade: websocket"),
    "Proxy-Connection": (b"Proxy-Connection: Upgrade", b"Upgrade: websocket"),
}
WHOLE = {
    "plain": WS,
    "other letters": (b"CONNECTION: uPGRADE", b"UPGRADE: websocket"),
    "in a list": (b"Connection: keep-alive, Upgrade", b"Upgrade: websocket"),
    "in a list with blanks": (b"Connection: keep-alive ,\tUpgrade ,", b"Upgrade: websocket"),
    "in a second line": (b"Connection: keep-alive", b"Connection: Upgrade", b"Upgrade: websocket"),
}

ENTRIES = [
    *(
        Entry(
            f"{name}, data behind the head",
            (get(b"/switch", *fields, *KEY) + FRAME,),
            (switched(SWITCH, FRAME),),
        )
        for name, fields in WHOLE.items()
    ),
    *(
        Entry(
            f"refused, {name}", (get(b"/a", *WS, *KEY) + between, *more), (passed(A, end=CLOSED),)
        )
        for name, between, more in (
            ("a request behind the head", SMUGGLED, ()),
            ("a request later", b"", (UntilSeen(b"GET /a"), SMUGGLED)),
            ("frames behind the head", FRAME * 100, ()),
            ("an empty line and a request", b"\r\n" + SMUGGLED, ()),
            ("a chunk and a request", b"0\r\n\r\n" + SMUGGLED, ()),
        )
    ),
    *(
        Entry(f"with a body: {name}", (data,), ordinary(body_of(size), NEXT))
        for name, (data, size) in BODIES.items()
    ),
    Entry(
        "with a body in another write",
        (post(*WS, b"Content-Length: 5"), Pause(), b"hello" + get(b"/b")),
        ordinary(body_of(5), NEXT),
    ),
    Entry(
        "with chunks in other writes",
        (post(*WS, b"Transfer-Encoding: chunked"), Pause(), CHUNKS[:4], Pause(), CHUNKS[4:]),
        ordinary(body_of(5)),
    ),
    Entry(
        "with a body that is a request",
        (post(*WS, b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED),),
        ordinary(Seen(b"POST /a HTTP/1.1", SMUGGLED, fields=PLAIN)),
    ),
    Entry(
        "with a body, to a target that switches",
        (post(*WS, b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED, path=b"/switch"),),
        (refused(400), *unasked(Seen(b"POST /switch HTTP/1.1", SMUGGLED, fields=PLAIN))),
    ),
    Entry(
        "with a bad chunk",
        (post(*WS, b"Transfer-Encoding: chunked", body=b"x\r\n" + SMUGGLED),),
        (refused(400, begun=True),),
    ),
    Entry(
        "with a length beside chunked",
        (post(*WS, b"Content-Length: 5", b"Transfer-Encoding: chunked", body=CHUNKS + SMUGGLED),),
        (refused(400),),
    ),
    Entry(
        "with a length of zero, refused",
        (get(b"/a", *WS, b"Content-Length: 0") + SMUGGLED,),
        (passed(A, end=CLOSED), refused(400)),
    ),
    *(
        Entry(
            f"{name}, refused",
            (get(b"/a", *fields, b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA") + get(b"/b"),),
            (
                *ordinary(Seen(A.line, fields=PLAIN[:2]), NEXT),
                passed(Seen(A.line, fields=((b"upgrade", b"websocket"),)), end=CLOSED),
            ),
        )
        for name, fields in H2C.items()
    ),
    *(
        Entry(
            f"half an upgrade: {name}",
            (get(b"/a", *fields, *KEY), Pause(), get(b"/b")),
            ordinary(Seen(A.line, fields=((b"upgrade", None),)), NEXT),
        )
        for name, fields in HALVES.items()
    ),
    Entry(
        "in HTTP/1.0",
        (lines(b"GET /a HTTP/1.0", HOST, *WS, *KEY) + SMUGGLED,),
        (passed(Seen(A.line, fields=PLAIN), end=CLOSED), refused(400)),
    ),
    Entry(
        "in HTTP/1.0, to a target that switches",
        (lines(b"GET /switch HTTP/1.0", HOST, *WS, *KEY),),
        (refused(400), *unasked(Seen(b"GET /switch HTTP/1.1", fields=PLAIN))),
    ),
    Entry(
        "not asked for, from a target that switches",
        (get(b"/switch") + get(b"/b"),),
        unasked(Seen(b"GET /switch HTTP/1.1"), NEXT),
    ),
    Entry(
        "websocket without key and version",
        (get(b"/a", *WS),),
        (passed(A, end=CLOSED), refused(400, 426)),
    ),
    Entry(
        "websocket by POST without a body",
        (post(*WS, *KEY, body=SMUGGLED),),
        (passed(Seen(b"POST /a HTTP/1.1"), end=CLOSED), refused(400, 405)),
    ),
    Entry(
        "behind an ordinary request",
        (get(b"/b") + get(b"/a", *WS) + SMUGGLED,),
        (passed(NEXT, A, end=CLOSED),),
    ),
    Entry(
        "before the answer is there, a request",
        (get(b"/a", *WS), get(b"/smuggled"), Pause(), get(b"/smuggled")),
        (passed(A, end=CLOSED),),
    ),
    Entry(
        "over a HEAD",
        (lines(b"HEAD /a HTTP/1.1", HOST, *WS) + SMUGGLED,),
        (passed(Seen(b"HEAD /a HTTP/1.1"), end=CLOSED), refused(400, 405)),
        bodiless=True,
    ),
    *(
        Entry(
            f"{name}, to a target that switches",
            (get(b"/switch", *fields, b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"),),
            (refused(400), *unasked(Seen(b"GET /switch HTTP/1.1", fields=PLAIN[:2])), WEBSOCKET),
        )
        for name, fields in H2C.items()
    ),
]
