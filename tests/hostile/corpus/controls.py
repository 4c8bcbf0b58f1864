"""NUL and other control bytes in every position of a head."""

from tests.hostile.building import lines
from tests.hostile.entry import Entry, refused

BYTES = {
    "NUL": b"\0",
    "SOH": b"\x01",
    "backspace": b"\x08",
    "vertical tab": b"\x0b",
    "form feed": b"\x0c",
    "escape": b"\x1b",
    "DEL": b"\x7f",
}
POSITIONS = {
    "before the request": b"@GET /a HTTP/1.1\r\nHost: hub\r\n\r\n",
    "in the method": b"GE@T /a HTTP/1.1\r\nHost: hub\r\n\r\n",
    "behind the method": b"GET@/a HTTP/1.1\r\nHost: hub\r\n\r\n",
    "in the path": b"GET /a@b HTTP/1.1\r\nHost: hub\r\n\r\n",
    "in the query": b"GET /a?b@c HTTP/1.1\r\nHost: hub\r\n\r\n",
    "behind the path": b"GET /a@HTTP/1.1\r\nHost: hub\r\n\r\n",
    "in the version": b"GET /a HTTP/@1.1\r\nHost: hub\r\n\r\n",
    "behind the version": b"GET /a HTTP/1.1@\r\nHost: hub\r\n\r\n",
    "in a field name": b"GET /a HTTP/1.1\r\nHost: hub\r\nX@Y: z\r\n\r\n",
    "before a field name": b"GET /a HTTP/1.1\r\nHost: hub\r\n@X: z\r\n\r\n",
    "before a colon": b"GET /a HTTP/1.1\r\nHost: hub\r\nX@: z\r\n\r\n",
    "in a field value": b"GET /a HTTP/1.1\r\nHost: hub\r\nX: y@z\r\n\r\n",
    "at the end of a field value": b"GET /a HTTP/1.1\r\nHost: hub\r\nX: y@\r\n\r\n",
    "alone in a field value": b"GET /a HTTP/1.1\r\nHost: hub\r\nX:@\r\n\r\n",
    "in Host": b"GET /a HTTP/1.1\r\nHost: hu@b\r\n\r\n",
    "in a cookie": b"GET /a HTTP/1.1\r\nHost: hub\r\nCookie: a=@b\r\n\r\n",
    "in Connection": b"GET /a HTTP/1.1\r\nHost: hub\r\nConnection: clo@se\r\n\r\n",
    "in the empty line": b"GET /a HTTP/1.1\r\nHost: hub\r\n@\r\n\r\n",
}

ENTRIES = [
    *(
        Entry(f"{byte} {position}", (data.replace(b"@", code),), (refused(400, 505),))
        for byte, code in BYTES.items()
        for position, data in POSITIONS.items()
    ),
    Entry(
        "every control byte in one value",
        (lines(b"GET /a HTTP/1.1", b"Host: hub", b"X: " + bytes(range(1, 9))),),
        (refused(400),),
    ),
]
