"""CL.TE and TE.CL: a length beside chunked; whichever a server believes, another one does not."""

from tests.hostile.building import SMUGGLED, lines, post
from tests.hostile.entry import Entry, Pause, refused

TE = b"Transfer-Encoding: chunked"
HOST = b"Host: hub"
CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)


def length(size: int) -> bytes:
    return b"Content-Length: %d" % size


CASES = {
    "CL.TE": (length(len(b"0\r\n\r\n" + SMUGGLED)), TE, b"0\r\n\r\n" + SMUGGLED),
    "TE.CL": (TE, length(4), CHUNK),
    "CL.TE with the length of the whole": (length(len(CHUNK)), TE, CHUNK),
    "TE.CL with the length of the whole": (TE, length(len(CHUNK)), CHUNK),
    "CL.TE with zero": (length(0), TE, b"0\r\n\r\n" + SMUGGLED),
    "TE.CL with zero": (TE, length(0), CHUNK),
    "CL.TE with the length of the last chunk": (length(5), TE, b"0\r\n\r\n" + SMUGGLED),
    "CL.TE that agree": (length(5), TE, b"0\r\n\r\n"),
    "TE.CL that agree": (TE, length(5), b"0\r\n\r\n"),
    "CL.TE with an unknown coding": (length(5), b"Transfer-Encoding: x", b"hello" + SMUGGLED),
    "CL.TE with identity": (length(5), b"Transfer-Encoding: identity", b"hello" + SMUGGLED),
    "CL.TE with an empty coding": (length(5), b"Transfer-Encoding:", b"hello" + SMUGGLED),
    "TE.CL with an empty length": (TE, b"Content-Length:", CHUNK),
    "TE.CL with a bad length": (TE, b"Content-Length: x", CHUNK),
    "TE.CL with a negative length": (TE, b"Content-Length: -1", CHUNK),
    "CL.TE named in Connection": (length(5), TE + b"\r\nConnection: Content-Length", b"0\r\n\r\n"),
    "TE.CL named in Connection": (TE, length(4) + b"\r\nConnection: Transfer-Encoding", CHUNK),
}

ENTRIES = [
    *(
        Entry(name, (post(one, two, body=body),), (refused(400, 501),))
        for name, (one, two, body) in CASES.items()
    ),
    Entry(
        "CL.0 and TE far apart",
        (post(length(0), *(b"X-%d: y" % n for n in range(100)), TE, body=b"0\r\n\r\n" + SMUGGLED),),
        (refused(400),),
    ),
    Entry(
        "CL.TE in two writes",
        (lines(b"POST /a HTTP/1.1", HOST, length(5))[:-2], Pause(), TE + b"\r\n\r\n" + CHUNK),
        (refused(400),),
    ),
    Entry(
        "CL.TE in HTTP/1.0",
        (lines(b"POST /a HTTP/1.0", HOST, length(5), TE) + b"0\r\n\r\n" + SMUGGLED,),
        (refused(400),),
    ),
    Entry(
        "TE.CL on a GET",
        (lines(b"GET /a HTTP/1.1", HOST, TE, length(4)) + CHUNK,),
        (refused(400),),
    ),
]
