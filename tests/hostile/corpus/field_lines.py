"""Field lines that are none: folded, without a colon, without a name, with a bad name."""

from tests.hostile.building import get, lines
from tests.hostile.entry import Entry, Seen, passed, refused

LINE = b"GET /a HTTP/1.1"
BAD = {
    "folded with a space": b"X: y\r\n z",
    "folded with a tab": b"X: y\r\n\tz",
    "folded with an empty line of blanks": b"X: y\r\n \r\nZ: z",
    "folded empty value": b"X:\r\n y",
    "a field folded into another": b"X: y\r\n Cookie: a=b",
    "space before the colon": b"X : y",
    "tab before the colon": b"X\t: y",
    "two spaces before the colon": b"X  : y",
    "space in the name": b"X Y: z",
    "empty name": b": y",
    "empty name and value": b":",
    "only colons": b":::",
    "no colon": b"X",
    "no colon but a value": b"X y",
    "a second request line": b"GET /smuggled HTTP/1.1",
    "a status line": b"HTTP/1.1 200 OK",
    "high byte in the name": b"X\xe9: y",
    "UTF-8 in the name": "Ключ: y".encode(),
    "name in parentheses": b"(X): y",
    "name in angle brackets": b"<X>: y",
    "name in quotes": b'"X": y',
    "slash in the name": b"X/Y: z",
    "backslash in the name": b"X\\Y: z",
    "comma in the name": b"X,Y: z",
    "semicolon in the name": b"X;Y: z",
    "equals sign in the name": b"X=Y: z",
    "at sign in the name": b"X@Y: z",
    "question mark in the name": b"X?: y",
    "brackets in the name": b"X[0]: y",
    "braces in the name": b"X{0}: y",
    "pseudo header": b":path: /smuggled",
    "pseudo authority": b":authority: evil",
}
GOOD = {
    "empty value": (b"X:", b"x", b""),
    "value of blanks": (b"X:  \t ", b"x", b""),
    "no blank behind the colon": (b"X:y", b"x", b"y"),
    "blanks around the value": (b"X: \t y \t ", b"x", b"y"),
    "colons in the value": (b"X: y: z: ", b"x", b"y: z:"),
    "high bytes in the value": (b"X: \xe9\xff\x80", b"x", b"\xe9\xff\x80"),
    "all token characters in the name": (b"!#$%&'*+-.^_`|~: y", b"!#$%&'*+-.^_`|~", b"y"),
    "a request in the value": (b"X: GET /smuggled HTTP/1.1", b"x", b"GET /smuggled HTTP/1.1"),
    "escaped line ends in the value": (b"X: y%0d%0aZ: z", b"x", b"y%0d%0aZ: z"),
    "written-out line ends in the value": (b"X: y\\r\\nZ: z", b"x", b"y\\r\\nZ: z"),
    "the same name twice": (b"X: y\r\nX: z", b"x", b"y, z"),
    "a Latin-1 line end look-alike": (b"X: y\xc4\x8d\xc4\x8aZ: z", b"x", b"y\xc4\x8d\xc4\x8aZ: z"),
}

COOKIES = b"Cookie: a=1", b"Cookie: b=2"

ENTRIES = [
    Entry(
        "two cookies",
        (get(b"/a", *COOKIES),),
        tuple(
            passed(Seen(LINE, fields=((b"cookie", value),))) for value in (b"a=1, b=2", b"a=1; b=2")
        ),
    ),
    *(Entry(name, (get(b"/a", line),), (refused(400),)) for name, line in BAD.items()),
    *(
        Entry(
            f"{name}, before Host",
            (lines(LINE, line, b"Host: hub"),),
            (refused(400),),
        )
        for name, line in (("a folded first line", b" X: y"), ("a blank first line", b" "))
    ),
    *(
        Entry(name, (get(b"/a", line),), (passed(Seen(LINE, fields=((field, value),))),))
        for name, (line, field, value) in GOOD.items()
    ),
]
