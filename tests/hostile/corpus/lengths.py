"""Content-Length in every form that is not one plain decimal number."""

from tests.hostile.building import SMUGGLED, get, lines, post, sized
from tests.hostile.entry import Entry, HalfClose, Pause, Seen, dropped, passed, refused

POST = b"POST /a HTTP/1.1"
REST = b"hello" + SMUGGLED

BAD = {
    "plus sign": b"+5",
    "minus sign": b"-5",
    "minus zero": b"-0",
    "plus zero": b"+0",
    "hexadecimal": b"0x5",
    "octal": b"0o5",
    "letters": b"five",
    "hex digit": b"a",
    "float": b"5.0",
    "exponent": b"5e0",
    "underscore": b"5_0",
    "thousands comma": b"1,000",
    "list of equal ones": b"5, 5",
    "list of different ones": b"5, 0",
    "list without a blank": b"5,5",
    "trailing comma": b"5,",
    "leading comma": b",5",
    "trailing semicolon": b"5;",
    "two numbers": b"5 5",
    "digit behind a blank": b"0 5",
    "quoted": b'"5"',
    "empty": b"",
    "blank": b" \t ",
    "full-width digit": "\uff15".encode(),
    "superscript digit": "\u00b2".encode("latin-1"),
    "Arabic digit": "\u0665".encode(),
    "no-break space": b"\xa05",
    "NUL behind": b"5\0",
    "NUL in front": b"\0005",
    "vertical tab in front": b"\x0b5",
    "vertical tab behind": b"5\x0b",
    "form feed behind": b"5\x0c",
    "bare CR behind": b"5\r",
    "bare CR inside": b"5\r0",
    "bare LF inside": b"5\n0",
    "folded": b"\r\n 5",
    "folded second digit": b"5\r\n 0",
    "2 to the 64": b"18446744073709551616",
    "2 to the 64 and 5": b"18446744073709551621",
    "2 to the 64 minus 1": b"18446744073709551615",
    "2 to the 63": b"9223372036854775808",
    "5000 digits": b"9" * 5000,
    "NaN": b"NaN",
    "infinity": b"inf",
    "chunked": b"chunked",
}
NAMES = {
    "space before the colon": b"Content-Length : 5",
    "tab before the colon": b"Content-Length\t: 5",
    "NUL before the colon": b"Content-Length\0: 5",
    "space before the name": b" Content-Length: 5",
    "no colon": b"Content-Length 5",
    "space in the name": b"Content Length: 5",
    "behind a bare LF": b"X: y\nContent-Length: 5",
    "behind a bare CR": b"X: y\rContent-Length: 5",
}
PAIRS = {
    "twice the same": (b"5", b"5"),
    "two different": (b"5", b"0"),
    "zero first": (b"0", b"5"),
    "twice zero": (b"0", b"0"),
    "leading zero in the second": (b"5", b"05"),
    "empty second": (b"5", b""),
    "empty first": (b"", b"5"),
    "negative second": (b"5", b"-1"),
}
# The grammar allows these.
ODD = {
    "leading zero": b"05",
    "twenty leading zeros": b"0" * 20 + b"5",
    "blank behind": b"5 ",
    "tab behind": b"5\t",
    "many blanks in front": b"    5",
}
LENGTH_5 = Seen(POST, b"hello", fields=((b"content-length", b"5"),))

ENTRIES = [
    *(Entry(name, (sized(value, body=REST),), (refused(400, 413),)) for name, value in BAD.items()),
    *(Entry(name, (post(line, body=REST),), (refused(400),)) for name, line in NAMES.items()),
    *(
        Entry(
            name,
            (post(b"Content-Length: " + one, b"Content-Length: " + two, body=REST),),
            (refused(400),),
        )
        for name, (one, two) in PAIRS.items()
    ),
    Entry(
        "two in different letters",
        (post(b"Content-Length: 5", b"content-length: 43", body=REST),),
        (refused(400),),
    ),
    *(
        Entry(
            name,
            (sized(value, body=b"hello"),),
            (passed(LENGTH_5), passed(Seen(POST, b"hello")), refused(400)),
        )
        for name, value in ODD.items()
    ),
    Entry(
        "a look-alike frames nothing",
        (post(b"Content_Length: 43", b"Content-Length: 5", body=b"hello"),),
        (passed(LENGTH_5), refused(400)),
    ),
    Entry(
        "a look-alike alone frames nothing",
        (post(b"Content_Length: 5"),),
        (passed(Seen(POST)), refused(400)),
    ),
    Entry(
        "zero, then a request of its own",
        (sized(0, body=get(b"/b")),),
        (passed(Seen(POST), Seen(b"GET /b HTTP/1.1")),),
    ),
    Entry(
        "exactly a request",
        (sized(len(SMUGGLED), body=SMUGGLED),),
        (passed(Seen(POST, SMUGGLED)),),
    ),
    Entry(
        "a request on a GET's body",
        (get(b"/a", b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED,),
        (passed(Seen(b"GET /a HTTP/1.1", SMUGGLED)), refused(400)),
    ),
    Entry(
        "a request on a DELETE's body",
        (
            lines(b"DELETE /a HTTP/1.1", b"Host: hub", b"Content-Length: %d" % len(SMUGGLED))
            + SMUGGLED,
        ),
        (passed(Seen(b"DELETE /a HTTP/1.1", SMUGGLED)), refused(400)),
    ),
    Entry(
        "a request on a HEAD's body",
        (
            lines(b"HEAD /a HTTP/1.1", b"Host: hub", b"Content-Length: %d" % len(SMUGGLED))
            + SMUGGLED,
        ),
        (passed(Seen(b"HEAD /a HTTP/1.1", SMUGGLED)), refused(400)),
        bodiless=True,
    ),
    Entry(
        "the body in two parts",
        (sized(5, body=b"he"), Pause(), b"llo" + get(b"/b")),
        (passed(Seen(POST, b"hello"), Seen(b"GET /b HTTP/1.1")),),
    ),
    Entry(
        "more than announced",
        (sized(3, body=b"hello\r\n\r\n"),),
        (refused(400, after=(Seen(POST, b"hel"),)),),
    ),
    Entry(
        "less than announced",
        (sized(9, body=b"hello"), HalfClose()),
        (dropped(begun=True), refused(400, begun=True)),
    ),
    Entry(
        "less than announced, a request in the rest",
        (sized(4000, body=SMUGGLED), HalfClose()),
        (dropped(begun=True), refused(400, begun=True)),
    ),
    Entry(
        "none on a POST, then a request of its own",
        (post(body=get(b"/b")),),
        (passed(Seen(POST), Seen(b"GET /b HTTP/1.1")), refused(411)),
    ),
    Entry(
        "none on a POST, then a body",
        (post(body=b"hello\r\n\r\n"),),
        (refused(400, after=(Seen(POST),)), refused(411)),
    ),
    Entry(
        "HTTP/1.0 without a length ends with its head",
        (lines(b"POST /a HTTP/1.0", b"Host: hub") + SMUGGLED, HalfClose()),
        (passed(Seen(POST), end=dropped().end), refused(400, 411)),
    ),
]
