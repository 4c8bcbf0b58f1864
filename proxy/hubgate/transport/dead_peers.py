"""Having the kernel notice that the other side's machine is gone: TCP's keepalive probes.

TCP_USER_TIMEOUT would do the same for data that is not acknowledged, which the kernel sends again
for a quarter of an hour; but it also ends what a live peer does not read for so long.
"""

import asyncio
import socket
from contextlib import suppress

from hubgate.model import TcpKeepalive

Options = tuple[tuple[int, int, int], ...]

_TIMING: tuple[int | None, ...] = (
    # macOS has another name for the first.
    getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None)),
    getattr(socket, "TCP_KEEPINTVL", None),
    getattr(socket, "TCP_KEEPCNT", None),
)


def probe_options(probes: TcpKeepalive) -> Options:
    """Return the socket options that stand for `probes`, made once for many connections.

    With them, a peer that does not answer ends the connection with ETIMEDOUT.
    """
    if probes.idle is None:
        return ((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0),)
    values = (probes.idle, probes.interval, probes.count)
    return (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        *(
            (socket.IPPROTO_TCP, option, value)
            for option, value in zip(_TIMING, values, strict=True)
            if option is not None
        ),
    )


def probe_peer(sock: socket.SocketType, options: Options) -> None:
    """Set `options` on a TCP socket; connections of one that listens inherit them."""
    # macOS refuses to set options of a connection that has just been reset.
    with suppress(OSError):
        for option in options:
            sock.setsockopt(*option)


def probe_transport_peer(transport: asyncio.BaseTransport, options: Options) -> None:
    """Set `options` on a transport that is connected over TCP."""
    if transport.is_closing():
        return
    fd = transport.get_extra_info("socket").fileno()
    # uvloop's own object for it would duplicate the descriptor for each option. Of this one, only
    # the descriptor counts.
    sock = socket.SocketType(socket.AF_INET, socket.SOCK_STREAM, 0, fd)
    try:
        probe_peer(sock, options)
    finally:
        sock.detach()
