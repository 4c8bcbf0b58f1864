"""X-Forwarded-* from a client: the drop-in appends to it, as CHP does; the native command
believes trusted peers only, and the tests' client is none."""

from tests.hostile.building import get, lines
from tests.hostile.entry import Door, Entry, Seen, passed, refused

A = b"GET /a HTTP/1.1"
OURS = {
    b"x-forwarded-for": b"127.0.0.1",
    b"x-forwarded-proto": b"http",
    b"x-forwarded-port": b"80",
    b"x-forwarded-host": b"hub",
}
SPOOFS = {
    "For": (b"X-Forwarded-For", b"6.6.6.6"),
    "For, a list": (b"X-Forwarded-For", b"6.6.6.6, 7.7.7.7"),
    "For, an injection": (b"X-Forwarded-For", b"6.6.6.6%0d%0aX: y"),
    "For, other letters": (b"x-FORWARDED-for", b"6.6.6.6"),
    "For, nonsense": (b"X-Forwarded-For", b"' OR 1=1 --"),
    "Proto": (b"X-Forwarded-Proto", b"https"),
    "Port": (b"X-Forwarded-Port", b"443"),
}
# Servers that hand fields on as environment variables cannot tell these from ours.
UNDERSCORES = (b"X_Forwarded_For", b"X_FORWARDED-FOR", b"X_Forwarded_Proto", b"X-Forwarded_Host")
DROPPED = {
    "Forwarded": (b"Forwarded: for=6.6.6.6;host=evil;proto=https", b"forwarded"),
    "X-Forwarded-Host": (b"X-Forwarded-Host: evil", b"x-forwarded-host"),
}


def seen(field: bytes, value: bytes | None) -> tuple[Seen, ...]:
    return (Seen(A, fields=((field, value),)),)


ENTRIES = [
    *(
        Entry(
            f"{name}, believed",
            (get(b"/a", field + b": " + value),),
            (passed(*seen(field.lower(), value + b"," + OURS[field.lower()])),),
            Door.DROP_IN,
        )
        for name, (field, value) in SPOOFS.items()
    ),
    *(
        Entry(
            f"{name}, from a stranger",
            (get(b"/a", field + b": " + value),),
            (passed(*seen(field.lower(), OURS[field.lower()])),),
            Door.NATIVE,
        )
        for name, (field, value) in SPOOFS.items()
    ),
    *(
        Entry(
            f"{name} twice, from a stranger",
            (get(b"/a", *[field + b": " + value] * 2),),
            (passed(*seen(field.lower(), OURS[field.lower()])),),
            Door.NATIVE,
        )
        for name, (field, value) in SPOOFS.items()
    ),
    *(
        Entry(
            f"{name}, from a stranger",
            (get(b"/a", line),),
            (passed(*seen(field, OURS.get(field))),),
            Door.NATIVE,
        )
        for name, (line, field) in DROPPED.items()
    ),
    *(
        Entry(
            f"{name.decode()}, from a stranger",
            (get(b"/a", name + b": 6.6.6.6"),),
            (passed(*seen(name.lower(), None)), refused(400)),
            Door.NATIVE,
        )
        for name in UNDERSCORES
    ),
    Entry(
        "For in two lines, believed",
        (get(b"/a", b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-For: 7.7.7.7"),),
        (
            passed(*seen(b"x-forwarded-for", b"6.6.6.6, 7.7.7.7,127.0.0.1")),
            passed(*seen(b"x-forwarded-for", b"6.6.6.6,7.7.7.7,127.0.0.1")),
        ),
        Door.DROP_IN,
    ),
    Entry(
        "nothing remembered from the request before",
        (
            get(b"/a", b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-Host: evil")
            + lines(b"GET /b HTTP/1.1", b"Host: hub"),
        ),
        (
            passed(
                Seen(A),
                Seen(
                    b"GET /b HTTP/1.1",
                    fields=((b"x-forwarded-for", b"127.0.0.1"), (b"x-forwarded-host", b"hub")),
                ),
            ),
        ),
    ),
    Entry(
        "another Host on the same connection",
        (get(b"/a", host=b"one") + get(b"/b", host=b"two:81"),),
        (
            passed(
                Seen(A, fields=((b"x-forwarded-host", b"one"),)),
                Seen(
                    b"GET /b HTTP/1.1",
                    fields=((b"x-forwarded-host", b"two:81"), (b"x-forwarded-port", b"81")),
                ),
            ),
        ),
    ),
]
