"""What nobody asked for: second responses, switched protocols, answers that come too early."""

from tests.hostile.building import SMUGGLED, get, lines, sized
from tests.hostile.entry import Pause
from tests.hostile.reply import FAILED, Broken, Close, Got, Reply, ok

SECOND = b"HTTP/1.1 200 OK\r\nX-Record: 0\r\nContent-Length: 6\r\n\r\npoison"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching\r\n"
WS = get(b"/reply", b"Connection: Upgrade", b"Upgrade: websocket")
POST = lines(b"POST /reply HTTP/1.1", b"Host: hub", b"Content-Length: 5")
TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 6\r\n\r\npoison"

SECONDS = {
    "in the same write": (GOOD + SECOND,),
    "in a write of its own": (GOOD, Pause(), SECOND),
    "behind chunks": (CHUNKED + SECOND,),
    "behind chunks, in a write of its own": (CHUNKED, Pause(), SECOND),
    "half of one": (GOOD + SECOND[:20],),
    "half of one, the rest later": (GOOD + SECOND[:20], Pause(), SECOND[20:]),
    "twenty": (GOOD + SECOND * 20,),
    "an error when idle": (GOOD, Pause(), TIMEOUT, Close.END),
    "an empty line": (GOOD + b"\r\n", Pause(), b"\r\n"),
    "garbage": (GOOD + b"garbage",),
    "one byte": (GOOD + b"H",),
    "a 100": (GOOD + b"HTTP/1.1 100 Continue\r\n\r\n",),
    "behind Connection: close": (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi" + SECOND,
    ),
    "behind Connection: close, later": (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        Pause(),
        SECOND,
    ),
    "an end of stream": (GOOD, Close.END),
    "a reset": (GOOD, Close.RESET),
}
SWITCHES = {
    "without fields": SWITCH + b"\r\n",
    "with fields": SWITCH + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "with h2c": SWITCH + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "with a length": SWITCH + b"Content-Length: 2\r\n\r\nhi",
    "with chunks": SWITCH + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
}
EARLY = {
    "200": GOOD,
    "200 in chunks": CHUNKED,
    "413": b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n",
}

REPLIES = [
    *(
        Reply(f"a second response: {name}", pieces, (ok(b"hi"), Got(frozenset((200,)), b"hi")))
        for name, pieces in SECONDS.items()
    ),
    *(
        Reply(f"101 to a GET, {name}", (data + SECOND,), (FAILED, Broken()))
        for name, data in SWITCHES.items()
    ),
    *(
        Reply(
            f"101 to a POST, {name}",
            (data + SECOND,),
            (FAILED, Broken()),
            sized(0).replace(b"/a", b"/reply"),
        )
        for name, data in SWITCHES.items()
    ),
    *(
        Reply(f"101 to an upgrade, {name}", (SWITCHES[name] + SECOND,), (FAILED, Broken()), WS)
        for name in ("without fields", "with h2c", "with a length", "with chunks")
    ),
    Reply(
        "101 to an upgrade in HTTP/1.0",
        (SWITCHES["with fields"] + SECOND,),
        (FAILED, Broken()),
        WS.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ),
    *(
        Reply(
            f"too early: {name}, then the body",
            (data,),
            (Got(frozenset((200, 413))),),
            POST,
            rest=b"hello",
        )
        for name, data in EARLY.items()
    ),
    Reply(
        "too early, then reading on",
        (GOOD, Pause(), SECOND),
        (ok(b"hi"),),
        POST,
        rest=b"hello",
    ),
    Reply(
        "upgrade refused, and a second response",
        (b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno" + SECOND,),
        (Got(frozenset((403,)), b"no"),),
        WS + SMUGGLED,
    ),
    Reply(
        "426 with a list of protocols",
        (b"HTTP/1.1 426 Upgrade\r\nUpgrade: h2c, websocket\r\nContent-Length: 0\r\n\r\n",),
        (Got(frozenset((426,)), b""),),
    ),
]
