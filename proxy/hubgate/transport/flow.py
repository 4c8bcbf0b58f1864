"""What transports leave to their users: noticing that a peer has left, and really pausing."""

import asyncio
import select
from typing import Any, cast

# What may wait to be sent over TLS before the other side is slowed down, in bytes; by itself, it
# would be 512 KiB. Without TLS nothing may: the kernel's buffer comes first, and is large enough.
WRITE_BUFFER = 1 << 16

# Linux reports that a peer has ended even if unread bytes precede it; elsewhere only a reset shows.
_LEFT = getattr(select, "POLLRDHUP", 0)


def peer_has_closed(transport: asyncio.Transport) -> bool:
    """Return whether the peer has sent its last byte, or is gone.

    A transport that is paused notices neither; one that is reading, only when the loop gets
    to it.
    """
    raw = transport.get_extra_info("socket")
    if raw is None or raw.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(raw.fileno(), _LEFT)
    return bool(poll.poll(0))


def has_unread(transport: asyncio.Transport) -> bool:
    """Return whether the peer has sent something, or ended, and the loop has not read it yet."""
    raw = transport.get_extra_info("socket")
    if raw is None or raw.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(raw.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def pause_reading(transport: asyncio.Transport) -> None:
    """Read nothing more from the peer, not even its end, until `resume_reading`.

    Over TLS, uvloop 0.23 by itself goes on reading until its buffer is full; and if the peer ends
    meanwhile, it drops what the buffer holds (uvloop's pull request 661).
    """
    transport.pause_reading()
    _bound_buffer(transport, 1, 0)


def resume_reading(transport: asyncio.Transport) -> None:
    """Resume after `pause_reading`."""
    transport.resume_reading()
    if _is_tls(transport):
        # Not before the buffer's contents have been passed on, one turn of the loop from now.
        asyncio.get_running_loop().call_soon(_read_ahead, transport)


def close(transport: asyncio.Transport) -> None:
    """Close it even if it is paused: ending TLS takes some reading."""
    _bound_buffer(transport)
    transport.close()


def _read_ahead(transport: asyncio.Transport) -> None:
    if transport.is_reading():
        _bound_buffer(transport)


def _bound_buffer(transport: asyncio.Transport, *limits: int) -> None:
    """Bound what TLS reads ahead by `limits`, high and low in bytes, or by the default ones."""
    if _is_tls(transport) and not transport.is_closing():
        cast(Any, transport).set_read_buffer_limits(*limits)


def _is_tls(transport: asyncio.Transport) -> bool:
    return transport.get_extra_info("sslcontext") is not None
