"""Replies with split, malformed or endless heads, and status lines that are none."""

from tests.hostile.entry import Pause
from tests.hostile.reply import FAILED, Broken, Close, Got, Repeated, Reply, ok

HEAD = b"HTTP/1.1 200 OK\r\n"
END = b"Content-Length: 2\r\n\r\nhi"

LINES = {
    "bare LF in a value": b"X: y\nSet-Cookie: a=b\r\n",
    "bare CR in a value": b"X: y\rSet-Cookie: a=b\r\n",
    "bare LF behind a name": b"X\n: y\r\n",
    "CR CR LF": b"X: y\r\r\n",
    "NUL in a value": b"X: a\0b\r\n",
    "NUL in a name": b"X\0: y\r\n",
    "control byte in a value": b"X: a\x01b\r\n",
    "escape in a value": b"X: a\x1b[2Jb\r\n",
    "DEL in a value": b"X: a\x7fb\r\n",
    "vertical tab in a value": b"X: a\x0bb\r\n",
    "folded": b"X: y\r\n z\r\n",
    "folded cookie": b"Set-Cookie: a=b;\r\n Path=/\r\n",
    "space before the colon": b"X : y\r\n",
    "space before the name": b" X: y\r\n",
    "no colon": b"X\r\n",
    "empty name": b": y\r\n",
    "space in the name": b"X Y: z\r\n",
    "high byte in the name": b"X\xe9: y\r\n",
    "parenthesis in the name": b"X(: y\r\n",
    "a status line for a field": b"HTTP/1.1 200 OK\r\n",
}
STATUSES = {
    "HTTP/0.9, text": b"hello\r\n",
    "HTTP/0.9, a page": b"<html><body>hello</body></html>\r\n",
    "two digits": b"HTTP/1.1 20 OK\r\n",
    "four digits": b"HTTP/1.1 2000 OK\r\n",
    "letters": b"HTTP/1.1 abc OK\r\n",
    "negative": b"HTTP/1.1 -20 OK\r\n",
    "zero": b"HTTP/1.1 000 OK\r\n",
    "99": b"HTTP/1.1 099 OK\r\n",
    "no status": b"HTTP/1.1\r\n",
    "two blanks": b"HTTP/1.1  200 OK\r\n",
    "tab": b"HTTP/1.1\t200\tOK\r\n",
    "blank in front": b" HTTP/1.1 200 OK\r\n",
    "lower case": b"http/1.1 200 OK\r\n",
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\n",
    "HTTP/0.9": b"HTTP/0.9 200 OK\r\n",
    "HTTP/11": b"HTTP/11 200 OK\r\n",
    "RTSP": b"RTSP/1.0 200 OK\r\n",
    "ICE": b"ICE/1.0 200 OK\r\n",
    "ICY": b"ICY 200 OK\r\n",
    "SMTP": b"220 hub ESMTP\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "LF in the reason": b"HTTP/1.1 200 O\nK\r\n",
    "CR in the reason": b"HTTP/1.1 200 O\rK\r\n",
    "a field in the reason by LF": b"HTTP/1.1 200 OK\nSet-Cookie: a=b\r\n",
    "a request line": b"GET / HTTP/1.1\r\n",
    "an HTTP/2 frame": b"\0\0\0\x04\0\0\0\0\0\r\n",
    "a TLS alert": b"\x15\x03\x03\0\x02\x02\x28\r\n",
    "zeros": b"\0" * 64 + b"\r\n",
}
# The client gets another reason, or an error.
REASONS = {
    "NUL in the reason": b"HTTP/1.1 200 O\0K\r\n",
    "control byte in the reason": b"HTTP/1.1 200 O\x01K\r\n",
    "escape in the reason": b"HTTP/1.1 200 O\x1b[2JK\r\n",
    "DEL in the reason": b"HTTP/1.1 200 O\x7fK\r\n",
}
HUGE = {
    "a reason": (b"HTTP/1.1 200 ", b"x" * 1000, b"\r\n" + END),
    "a field": (HEAD + b"X: ", b"x" * 1000, b"\r\n" + END),
    "a field name": (HEAD, b"x" * 1000, b": y\r\n" + END),
    "fields": (HEAD, b"X-Name: y\r\n", END),
    "blanks": (HEAD + b"X:", b" " * 1000, b"y\r\n" + END),
}

REPLIES = [
    *(Reply(name, (HEAD + line + END,), (FAILED,)) for name, line in LINES.items()),
    *(
        Reply(f"status line: {name}", (line + END, Pause(), Close.END), (FAILED,))
        for name, line in STATUSES.items()
    ),
    *(
        Reply(name, (line + END,), (FAILED, ok(b"hi", b"set-cookie")))
        for name, line in REASONS.items()
    ),
    Reply("no reason", (b"HTTP/1.1 200\r\n" + END,), (ok(b"hi"), FAILED)),
    Reply("an empty reason", (b"HTTP/1.1 200 \r\n" + END,), (ok(b"hi"),)),
    Reply("an unknown status", (b"HTTP/1.1 299 Odd\r\n" + END,), (Got(frozenset((299,)), b"hi"),)),
    Reply("status 999", (b"HTTP/1.1 999 Odd\r\n" + END,), (Got(frozenset((999,)), b"hi"), FAILED)),
    Reply("empty lines in front", (b"\r\n\r\n" + HEAD + END,), (ok(b"hi"), FAILED)),
    Reply("bare LF everywhere", (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",), (FAILED,)),
    *(
        Reply(f"3 MB: {name}", (start, Repeated(part, 3_000_000 // len(part)), end), (FAILED,))
        for name, (start, part, end) in HUGE.items()
    ),
    *(
        Reply(f"endless {name}", (start, Repeated(part, 4_000_000 // len(part))), (FAILED,))
        for name, (start, part, _) in HUGE.items()
    ),
    Reply(
        "endless trailers",
        (
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n",
            Repeated(b"X-Name: y\r\n", 400_000),
            Close.END,
        ),
        (Broken(), FAILED),
    ),
    Reply(
        "an endless trailer",
        (
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: ",
            Repeated(b"y" * 1000, 4000),
            Close.END,
        ),
        (Broken(), FAILED),
    ),
    Reply(
        "an endless chunk extension",
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;", Repeated(b"y" * 1000, 4000), Close.END),
        (Broken(), FAILED),
    ),
    Reply(
        "hop-by-hop fields",
        (
            HEAD + b"Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\n"
            b"Upgrade: h2c\r\nTE: trailers\r\nProxy-Connection: close\r\n" + END,
        ),
        (ok(b"hi", b"x-hop", b"keep-alive", b"upgrade", b"te", b"proxy-connection"),),
    ),
    Reply(
        "Connection names the length",
        (HEAD + b"Connection: Content-Length\r\n" + END,),
        (ok(b"hi"), FAILED),
    ),
    Reply(
        "a head byte by byte",
        tuple(step for code in HEAD + END for step in (bytes((code,)), Pause(0.001))),
        (ok(b"hi"),),
    ),
]
