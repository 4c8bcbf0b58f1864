"""Noticing that a peer has left while nothing is read from it."""

import asyncio
import select

# Linux tells of a peer's end even when bytes wait before it; elsewhere only a reset shows.
_LEFT = getattr(select, "POLLRDHUP", 0)


def has_left(transport: asyncio.Transport) -> bool:
    """Say whether the peer has sent its last byte, or is gone.

    A transport whose reading is paused hears of neither: for the moments when one has been
    paused for long.
    """
    raw = transport.get_extra_info("socket")
    if raw is None or raw.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(raw.fileno(), _LEFT)
    return bool(poll.poll(0))
