"""What a client's connection can be in, why it is not read, and where it comes from."""

from enum import Enum, IntFlag
from typing import NamedTuple


class DownstreamState(Enum):
    """IDLE ↔ BUSY while requests come; then LINGERING or DETACHED (a tunnel); then CLOSED."""

    IDLE = "idle"
    BUSY = "busy"
    LINGERING = "lingering"
    DETACHED = "detached"
    CLOSED = "closed"


# Python 3.11 looks up an Enum member in a dictionary every time: too slow for each request.
IDLE, BUSY = DownstreamState.IDLE, DownstreamState.BUSY
SERVING = (IDLE, BUSY)


class Hold(IntFlag):
    """Why reading from a client is paused."""

    NONE = 0
    PIPELINE = 1
    CONNECTING = 2
    UPSTREAM = 4


# The target is not ready for more of the request's body.
TARGET_HOLDS = Hold.CONNECTING | Hold.UPSTREAM


class Origin(NamedTuple):
    """What the forwarding rules go by: the address, whether TLS, whether the peer is trusted."""

    peer: str
    secure: bool
    trusted: bool
