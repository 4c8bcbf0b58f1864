"""Replies whose body's end can be read in more than one way, or that never reach it."""

from tests.hostile.entry import Pause
from tests.hostile.reply import FAILED, Broken, Close, Got, Heard, Reply, ok

HEAD = b"HTTP/1.1 200 OK\r\n"
TE = b"Transfer-Encoding: chunked"
SECOND = b"HTTP/1.1 200 OK\r\nX-Record: 0\r\nContent-Length: 6\r\n\r\npoison"

LENGTHS = {
    "two equal lengths": b"Content-Length: 2\r\nContent-Length: 2",
    "two different lengths": b"Content-Length: 2\r\nContent-Length: 0",
    "zero and two": b"Content-Length: 0\r\nContent-Length: 2",
    "a list of equal ones": b"Content-Length: 2, 2",
    "a list of different ones": b"Content-Length: 2, 0",
    "plus sign": b"Content-Length: +2",
    "minus sign": b"Content-Length: -2",
    "hexadecimal": b"Content-Length: 0x2",
    "float": b"Content-Length: 2.0",
    "empty": b"Content-Length:",
    "letters": b"Content-Length: two",
    "2 to the 64 and 2": b"Content-Length: 18446744073709551618",
    "space before the colon": b"Content-Length : 2",
    "folded": b"Content-Length:\r\n 2",
    "NUL": b"Content-Length: 2\0",
    "bare CR": b"Content-Length: 2\r0",
    "no colon": b"Content-Length 2",
}
CODINGS = {
    "length, then chunked": b"Content-Length: 2\r\n" + TE,
    "chunked, then length": TE + b"\r\nContent-Length: 2",
    "chunked and zero": TE + b"\r\nContent-Length: 0",
    "unknown coding": b"Transfer-Encoding: x",
    "unknown coding and length": b"Transfer-Encoding: x\r\nContent-Length: 2",
    "identity": b"Transfer-Encoding: identity",
    "gzip": b"Transfer-Encoding: gzip",
    "gzip, then chunked": b"Transfer-Encoding: gzip, chunked",
    "chunked, then gzip": b"Transfer-Encoding: chunked, gzip",
    "chunked twice": TE + b"\r\n" + TE,
    "chunked twice in a list": b"Transfer-Encoding: chunked, chunked",
    "xchunked": b"Transfer-Encoding: xchunked",
    "vertical tab": b"Transfer-Encoding: \x0bchunked",
    "quoted": b'Transfer-Encoding: "chunked"',
    "empty coding": b"Transfer-Encoding:",
    "space before the coding's colon": b"Transfer-Encoding : chunked",
    "folded coding": b"Transfer-Encoding:\r\n chunked",
    "coding behind a bare LF": b"X: y\nTransfer-Encoding: chunked",
}
CHUNKS = {
    "size of letters": b"x\r\nhi\r\n0\r\n\r\n",
    "size with a sign": b"+2\r\nhi\r\n0\r\n\r\n",
    "negative size": b"-2\r\nhi\r\n0\r\n\r\n",
    "0x in front": b"0x2\r\nhi\r\n0\r\n\r\n",
    "17 digits": b"10000000000000002\r\nhi\r\n0\r\n\r\n",
    "blank in front of a size": b" 2\r\nhi\r\n0\r\n\r\n",
    "bare LF behind a size": b"2\nhi\r\n0\r\n\r\n",
    "bare CR behind a size": b"2\rhi\r\n0\r\n\r\n",
    "bare LF behind the data": b"2\r\nhi\n0\r\n\r\n",
    "nothing behind the data": b"2\r\nhi0\r\n\r\n",
    "too much data": b"2\r\nhiho\r\n0\r\n\r\n",
    "line end in an extension": b'2;x="\r\n"\r\nhi\r\n0\r\n\r\n',
    "NUL in an extension": b"2;\0\r\nhi\r\n0\r\n\r\n",
    "last chunk with bare LF": b"0\n\n",
    "garbage for a trailer": b"0\r\ngarbage\r\n\r\n",
    "a response for a trailer": b"0\r\n" + SECOND,
    "a folded trailer": b"0\r\nX: y\r\n z\r\n\r\n",
}

REPLIES = [
    *(
        Reply(name, (HEAD + line + b"\r\n\r\nhi" + SECOND,), (FAILED,))
        for name, line in LENGTHS.items()
    ),
    *(
        Reply(
            name,
            (HEAD + line + b"\r\n\r\n2\r\nhi\r\n0\r\n\r\n" + SECOND, Pause(), Close.END),
            (FAILED,),
        )
        for name, line in CODINGS.items()
    ),
    *(
        Reply(f"chunks: {name}", (HEAD + TE + b"\r\n\r\n" + body + SECOND,), (FAILED, Broken()))
        for name, body in CHUNKS.items()
    ),
    *(
        Reply(
            f"chunks, later: {name}",
            (HEAD + TE + b"\r\n\r\n5\r\nhello\r\n", Heard(b"hello"), body + SECOND),
            (Broken(),),
        )
        for name, body in CHUNKS.items()
    ),
    Reply(
        "a length of 2 to the 63",
        (HEAD + b"Content-Length: 9223372036854775808\r\n\r\nhi", Pause(), Close.END),
        (FAILED, Broken()),
    ),
    Reply(
        "less than announced",
        (HEAD + b"Content-Length: 9\r\n\r\nhi", Pause(), Close.END),
        (Broken(), FAILED),
    ),
    Reply(
        "less than announced, then a reset",
        (HEAD + b"Content-Length: 9\r\n\r\nhi", Pause(), Close.RESET),
        (Broken(), FAILED),
    ),
    Reply(
        "no last chunk",
        (HEAD + TE + b"\r\n\r\n2\r\nhi\r\n", Pause(), Close.END),
        (Broken(), FAILED),
    ),
    Reply(
        "half a chunk",
        (HEAD + TE + b"\r\n\r\n9\r\nhi", Pause(), Close.END),
        (Broken(), FAILED),
    ),
    Reply(
        "more than announced",
        (HEAD + b"Content-Length: 2\r\n\r\nhi" + SECOND,),
        (ok(b"hi"),),
    ),
    Reply(
        "more than announced, later",
        (HEAD + b"Content-Length: 2\r\n\r\nh", Pause(), b"i" + SECOND, Pause(), SECOND),
        (ok(b"hi"),),
    ),
    Reply(
        "no framing, a response in the body",
        (HEAD + b"\r\n" + SECOND, Close.END),
        (ok(SECOND),),
    ),
    Reply(
        "trailers",
        (HEAD + TE + b"\r\n\r\n2\r\nhi\r\n0\r\nSet-Cookie: a=b\r\nContent-Length: 9\r\n\r\n",),
        (ok(b"hi", b"set-cookie", b"content-length"), FAILED, Broken()),
    ),
    Reply(
        "an ordinary trailer",
        (HEAD + TE + b"\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n",),
        (ok(b"hi", b"x-sum"),),
    ),
    Reply(
        "odd but valid chunks",
        (HEAD + b'Transfer-Encoding: Chunked\r\n\r\n02;x="y"\r\nhi\r\n00\r\n\r\n',),
        (ok(b"hi"),),
    ),
    Reply(
        "leading zeros",
        (HEAD + b"Content-Length: 0002\r\n\r\nhi",),
        (ok(b"hi"), FAILED),
    ),
    Reply(
        "an empty body, then another response",
        (HEAD + b"Content-Length: 0\r\n\r\n" + SECOND,),
        (ok(b""),),
    ),
    Reply(
        "chunked in HTTP/1.0",
        (b"HTTP/1.0 200 OK\r\n" + TE + b"\r\n\r\n2\r\nhi\r\n0\r\n\r\n", Close.END),
        (FAILED, ok(b"hi"), ok(b"2\r\nhi\r\n0\r\n\r\n")),
    ),
    Reply(
        "keep-alive in HTTP/1.0, then another response",
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi" + SECOND,),
        (ok(b"hi"),),
    ),
    Reply("nothing", (Close.END,), (FAILED,)),
    Reply("a reset", (Close.RESET,), (FAILED,)),
    Reply("half a head", (b"HTTP/1.1 200 OK\r\nConte", Pause(), Close.END), (FAILED,)),
    Reply(
        "another client's status",
        (b"HTTP/1.1 206 Partial\r\nContent-Length: 2\r\nContent-Range: bytes 0-1/9\r\n\r\nhi",),
        (Got(frozenset((206,)), b"hi"),),
    ),
]
