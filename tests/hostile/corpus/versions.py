"""Versions of HTTP that are none, or not ours, and other protocols' first bytes."""

import ssl

from tests.hostile.building import SMUGGLED, get, lines
from tests.hostile.entry import Entry, HalfClose, Pause, Seen, dropped, passed, refused

HOST = b"Host: hub"
BAD = {
    "HTTP/0.9 in words": b"GET /a HTTP/0.9",
    "HTTP/1.2": b"GET /a HTTP/1.2",
    "HTTP/1.9": b"GET /a HTTP/1.9",
    "HTTP/1.10": b"GET /a HTTP/1.10",
    "HTTP/1.11": b"GET /a HTTP/1.11",
    "HTTP/01.1": b"GET /a HTTP/01.1",
    "HTTP/1.01": b"GET /a HTTP/1.01",
    "HTTP/1": b"GET /a HTTP/1",
    "HTTP/1.": b"GET /a HTTP/1.",
    "HTTP/.1": b"GET /a HTTP/.1",
    "HTTP/": b"GET /a HTTP/",
    "HTTP": b"GET /a HTTP",
    "HTTP/2": b"GET /a HTTP/2",
    "HTTP/2.0": b"GET /a HTTP/2.0",
    "HTTP/3": b"GET /a HTTP/3",
    "HTTP/3.0": b"GET /a HTTP/3.0",
    "HTTP/9.9": b"GET /a HTTP/9.9",
    "HTTP/0.0": b"GET /a HTTP/0.0",
    "HTTP/-1.1": b"GET /a HTTP/-1.1",
    "HTTP/+1.1": b"GET /a HTTP/+1.1",
    "HTTP/1,1": b"GET /a HTTP/1,1",
    "HTTP/1.1.1": b"GET /a HTTP/1.1.1",
    "HTTP/1.1x": b"GET /a HTTP/1.1x",
    "HTTP/1.a": b"GET /a HTTP/1.a",
    "HTTP 1.1": b"GET /a HTTP 1.1",
    "HTTP//1.1": b"GET /a HTTP//1.1",
    "full-width digits": "GET /a HTTP/１.１".encode(),
    "lower case": b"GET /a http/1.1",
    "mixed case": b"GET /a Http/1.1",
    "HTTPS": b"GET /a HTTPS/1.1",
    "XHTTP": b"GET /a XHTTP/1.1",
    "RTSP": b"GET /a RTSP/1.0",
    "RTSP 1.1": b"GET /a RTSP/1.1",
    "RTSP DESCRIBE": b"DESCRIBE /a RTSP/1.0",
    "RTSP 1.1 DESCRIBE": b"DESCRIBE /a RTSP/1.1",
    "RTSP 1.1 OPTIONS": b"OPTIONS /a RTSP/1.1",
    "RTSP 1.1 POST": b"POST /a RTSP/1.1",
    "RTSP 2.0 SETUP": b"SETUP /a RTSP/2.0",
    "ICE": b"SOURCE /a ICE/1.0",
    "ICE 1.1": b"SOURCE /a ICE/1.1",
    "ICE GET": b"GET /a ICE/1.1",
    "SIP": b"REGISTER sip:hub SIP/2.0",
    "SHOUTCAST": b"GET /a ICY/1.1",
    "WebDAV-like DASL": b"GET /a DASL/1.1",
}
OTHERS = {
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    "HTTP/2 preface in lower case": b"pri * http/2.0\r\n\r\nsm\r\n\r\n",
    "HTTP/2 preface with a path": b"PRI /a HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2 preface as 1.1": b"PRI * HTTP/1.1\r\nHost: hub\r\n\r\nSM\r\n\r\n",
    "HTTP/2 frame without preface": b"\0\0\0\x04\0\0\0\0\0",
    "HTTP/3 settings frame": b"\0\x04\x00" + b"\x01\x10" + b"x" * 32,
    "QUIC initial": b"\xc0\0\0\0\x01\x08" + b"x" * 64,
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "SMTP": b"EHLO hub\r\nMAIL FROM:<a@b>\r\n\r\n",
    "Redis": b"*1\r\n$4\r\nPING\r\n",
    "Redis inline": b"FLUSHALL\r\n\r\n",
    "PROXY protocol 1": b"PROXY TCP4 6.6.6.6 127.0.0.1 1 8000\r\n" + get(),
    "PROXY protocol 2": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"\x06" * 12 + get(),
    "FastCGI": b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0",
    "a status line": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a zero byte": b"\0\r\n\r\n",
    "binary zeros": b"\0" * 4096,
    "all bytes": bytes(range(256)) * 4,
}


def client_hello() -> bytes:
    """Return the first bytes that a TLS client sends."""
    out = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="hub")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return out.read()
    raise AssertionError("a handshake without a server")


ENTRIES = [
    *(
        Entry(name, (lines(line, HOST) + SMUGGLED,), (refused(400, 501, 505),))
        for name, line in BAD.items()
    ),
    *(
        Entry(name, (data, HalfClose()), (refused(400, 405, 505), dropped()))
        for name, data in OTHERS.items()
    ),
    Entry("TLS on the plain port", (client_hello(),), (refused(400), dropped())),
    Entry(
        "TLS on the plain port, in halves",
        (client_hello()[:3], Pause(), client_hello()[3:]),
        (refused(400), dropped()),
    ),
    Entry("HTTP/0.9", (b"GET /a\r\n", HalfClose()), (refused(400, 505), dropped())),
    Entry("HTTP/0.9 with fields", (lines(b"GET /a", HOST),), (refused(400, 505),)),
    Entry("HTTP/0.9 with a blank", (lines(b"GET /a ", HOST),), (refused(400, 505),)),
    Entry("HTTP/0.9, then HTTP/1.1", (b"GET /a\r\n" + SMUGGLED, HalfClose()), (refused(400, 505),)),
    Entry(
        "HTTP/1.0 does not keep the connection",
        (lines(b"GET /a HTTP/1.0", HOST) + SMUGGLED,),
        (passed(Seen(b"GET /a HTTP/1.1"), end=dropped().end),),
    ),
    Entry(
        "HTTP/1.0 that asks to keep it",
        (lines(b"GET /a HTTP/1.0", HOST, b"Connection: keep-alive") + get(b"/b"),),
        (passed(Seen(b"GET /a HTTP/1.1"), Seen(b"GET /b HTTP/1.1")),),
    ),
]
