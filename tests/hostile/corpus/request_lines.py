"""The request line: blanks, methods, and the forms of a target that is no path."""

from tests.hostile.building import SMUGGLED, lines
from tests.hostile.entry import Entry, Pause, Seen, answered, passed, refused

A = b"GET /a HTTP/1.1"
HOST = b"Host: hub"

BAD = {
    "blank in front": b" GET /a HTTP/1.1",
    "tab in front": b"\tGET /a HTTP/1.1",
    "tab behind the method": b"GET\t/a HTTP/1.1",
    "tab behind the path": b"GET /a\tHTTP/1.1",
    "blank behind the version": b"GET /a HTTP/1.1 ",
    "tab behind the version": b"GET /a HTTP/1.1\t",
    "a word behind the version": b"GET /a HTTP/1.1 x",
    "a second version": b"GET /a HTTP/1.1 HTTP/1.1",
    "blank in the path": b"GET /a b HTTP/1.1",
    "a version in the path": b"GET /a HTTP/1.1/b HTTP/1.1",
    "no path": b"GET HTTP/1.1",
    "an empty path": b"GET  HTTP/1.1",
    "no method": b"/a HTTP/1.1",
    "only a method": b"GET",
    "lower-case method": b"get /a HTTP/1.1",
    "unknown method": b"FOO /a HTTP/1.1",
    "method with a high byte": b"G\xcbT /a HTTP/1.1",
    "method with a bracket": b"GET[ /a HTTP/1.1",
    "method that begins as another": b"GETS /a HTTP/1.1",
    "quoted path": b'GET "/a" HTTP/1.1',
    "no leading slash": b"GET a HTTP/1.1",
    "dots without a slash": b"GET ../a HTTP/1.1",
    "only a query": b"GET ?a HTTP/1.1",
    "only a fragment": b"GET #a HTTP/1.1",
    "backslash for the slash": b"GET \\a HTTP/1.1",
    "encoded leading slash": b"GET %2fa HTTP/1.1",
    "NUL-like path": b"GET %00 HTTP/1.1",
    "asterisk on a GET": b"GET * HTTP/1.1",
    "authority on a GET": b"GET hub:80 HTTP/1.1",
    "a name without a port": b"GET hub HTTP/1.1",
    "at sign": b"GET @evil/a HTTP/1.1",
    "absolute, ftp": b"GET ftp://hub/a HTTP/1.1",
    "absolute, file": b"GET file:///etc/passwd HTTP/1.1",
    "absolute, ws": b"GET ws://hub/a HTTP/1.1",
    "absolute, javascript": b"GET javascript:alert(1) HTTP/1.1",
    "absolute, data": b"GET data:text/plain,x HTTP/1.1",
    "absolute, http+unix": b"GET http+unix://%2Frun%2Fx.sock/a HTTP/1.1",
    "absolute, no host": b"GET http:///a HTTP/1.1",
    "absolute, one slash": b"GET http:/a HTTP/1.1",
    "absolute, no slashes": b"GET http:a HTTP/1.1",
    "absolute, empty": b"GET http:// HTTP/1.1",
    "absolute, user": b"GET http://user@hub/a HTTP/1.1",
    "absolute, user and password": b"GET http://user:secret@hub/a HTTP/1.1",
    "absolute, host of blanks": b"GET http:// hub/a HTTP/1.1",
    "absolute, backslash": b"GET http:\\\\hub\\a HTTP/1.1",
    "absolute, bad bracket": b"GET http://[::1/a HTTP/1.1",
    "absolute, bad port": b"GET http://hub:x/a HTTP/1.1",
    "absolute, fragment for a path": b"GET http://hub#/a HTTP/1.1",
    "absolute, encoded slash in the host": b"GET http://hub%2fevil/a HTTP/1.1",
}
ABSOLUTE = {
    "absolute": (b"http://hub/a", b"/a", b"hub"),
    "absolute, upper-case scheme": (b"HTTP://hub/a", b"/a", b"hub"),
    "absolute, https": (b"https://hub/a", b"/a", b"hub"),
    "absolute, port": (b"http://hub:8000/a", b"/a", b"hub:8000"),
    "absolute, no path": (b"http://hub", b"/", b"hub"),
    "absolute, only a query": (b"http://hub?x", b"/?x", b"hub"),
    "absolute, another host than Host": (b"http://other/a", b"/a", b"other"),
    "absolute, a URL as the path": (b"http://hub/http://evil/", b"/http://evil/", b"hub"),
    "absolute, IPv6": (b"http://[::1]:80/a", b"/a", b"[::1]:80"),
}
TUNNEL = {
    "authority": b"CONNECT hub:443 HTTP/1.1",
    "another host": b"CONNECT 169.254.169.254:80 HTTP/1.1",
    "a path": b"CONNECT /a HTTP/1.1",
    "a URL": b"CONNECT http://hub/a HTTP/1.1",
    "HTTP/1.0": b"CONNECT hub:443 HTTP/1.0",
    "no port": b"CONNECT hub HTTP/1.1",
}

ENTRIES = [
    *(
        Entry(name, (lines(line, HOST),), (refused(400, 405, 501, 505),))
        for name, line in BAD.items()
    ),
    *(
        Entry(name, (lines(line, HOST),), (passed(Seen(A)), refused(400)))
        for name, line in (
            ("two blanks behind the method", b"GET  /a HTTP/1.1"),
            ("two blanks behind the path", b"GET /a  HTTP/1.1"),
        )
    ),
    *(
        Entry(
            name,
            (lines(b"GET %b HTTP/1.1" % target, HOST),),
            (passed(Seen(b"GET %b HTTP/1.1" % path, fields=((b"host", host),))), refused(400)),
        )
        for name, (target, path, host) in ABSOLUTE.items()
    ),
    *(
        Entry(f"CONNECT, {name}", (lines(line, HOST) + SMUGGLED,), (refused(400, 405, 501),))
        for name, line in TUNNEL.items()
    ),
    Entry(
        "CONNECT, then tunnel bytes",
        (lines(TUNNEL["authority"], HOST), Pause(), SMUGGLED),
        (refused(400, 405, 501),),
    ),
    Entry(
        "OPTIONS *",
        (lines(b"OPTIONS * HTTP/1.1", HOST),),
        (refused(400, 404, 405, 501), answered(200, 204, 404, 405)),
    ),
    Entry(
        "TRACE",
        (lines(b"TRACE /a HTTP/1.1", HOST, b"Cookie: secret=1"),),
        (refused(405, 501), answered(405, 501), passed(Seen(b"TRACE /a HTTP/1.1"))),
    ),
    Entry(
        "TRACE with a body",
        (lines(b"TRACE /a HTTP/1.1", HOST, b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED,),
        (refused(400, 405, 501), passed(Seen(b"TRACE /a HTTP/1.1", SMUGGLED))),
    ),
    Entry(
        "TRACK",
        (lines(b"TRACK /a HTTP/1.1", HOST),),
        (refused(400, 405, 501), passed(Seen(b"TRACK /a HTTP/1.1"))),
    ),
]
