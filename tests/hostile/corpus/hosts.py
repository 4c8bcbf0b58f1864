"""Host: missing, doubled, empty, malformed, or with more in it than a host and a port."""

from tests.hostile.building import SMUGGLED, get, lines
from tests.hostile.entry import Door, Entry, Outcome, Seen, passed, refused

A = b"GET /a HTTP/1.1"
BAD = {
    "blank inside": b"hu b",
    "tab inside": b"hu\tb",
    "user": b"user@hub",
    "user and password": b"user:secret@hub",
    "at the end an at": b"hub@",
    "port, then user": b"hub:80@evil",
    "path": b"hub/a",
    "only a slash": b"/",
    "query": b"hub?x",
    "fragment": b"hub#x",
    "scheme": b"http://hub",
    "backslash": b"hub\\evil",
    "two by blank": b"hub evil",
    "comma and blank": b"hub, evil",
    "port of letters": b"hub:http",
    "port with a sign": b"hub:+80",
    "negative port": b"hub:-1",
    "port with a letter": b"hub:80a",
    "port with a blank": b"hub: 80",
    "blank before the port": b"hub :80",
    "two ports": b"hub:80:81",
    "double colon": b"hub::80",
    "only a colon and letters": b":x",
    "open bracket": b"[::1",
    "close bracket": b"::1]",
    "brackets in the middle": b"h[::1]",
    "text behind the bracket": b"[::1]x",
    "no address in brackets": b"[hub]",
    "empty brackets": b"[]",
    "bracket, bad port": b"[::1]:x",
    "bare IPv6": b"::1",
    "quotes": b'"hub"',
    "angle brackets": b"<hub>",
    "script": b"<script>alert(1)</script>",
    "braces": b"{hub}",
    "pipe": b"hub|evil",
    "caret": b"hub^",
    "backtick": b"hub`id`",
    "high byte": b"h\xfcb",
    "UTF-8": "hüb".encode(),
    "bad percent": b"hub%zz",
    "half a percent": b"hub%2",
    "encoded slash": b"hub%2fevil",
    "encoded line end": b"hub%0d%0aX",
    "encoded NUL": b"hub%00",
    "encoded at": b"user%40hub",
}
# Nobody needs these, and they are within the grammar: forwarded as they are, or refused.
ODD = {
    "empty": b"",
    "blank": b"  ",
    "dot": b".",
    "trailing dot": b"hub.",
    "empty port": b"hub:",
    "port 0": b"hub:0",
    "port 65536": b"hub:65536",
    "port of 20 digits": b"hub:" + b"9" * 20,
    "only a port": b":80",
    "underscore": b"hub_1",
    "upper case": b"HUB",
    "sub-delimiters": b"hub!$&'()*+,;=",
    "IPv4": b"127.0.0.1",
    "IPv4 in hex": b"0x7f.1",
    "IPv6": b"[::1]",
    "IPv6 and port": b"[::1]:8000",
    "IPv4 in IPv6": b"[::ffff:127.0.0.1]",
    "localhost and port": b"localhost:8001",
    "300 letters": b"a" * 300,
}

# Native: what picks a route by its host is what its target gets as Host.
INNER = b"inner.example.org"
INSIDE = {
    "as it is": INNER,
    "upper case": INNER.upper(),
    "a port": INNER + b":8000",
    "an empty port": INNER + b":",
}
OUTSIDE = {
    "a subdomain": b"x." + INNER,
    "a longer name": INNER + b".evil",
    "a prefix of it": INNER[:-1],
    "an underscore": b"inner_example.org",
}


def routed(at: str, host: bytes) -> Outcome:
    """Forwarded to `at`, with that Host."""
    return passed(Seen(A, at=at, fields=((b"host", host),)))


ENTRIES = [
    *(Entry(name, (get(b"/a", host=value),), (refused(400),)) for name, value in BAD.items()),
    *(
        Entry(
            name,
            (get(b"/a", host=value),),
            (passed(Seen(A, fields=((b"host", value.strip()),))), refused(400)),
        )
        for name, value in ODD.items()
    ),
    Entry("none", (lines(A) + SMUGGLED,), (refused(400),)),
    Entry("none but a look-alike", (lines(A, b"X-Host: hub"),), (refused(400),)),
    Entry("two the same", (lines(A, b"Host: hub", b"Host: hub"),), (refused(400),)),
    Entry("two different", (lines(A, b"Host: hub", b"Host: evil"),), (refused(400),)),
    Entry("two in different letters", (lines(A, b"Host: hub", b"hOST: evil"),), (refused(400),)),
    Entry("an empty second", (lines(A, b"Host: hub", b"Host:"),), (refused(400),)),
    Entry("an empty first", (lines(A, b"Host:", b"Host: hub"),), (refused(400),)),
    Entry(
        "two with a GET between", (lines(A, b"Host: hub", b"X: y", b"Host: x"),), (refused(400),)
    ),
    Entry("space before the colon", (lines(A, b"Host : hub"),), (refused(400),)),
    Entry("folded", (lines(A, b"Host:\r\n hub"),), (refused(400),)),
    Entry("two in HTTP/1.0", (lines(b"GET /a HTTP/1.0", b"Host: a", b"Host: b"),), (refused(400),)),
    Entry(
        "bad in HTTP/1.0",
        (lines(b"GET /a HTTP/1.0", b"Host: a/b"),),
        (refused(400),),
    ),
    Entry(
        "none beside an absolute target",
        (lines(b"GET http://hub/a HTTP/1.1"),),
        (refused(400), passed(Seen(A, fields=((b"host", b"hub"),)))),
    ),
    Entry(
        "two beside an absolute target",
        (lines(b"GET http://hub/a HTTP/1.1", b"Host: a", b"Host: b"),),
        (refused(400),),
    ),
    Entry(
        "bad beside an absolute target",
        (lines(b"GET http://hub/a HTTP/1.1", b"Host: user@evil/x"),),
        (refused(400), passed(Seen(A, fields=((b"host", b"hub"),)))),
    ),
    Entry(
        "overridden by X-Forwarded-Host, X-Host and the like",
        (get(b"/a", b"X-Host: evil", b"X-HTTP-Host-Override: evil", b"Forwarded: host=evil"),),
        (passed(Seen(A, fields=((b"host", b"hub"),))),),
    ),
    *(
        Entry(f"route: {name}", (get(b"/a", host=host),), (routed("inner", host),), Door.NATIVE)
        for name, host in INSIDE.items()
    ),
    *(
        Entry(f"no route: {name}", (get(b"/a", host=host),), (routed("hub", host),), Door.NATIVE)
        for name, host in OUTSIDE.items()
    ),
    Entry(
        "route: a trailing dot",
        (get(b"/a", host=INNER + b"."),),
        (routed("inner", INNER + b"."), routed("inner", INNER), refused(400)),
        Door.NATIVE,
    ),
    Entry(
        "route: absolute target, another Host",
        (get(b"http://inner.example.org/a"),),
        (routed("inner", INNER), refused(400)),
        Door.NATIVE,
    ),
    Entry(
        "no route: absolute target elsewhere, Host inside",
        (get(b"http://hub/a", host=INNER),),
        (routed("hub", b"hub"), refused(400)),
        Door.NATIVE,
    ),
    Entry(
        "no route: X-Forwarded-Host",
        (get(b"/a", b"X-Forwarded-Host: " + INNER, b"Forwarded: host=" + INNER),),
        (routed("hub", b"hub"),),
        Door.NATIVE,
    ),
    Entry(
        "no route: no Host in HTTP/1.0",
        (lines(b"GET /inner.example.org/a HTTP/1.0"),),
        (passed(Seen(b"GET /inner.example.org/a HTTP/1.1"), end=refused(400).end),),
        Door.NATIVE,
    ),
    Entry(
        "no route: the host as a path",
        (get(b"/inner.example.org/a", host=b""),),
        (passed(Seen(b"GET /inner.example.org/a HTTP/1.1")), refused(400)),
        Door.NATIVE,
    ),
    Entry(
        "to a user of another host's route",
        (get(b"/user/alice/x", host=INNER),),
        (passed(Seen(b"GET /user/alice/x HTTP/1.1", at="inner")),),
        Door.NATIVE,
    ),
]
