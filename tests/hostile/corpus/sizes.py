"""Over-long everything: refused with the right status, or forwarded whole."""

from tests.hostile.building import SMUGGLED, get, lines, post
from tests.hostile.entry import Entry, HalfClose, Pause, Seen, dropped, passed, refused

A = b"GET /a HTTP/1.1"
HOST = b"Host: hub"
BIG, HUGE = b"x" * 60_000, b"x" * 200_000

TOO_BIG = {
    "URL": (get(b"/" + HUGE), (414, 431)),
    "URL just over the limit": (get(b"/" + b"x" * 65_536), (414, 431)),
    "query": (get(b"/a?" + HUGE), (414, 431)),
    "URL of slashes": (get(b"/" * 200_000), (414, 431)),
    "URL of dots": (get(b"/.." * 60_000), (414, 431)),
    "URL of percents": (get(b"/" + b"%2e" * 60_000), (414, 431)),
    "absolute URL": (get(b"http://hub/" + HUGE), (414, 431)),
    "field value": (get(b"/a", b"X: " + HUGE), (431,)),
    "field name": (get(b"/a", HUGE + b": y"), (431,)),
    "Host": (get(b"/a", host=HUGE), (400, 431)),
    "cookie": (get(b"/a", b"Cookie: a=" + HUGE), (431,)),
    "10 000 fields": (get(b"/a", *(b"X-%d: y" % n for n in range(10_000))), (431,)),
    "10 000 empty fields of one name": (get(b"/a", *[b"X-Name-X:"] * 10_000), (431,)),
    "50 000 shortest fields": (get(b"/a", *[b"X:"] * 50_000), (431,)),
    "1000 hosts": (get(b"/a", *[b"Host: hub"] * 1000), (400, 431)),
    "method": (lines(b"G" * 200_000 + b" /a HTTP/1.1", HOST), (400, 405, 431, 501)),
    "version": (lines(b"GET /a HTTP/1." + b"1" * 200_000, HOST), (400, 414, 505)),
    "Connection": (get(b"/a", b"Connection: " + b"x, " * 60_000), (431,)),
}
# No line end in sight, and no end either.
ENDLESS = {
    "method": (b"G" * 300_000, (400, 405, 431, 501)),
    "URL": (b"GET /" + b"x" * 300_000, (414, 431)),
    "field name": (lines(A, HOST)[:-2] + b"x" * 300_000, (431,)),
    "field value": (lines(A, HOST)[:-2] + b"X: " + b"x" * 300_000, (431,)),
    "fields": (lines(A, HOST)[:-2] + b"X-Name: y\r\n" * 30_000, (431,)),
}
FITTING = {
    "URL of 60 KB": (b"/" + BIG, ()),
    "field of 60 KB": (b"/a", (b"X: " + BIG,)),
    "200 fields": (b"/a", tuple(b"X-%d: y" % number for number in range(200))),
    "100 cookies of 400 bytes": (b"/a", tuple(b"Cookie: " + b"c" * 400 for _ in range(100))),
}

ENTRIES = [
    *(Entry(name, (data,), (refused(*statuses),)) for name, (data, statuses) in TOO_BIG.items()),
    *(
        Entry(f"endless {name}", (data,), (refused(*statuses),))
        for name, (data, statuses) in ENDLESS.items()
    ),
    *(
        Entry(name, (get(path, *fields),), (passed(Seen(b"GET " + path + b" HTTP/1.1")),))
        for name, (path, fields) in FITTING.items()
    ),
    Entry(
        "field value of blanks",
        (get(b"/a", b"X:" + b" " * 200_000 + b"y"),),
        (refused(400, 431), passed(Seen(A, fields=((b"x", b"y"),)))),
    ),
    Entry(
        "a length behind 2500 fields",
        (
            post(
                *(b"X-%d: y" % number for number in range(2500)),
                b"Content-Length: %d" % len(SMUGGLED),
                body=SMUGGLED,
            ),
        ),
        (passed(Seen(b"POST /a HTTP/1.1", SMUGGLED)), refused(431)),
    ),
    Entry(
        "a second Host behind 2500 fields",
        (get(b"/a", *(b"X-%d: y" % number for number in range(2500)), b"Host: evil"),),
        (refused(400, 431),),
    ),
    Entry(
        "a coding behind 2500 fields and a length",
        (
            post(
                b"Content-Length: 5",
                *(b"X-%d: y" % number for number in range(2500)),
                b"Transfer-Encoding: chunked",
                body=b"0\r\n\r\n" + SMUGGLED,
            ),
        ),
        (refused(400, 431),),
    ),
    Entry(
        "a small request behind a big one",
        (get(b"/" + BIG), Pause(), get(b"/b")),
        (passed(Seen(b"GET /" + BIG + b" HTTP/1.1"), Seen(b"GET /b HTTP/1.1")),),
    ),
    Entry(
        "a head that stops half-way",
        (lines(A, HOST)[:-2] + b"X: y", HalfClose()),
        (dropped(), refused(400, 408)),
    ),
]
