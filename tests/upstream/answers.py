"""What targets answer, and connections on which they do."""

import asyncio

from hubgate.routing.target import Peer
from hubgate.transport.turns import Turns
from hubgate.upstream.connection import UpstreamConnection
from tests.dataplane.peers import Target
from tests.dataplane.wire import Wire, chunked
from tests.upstream.pooled import dialer
from tests.upstream.receiver import Recorder

REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"

LENGTH = b"HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nX-Y: z\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hel", b"lo")
TRAILERS = CHUNKED[:-2] + b"X-Trailer: t\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"
NOT_MODIFIED_FIVE = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nhello"
OLD = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"
OLD_KEPT = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
NO_REASON = b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
LONG = b"HTTP/1.1 200 A rather long reason\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3000


async def opened(target: Target) -> tuple[UpstreamConnection, Wire]:
    """Return both ends of a new connection to `target`."""
    peer = Peer("127.0.0.1", target.port)
    turns = Turns(asyncio.get_running_loop())
    connection = await dialer().connect(
        peer, lambda: UpstreamConnection(peer, lambda lost: None, turns)
    )
    return connection, await target.accept()


async def answered(
    target: Target, answer: bytes, *, bodiless: bool = False, close: bool = False
) -> tuple[Recorder, UpstreamConnection]:
    """Send one request, give `answer` to it and return what came of it."""
    connection, wire = await opened(target)
    recorder = Recorder()
    connection.begin(recorder, REQUEST, bodiless)
    await wire.read_request()
    await wire.send(answer)
    if close:
        wire.close()
    await recorder.finish()
    return recorder, connection
