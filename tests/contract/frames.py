"""Websocket handshakes and frames as raw bytes (RFC 6455), so that nothing is smoothed over."""

import base64
import hashlib
import os
import struct

from tests.contract.client import Client
from tests.contract.target import Connection, answer
from tests.contract.wire import Request, Response, Wire
from tests.frames import CLOSE, frame, masked

KEY = base64.b64encode(b"0123456789abcdef").decode()
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Frame = tuple[int, bytes]
"""An opcode and a payload."""


def upgrade_fields(*more: tuple[str, str], protocol: str = "websocket") -> list[tuple[str, str]]:
    """Return the fields of an upgrade request."""
    return [
        ("Connection", "Upgrade"),
        ("Upgrade", protocol),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
        *more,
    ]


def handshake(client: Client, path: str, *fields: tuple[str, str]) -> Response:
    """Ask for a websocket and read the answer, whatever it is."""
    return client.ask(path, *upgrade_fields(*fields))


def acceptance(request: Request, *fields: tuple[str, str]) -> bytes:
    """Return the 101 that a target answers to `request`."""
    key = (request.get("Sec-WebSocket-Key") or "").encode()
    digest = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
    return answer(
        101,
        b"",
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", digest),
        *fields,
        reason="Switching Protocols",
        length=False,
    )


class FrameServer:
    """A target's script that takes every websocket and keeps the frames it receives.

    With `echo` it sends each back; a close frame is always answered with the same code.
    """

    def __init__(self, *fields: tuple[str, str], echo: bool = False) -> None:
        self.frames: list[Frame] = []
        self._fields = fields
        self._echo = echo

    def __call__(self, connection: Connection) -> None:
        """Serve one connection."""
        connection.send(acceptance(connection.read_request(), *self._fields))
        while True:
            kind, payload = read_frame(connection)
            self.frames.append((kind, payload))
            if self._echo or kind == CLOSE:
                connection.send(server_frame(kind, payload))
            if kind == CLOSE:
                return


def server_frame(kind: int, payload: bytes, *, final: bool = True, rsv: int = 0) -> bytes:
    """Return an unmasked frame."""
    return frame(kind, payload, final=final, rsv=rsv)


def client_frame(kind: int, payload: bytes, *, final: bool = True, rsv: int = 0) -> bytes:
    """Return a masked frame."""
    return frame(kind, payload, mask=os.urandom(4), final=final, rsv=rsv)


def read_frame(wire: Wire) -> Frame:
    """Read one frame, unmasked; continuation frames are not joined."""
    first, second = wire.read_exactly(2)
    size = second & 0x7F
    if size == 126:
        size = struct.unpack(">H", wire.read_exactly(2))[0]
    elif size == 127:
        size = struct.unpack(">Q", wire.read_exactly(8))[0]
    mask = wire.read_exactly(4) if second & 0x80 else bytes(4)
    return first & 0x0F, masked(wire.read_exactly(size), mask)
