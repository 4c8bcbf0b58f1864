"""Connection names fields that end here: none of those that the target depends on may go so."""

from tests.hostile.building import SMUGGLED, get, post
from tests.hostile.entry import Door, Entry, Seen, passed, refused

A = b"GET /a HTTP/1.1"
POST = b"POST /a HTTP/1.1"

# name -> (fields sent, what the target has to see)
NAMED = {
    "Host": ((b"Connection: Host",), (b"host", b"hub")),
    "Host and close": ((b"Connection: keep-alive, host",), (b"host", b"hub")),
    "an ordinary field": ((b"Connection: X-Hop", b"X-Hop: 1"), (b"x-hop", None)),
    "a field sent twice": ((b"X-Hop: 1", b"Connection: X-Hop", b"X-Hop: 2"), (b"x-hop", None)),
    "a field, other letters": ((b"Connection: x-HOP", b"X-Hop: 1"), (b"x-hop", None)),
    "a field in a second Connection": (
        (b"Connection: keep-alive", b"Connection: x-hop", b"X-Hop: 1"),
        (b"x-hop", None),
    ),
    "a longer name stays": ((b"Connection: X", b"X-Hop: 1"), (b"x-hop", b"1")),
    "Keep-Alive": ((b"Keep-Alive: timeout=5",), (b"keep-alive", None)),
    "Proxy-Connection": ((b"Proxy-Connection: keep-alive",), (b"proxy-connection", None)),
    "TE": ((b"TE: trailers, deflate",), (b"te", None)),
    "TE, named": ((b"Connection: TE", b"TE: trailers"), (b"te", None)),
    "TE: chunked": ((b"TE: chunked;q=0.5",), (b"te", None)),
    "Trailer": ((b"Trailer: X-Sum",), (b"trailer", None)),
    "Connection itself": ((b"Connection: Connection",), (b"connection", None)),
    "nothing": ((b"Connection:",), (b"connection", None)),
    "commas": ((b"Connection: , ,,",), (b"connection", None)),
    "nonsense": ((b"Connection: \xe9, (x), a b",), (b"connection", None)),
}
# What a proxy in front of this one, or this one, adds cannot be taken away by a client.
KEPT = {
    "X-Forwarded-For": (b"x-forwarded-for", b"127.0.0.1"),
    "X-Forwarded-Proto": (b"x-forwarded-proto", b"http"),
    "X-Forwarded-Host": (b"x-forwarded-host", b"hub"),
    "X-Forwarded-Port": (b"x-forwarded-port", b"80"),
}
BODY_KEPT = {
    "Content-Length": post(
        b"Connection: Content-Length", b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED
    ),
    "Transfer-Encoding": post(
        b"Connection: Transfer-Encoding",
        b"Transfer-Encoding: chunked",
        body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
    ),
    "both": post(
        b"Connection: Content-Length, Transfer-Encoding",
        b"Content-Length: %d" % len(SMUGGLED),
        body=SMUGGLED,
    ),
}
# A client that wants its own cookie gone may have that: removed or kept, nothing else.
ITS_OWN = {
    "Cookie": (b"Cookie: a=b", b"cookie", b"a=b"),
    "Authorization": (b"Authorization: token x", b"authorization", b"token x"),
    "Content-Type": (b"Content-Type: text/html", b"content-type", b"text/html"),
    "Origin": (b"Origin: http://evil", b"origin", b"http://evil"),
    "Sec-Fetch-Site": (b"Sec-Fetch-Site: cross-site", b"sec-fetch-site", b"cross-site"),
}

ENTRIES = [
    *(
        Entry(name, (get(b"/a", *fields),), (passed(Seen(A, fields=(seen,))), refused(400)))
        for name, (fields, seen) in NAMED.items()
    ),
    *(
        Entry(
            f"{name} is added all the same",
            (get(b"/a", b"Connection: " + name.encode()),),
            (passed(Seen(A, fields=(seen,))), refused(400)),
        )
        for name, seen in KEPT.items()
    ),
    *(
        Entry(
            f"{name} from a proxy in front stays",
            (get(b"/a", b"Connection: " + name.encode(), name.encode() + b": before"),),
            (passed(Seen(A, fields=((seen[0], b"before," + seen[1]),))), refused(400)),
            Door.DROP_IN,
        )
        for name, seen in list(KEPT.items())[:2]
    ),
    *(
        Entry(
            f"{name} frames the body all the same",
            (data,),
            (
                passed(Seen(POST, SMUGGLED)),
                refused(400),
            ),
        )
        for name, data in BODY_KEPT.items()
    ),
    Entry(
        "Content-Length of zero",
        (post(b"Connection: Content-Length", b"Content-Length: 0", body=get(b"/b")),),
        (passed(Seen(POST), Seen(b"GET /b HTTP/1.1")), refused(400)),
    ),
    *(
        Entry(
            f"{name} is the client's own",
            (get(b"/a", b"Connection: " + name.encode(), line),),
            (
                passed(Seen(A, fields=((field, None),))),
                passed(Seen(A, fields=((field, value),))),
            ),
        )
        for name, (line, field, value) in ITS_OWN.items()
    ),
    Entry(
        "close, and a request behind it",
        (get(b"/a", b"Connection: close") + SMUGGLED,),
        (passed(Seen(A), end=refused(400).end),),
    ),
    Entry(
        "close and keep-alive",
        (get(b"/a", b"Connection: close, keep-alive") + SMUGGLED,),
        (passed(Seen(A), end=refused(400).end),),
    ),
]
