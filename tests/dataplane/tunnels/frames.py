"""Websocket frames read from a wire (RFC 6455, section 5.2)."""

import struct
from typing import NamedTuple

from tests.dataplane.wire import Wire
from tests.frames import masked

MASK = b"\x12\x34\x56\x78"


class Frame(NamedTuple):
    """A frame as it was read; the payload is unmasked."""

    kind: int
    payload: bytes
    masked: bool


async def read_frame(wire: Wire) -> Frame:
    """Read one frame."""
    first, second = await wire.read_exactly(2)
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack(">H", await wire.read_exactly(2))
    elif size == 127:
        (size,) = struct.unpack(">Q", await wire.read_exactly(8))
    mask = await wire.read_exactly(4) if second & 0x80 else None
    payload = await wire.read_exactly(size)
    return Frame(first & 0x0F, masked(payload, mask) if mask else payload, mask is not None)
