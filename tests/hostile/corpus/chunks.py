"""Chunk sizes, extensions, terminators: the framing inside a chunked body."""

from tests.hostile.building import SMUGGLED, chunked, get
from tests.hostile.entry import (
    Entry,
    HalfClose,
    Pause,
    Seen,
    Step,
    UntilSeen,
    dropped,
    passed,
    refused,
)

POST = b"POST /a HTTP/1.1"
END = b"\r\n0\r\n\r\n"

# Each is the line of a chunk whose five bytes follow, or should.
BAD_SIZES = {
    "0x in front": b"0x5\r\n",
    "0X in front": b"0X5\r\n",
    "plus sign": b"+5\r\n",
    "minus sign": b"-5\r\n",
    "minus zero": b"-0\r\n",
    "blank in front": b" 5\r\n",
    "tab in front": b"\t5\r\n",
    "blank behind": b"5 \r\n",
    "tab behind": b"5\t\r\n",
    "vertical tab behind": b"5\x0b\r\n",
    "NUL behind": b"5\0\r\n",
    "no size": b"\r\n",
    "only an extension": b";x\r\n",
    "no hex digit": b"g\r\n",
    "hex digit then not": b"5g\r\n",
    "float": b"5.0\r\n",
    "underscore": b"0_5\r\n",
    "quoted": b'"5"\r\n',
    "comma": b"5,5\r\n",
    "two sizes": b"5 5\r\n",
    "full-width digit": "\uff15\r\n".encode(),
    "h behind": b"5h\r\n",
    "17 digits": b"10000000000000005\r\n",
    "16 letters and one more": b"fffffffffffffffff\r\n",
    "bare LF": b"5\n",
    "bare CR": b"5\r",
    "CR CR LF": b"5\r\r\n",
    "LF CR": b"5\n\r",
    "CR behind an extension": b"5;x\r",
    "LF behind an extension": b"5;x\n",
    "LF in an extension": b"5;x\nhello\r\n",
    "LF behind a semicolon": b"5;\n",
    "CR in an extension": b"5;x\ry\r\n",
    "NUL in an extension": b"5;x=\0\r\n",
    "control byte in an extension": b"5;\x01\r\n",
    "line end in a quoted extension": b'5;x="\r\n"\r\n',
    "LF in a quoted extension": b'5;x="\n"\r\n',
    "a blank and a request in the extension": b"5;x y\r\n",
    "a folded extension": b"5;x\r\n y\r\n",
    "a comment behind": b"5 (five)\r\n",
}
BAD_ENDS = {
    "no CRLF behind the data": b"5\r\nhello0\r\n\r\n",
    "one byte too many": b"5\r\nhellox\r\n0\r\n\r\n",
    "two bytes too many": b"5\r\nhelloxx0\r\n\r\n",
    "one byte missing": b"6\r\nhello\r\n0\r\n\r\n",
    "LF behind the data": b"5\r\nhello\n0\r\n\r\n",
    "CR behind the data": b"5\r\nhello\r0\r\n\r\n",
    "CR CR LF behind the data": b"5\r\nhello\r\r\n0\r\n\r\n",
    "LF CR behind the data": b"5\r\nhello\n\r0\r\n\r\n",
    "an empty line between chunks": b"5\r\nhello\r\n\r\n0\r\n\r\n",
    "last chunk with LF": b"0\n\r\n",
    "last chunk with two LF": b"0\n\n",
    "LF behind the last chunk": b"0\r\n\n",
    "CR behind the last chunk": b"0\r\n\rx",
    "garbage behind the last size": b"0x\r\n\r\n",
    "a request behind the last size": b"0\r\n" + SMUGGLED,
    "a request behind a chunk": b"5\r\nhello\r\n" + SMUGGLED,
    "NUL behind the last chunk": b"0\r\n\0\r\n\r\n",
}
# The grammar allows these; extensions do not cross.
GOOD = {
    "capital letters": b"A\r\nhellohello",
    "leading zero": b"05\r\nhello",
    "fifteen leading zeros": b"0" * 15 + b"5\r\nhello",
    "extension": b"5;x\r\nhello",
    "extension with a value": b"5;x=y\r\nhello",
    "extension with a quoted value": b'5;x="y z"\r\nhello',
    "two extensions": b"5;x;y=z\r\nhello",
    "a request in a quoted extension": b'5;x="GET /smuggled HTTP/1.1"\r\nhello',
    "an extension of 4 KB": b"5;" + b"x" * 4096 + b"\r\nhello",
}
DOUBTFUL = {
    "twenty leading zeros": b"0" * 20 + b"5\r\nhello",
    "an empty extension": b"5;\r\nhello",
    "blank behind the semicolon": b"5; x\r\nhello",
    "blank before the semicolon": b"5 ;x\r\nhello",
    "an extension of 1 MB": b"5;" + b"x" * 1_000_000 + b"\r\nhello",
}


REST = b"\n\r\n" + get(b"/b")


def slowly(*parts: bytes) -> tuple[Step, ...]:
    """Return the parts with a pause before each."""
    return tuple(step for part in parts for step in (Pause(0.005), part))


def body_of(chunk: bytes) -> bytes:
    return chunk.partition(b"\r\n")[2]


ENTRIES = [
    *(
        Entry(f"size: {name}", (chunked(body=line + b"hello" + END + SMUGGLED),), (refused(400),))
        for name, line in BAD_SIZES.items()
    ),
    *(
        Entry(f"end: {name}", (chunked(body=body + SMUGGLED),), (refused(400),))
        for name, body in BAD_ENDS.items()
    ),
    *(
        Entry(
            name,
            (chunked(body=chunk + END + get(b"/b")),),
            (passed(Seen(POST, body_of(chunk)), Seen(b"GET /b HTTP/1.1")),),
        )
        for name, chunk in GOOD.items()
    ),
    *(
        Entry(
            name,
            (chunked(body=chunk + END + get(b"/b")),),
            (
                passed(Seen(POST, b"hello"), Seen(b"GET /b HTTP/1.1")),
                refused(400, 413, 431, begun=True),
            ),
        )
        for name, chunk in DOUBTFUL.items()
    ),
    Entry(
        "a bad size when the target has begun to read",
        (chunked(body=b"5\r\nhello\r\n"), UntilSeen(b"hello"), b"+5\r\nhello" + END + SMUGGLED),
        (refused(400, begun=True), dropped(begun=True)),
    ),
    Entry(
        "a bad end when the target has begun to read",
        (chunked(body=b"5\r\nhe"), UntilSeen(b"he"), b"llo0\r\n\r\n" + SMUGGLED),
        (refused(400, begun=True), dropped(begun=True)),
    ),
    Entry(
        "a huge size that never comes",
        (chunked(body=b"ffffffffffffffff\r\n" + SMUGGLED), HalfClose()),
        (dropped(begun=True), refused(400, 413, begun=True)),
    ),
    Entry(
        "2 to the 63 that never comes",
        (chunked(body=b"8000000000000000\r\n" + SMUGGLED), HalfClose()),
        (dropped(begun=True), refused(400, 413, begun=True)),
    ),
    Entry(
        "no last chunk",
        (chunked(body=b"5\r\nhello\r\n"), HalfClose()),
        (dropped(begun=True), refused(400, begun=True)),
    ),
    Entry(
        "half a last chunk",
        (chunked(body=b"5\r\nhello\r\n0\r\n"), HalfClose()),
        (dropped(begun=True), refused(400, begun=True)),
    ),
    Entry(
        "garbage behind the last chunk",
        (chunked(body=b"0\r\n\r\nx\r\n\r\n"),),
        (refused(400, after=(Seen(POST),)),),
    ),
    Entry(
        "data behind the last chunk",
        (chunked(body=b"0\r\n\r\n5\r\nhello" + END),),
        (refused(400, after=(Seen(POST),)),),
    ),
    Entry(
        "a request as the chunk's data",
        (chunked(body=b"%x\r\n%b" % (len(SMUGGLED), SMUGGLED) + END),),
        (passed(Seen(POST, SMUGGLED)),),
    ),
    Entry(
        "a last chunk as the chunk's data",
        (chunked(body=b"2a\r\n0\r\n\r\n" + SMUGGLED[:37] + END),),
        (passed(Seen(POST, b"0\r\n\r\n" + SMUGGLED[:37])),),
    ),
    Entry(
        "chunks of one byte, each in a write of its own",
        (chunked(body=b""), *slowly(*[b"1\r\nx\r\n"] * 5, b"0\r\n\r\n")),
        (passed(Seen(POST, b"xxxxx")),),
    ),
    Entry(
        "cut inside every token",
        (
            chunked(body=b""),
            *slowly(b"0", b"5", b"\r", b"\nhel", b"lo", b"\r", b"\n0\r", REST),
        ),
        (passed(Seen(POST, b"hello"), Seen(b"GET /b HTTP/1.1")),),
    ),
    Entry(
        "10 000 chunks of one byte",
        (chunked(body=b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n" + get(b"/b")),),
        (passed(Seen(POST, b"x" * 10_000), Seen(b"GET /b HTTP/1.1")),),
    ),
    Entry(
        "200 KB, then a request of its own",
        (chunked(body=b"32000\r\n" + b"x" * 0x32000 + END), Pause(), get(b"/b")),
        (passed(Seen(POST, b"x" * 0x32000), Seen(b"GET /b HTTP/1.1")),),
    ),
]
