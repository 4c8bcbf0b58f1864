"""Tunnels through a front, to a target that agrees to them."""

from tests.dataplane.peers import Front, Target, until
from tests.dataplane.tunnels.frames import MASK
from tests.dataplane.wire import Wire, request
from tests.frames import TEXT, frame

UPGRADE = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: a2V5"]
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
RAW = ["Connection: upgrade", "Upgrade: tcp"]
RAW_SWITCH = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
HELLO = frame(TEXT, b"hello", mask=MASK)


async def opened(
    front: Front, target: Target, *, raw: bool = False, client: Wire | None = None
) -> tuple[Wire, Wire]:
    """Return both ends of a new tunnel."""
    client = client or await front.client()
    await client.send(request("GET", "/ws", *(RAW if raw else UPGRADE)))
    wire = await target.accept()
    await wire.read_request()
    await wire.send(RAW_SWITCH if raw else SWITCH)
    assert (await client.read_response()).status == 101
    return client, wire


async def closed(front: Front) -> None:
    """Wait until there is neither tunnel nor client left."""
    await until(lambda: not front.plane.tunnels, "the tunnel is closed")
    await until(lambda: front.open == 0, "the connection is not counted any more")
