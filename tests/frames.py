"""Websocket frames as bytes (RFC 6455, section 5.2)."""

import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


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


def masked(data: bytes, mask: bytes) -> bytes:
    """Return `data` with the mask put on, or taken off."""
    pattern = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data) ^ int.from_bytes(pattern)).to_bytes(len(data))
