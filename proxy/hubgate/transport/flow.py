"""What transports leave to those who use them: a peer's leaving, and being held for real."""

import asyncio
import select
from typing import Any, cast

# What may wait to be sent before the other side is slowed down, in bytes: the default of plain
# transports. Those of TLS would take 512 KiB.
WRITE_BUFFER = 1 << 16

# Linux tells of a peer's end even when bytes wait before it; elsewhere only a reset shows.
_LEFT = getattr(select, "POLLRDHUP", 0)


def peer_has_closed(transport: asyncio.Transport) -> bool:
    """Say whether the peer has sent its last byte, or is gone.

    A transport whose reading is paused hears of neither; one that is read, only when the loop
    comes to it.
    """
    raw = transport.get_extra_info("socket")
    if raw is None or raw.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(raw.fileno(), _LEFT)
    return bool(poll.poll(0))


def pause_reading(transport: asyncio.Transport) -> None:
    """Take nothing more from the peer, its end included, until `resume_reading`.

    Over TLS, uvloop 0.23 alone goes on to read, as far as its buffer goes; and when the peer ends
    meanwhile, it drops what is in there (its pull request 661).
    """
    transport.pause_reading()
    _bound_buffer(transport, 1, 0)


def resume_reading(transport: asyncio.Transport) -> None:
    """Go on after `pause_reading`."""
    transport.resume_reading()
    if _is_tls(transport):
        # Not before what is in the buffer was passed on, which is one turn of the loop away.
        asyncio.get_running_loop().call_soon(_read_ahead, transport)


def close(transport: asyncio.Transport) -> None:
    """Close it though it may be paused: the end of TLS takes some reading."""
    _bound_buffer(transport)
    transport.close()


def _read_ahead(transport: asyncio.Transport) -> None:
    if transport.is_reading():
        _bound_buffer(transport)


def _bound_buffer(transport: asyncio.Transport, *limits: int) -> None:
    """Bound what TLS reads ahead to `limits`, high and low in bytes, or as it is by default."""
    if _is_tls(transport) and not transport.is_closing():
        cast(Any, transport).set_read_buffer_limits(*limits)


def _is_tls(transport: asyncio.Transport) -> bool:
    return transport.get_extra_info("sslcontext") is not None
