"""Websocket frames as bytes (RFC 6455, section 5.2)."""

import struct
from typing import NamedTuple

from tests.dataplane.wire import Wire

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MASK = b"\x12\x34\x56\x78"


class Frame(NamedTuple):
    """A frame as it was read; the payload is unmasked."""

    kind: int
    payload: bytes
    masked: bool


def frame(
    kind: int, payload: bytes = b"", *, mask: bytes | None = None, final: bool = True, rsv: int = 0
) -> bytes:
    """Return a frame; a client's frames have a mask."""
    flag, size = 0x80 if mask else 0, len(payload)
    if size < 126:
        length = bytes([flag | size])
    elif size < 65536:
        length = bytes([flag | 126]) + struct.pack(">H", size)
    else:
        length = bytes([flag | 127]) + struct.pack(">Q", size)
    first = bytes([(0x80 if final else 0) | rsv << 4 | kind])
    return first + length + (mask + masked(payload, mask) if mask else payload)


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


def masked(data: bytes, mask: bytes) -> bytes:
    """Return `data` with the mask put on, or taken off."""
    return bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))
