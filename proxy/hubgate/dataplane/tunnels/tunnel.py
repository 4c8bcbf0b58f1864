"""A tunnel: bytes both ways between a client and a target after a 101."""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import cast

from hubgate.dataplane.access_log.record import Record
from hubgate.dataplane.tunnels.frames import CLOSE_GOING_AWAY, CLOSE_GOING_AWAY_MASKED, FrameScanner
from hubgate.routing.table import RouteEntry
from hubgate.transport.bounded_reads import READ_AT_ONCE, bound_reads, set_protocol
from hubgate.transport.flow import close, pause_reading, peer_has_closed, resume_reading

# How long, in seconds, nothing may move after one side has ended; and how long one side may not
# read before the other one is checked.
LINGER = 30.0
_FOREVER = float("inf")


class TunnelState(Enum):
    """OPEN → (ENDING: one side has ended | LEAVING: we are ending it) → CLOSED."""

    OPEN = "open"
    ENDING = "ending"
    LEAVING = "leaving"
    CLOSED = "closed"


# Python 3.11 looks up an Enum member in a dictionary every time: too slow for each message.
_OPEN = TunnelState.OPEN


class Tunnel:
    """Two ends that write what the other one reads, with back-pressure both ways.

    A websocket's data frames count as activity of the route, its pings and pongs do not; in any
    other protocol every byte counts. With a `record`, the bytes that pass are counted, by side.
    """

    __slots__ = ("_ends", "_on_closed", "deadline", "entry", "loop", "peer", "record", "state")

    def __init__(
        self,
        entry: RouteEntry,
        peer: str,
        websocket: bool,
        on_closed: "Callable[[Tunnel], None]",
        record: Record | None = None,
    ) -> None:
        self.entry = entry
        self.peer = peer
        self.state = TunnelState.OPEN
        self.loop = asyncio.get_running_loop()
        self.deadline = _FOREVER
        self._on_closed = on_closed
        self.record = record
        side = TunnelEnd if record is None else CountingTunnelEnd
        self._ends: tuple[TunnelEnd, ...] = (
            side(self, websocket, CLOSE_GOING_AWAY_MASKED),
            side(self, websocket, CLOSE_GOING_AWAY),
        )

    def __repr__(self) -> str:
        return f"<Tunnel {self.entry.key} {self.state.value}>"

    @property
    def passed(self) -> tuple[int, int]:
        """How many bytes went from the client to the target, and back, where they are counted."""
        client, target = cast("tuple[CountingTunnelEnd, CountingTunnelEnd]", self._ends)
        return client.passed, target.passed

    def open(
        self, client: asyncio.Transport, target: asyncio.Transport, first: tuple[bytes, bytes]
    ) -> None:
        """Take both transports over; `first` holds bytes already read from client and target."""
        here, there = self._ends
        here.attach(client, there)
        there.attach(target, here)
        for end in self._ends:
            if end.is_full:
                end.pause_writing()
        for end, data in zip(self._ends, first, strict=True):
            if data:
                end.data_received(data)

    def shut_down(self) -> None:
        """End both sides; a websocket gets a close frame as soon as its current frame ends."""
        if self.state is TunnelState.OPEN:
            self._linger(TunnelState.LEAVING)
            for end in self._ends:
                end.leave()

    def moved(self, end: "TunnelEnd") -> None:
        """Data came from `end` although the tunnel is about to close."""
        self.deadline = self.loop.time() + LINGER
        if self.state is TunnelState.LEAVING:
            end.leave()

    def stalled(self, stalled: bool) -> None:
        """One side has stopped reading, so the other is not read either; or it reads again."""
        if self.state is TunnelState.OPEN:
            self.deadline = self.loop.time() + LINGER if stalled else _FOREVER

    def expire(self) -> None:
        """The deadline has passed."""
        if self.state is TunnelState.OPEN and not any(
            peer_has_closed(end.transport) for end in self._ends
        ):
            self.stalled(True)
        else:
            self.abort()

    def abort(self) -> None:
        """Close both sides at once."""
        for end in self._ends:
            end.transport.abort()

    def ended(self, end: "TunnelEnd") -> None:
        """One side sent its last byte: pass that on, and wait for the other side's."""
        if self.state is not TunnelState.CLOSED:
            self._linger(TunnelState.ENDING)
            if end.other.ended or end.other.gone or not end.other.finish_writing():
                self.close()

    def lost(self, end: "TunnelEnd") -> None:
        """One side's connection is gone: what is buffered for the other still goes out."""
        end.gone = True
        if end.other.gone:
            self.state = TunnelState.CLOSED
            self._on_closed(self)
            self._let_go()
        else:
            self._linger(TunnelState.ENDING)
            # Over TLS, a side that is being closed may go on sending: the receiving side is gone.
            end.other.silent = True
            close(end.other.transport)

    def _let_go(self) -> None:
        """Break the reference cycle: over TLS, hundreds of KiB would wait for the collector."""
        for end in self._ends:
            del end.other
        self._ends = ()

    def close(self) -> None:
        """Flush and close both sides."""
        for end in self._ends:
            close(end.transport)

    def left(self) -> None:
        """One direction has ended; once both have, nothing more is passed on."""
        if all(end.silent for end in self._ends):
            self.close()

    def _linger(self, state: TunnelState) -> None:
        if self.state is TunnelState.OPEN:
            self.state = state
            self.deadline = self.loop.time() + LINGER


class TunnelEnd(asyncio.Protocol):
    """One side of a tunnel: what it reads goes to the other side.

    `ended`: it has sent its last byte; `gone`: its connection is closed; `silent`: what it sends
    is no longer passed on; `reads`: the other side takes what it sends.
    """

    __slots__ = (
        "__weakref__",
        "_close_frame",
        "_scanner",
        "ended",
        "gone",
        "other",
        "reads",
        "silent",
        "transport",
        "tunnel",
    )

    def __init__(self, tunnel: Tunnel, websocket: bool, close_frame: bytes) -> None:
        self.tunnel = tunnel
        self.ended = False
        self.gone = False
        self.silent = False
        self.reads = True
        self._close_frame = close_frame
        self._scanner = FrameScanner() if websocket else None

    def attach(self, transport: asyncio.Transport, other: "TunnelEnd") -> None:
        """Take over `transport`; what comes from it goes to `other`."""
        self.transport = transport
        self.other = other
        set_protocol(transport, self)

    @property
    def is_full(self) -> bool:
        """Whether its side takes no more for now: its transport does not say so twice."""
        _, high = self.transport.get_write_buffer_limits()
        return self.transport.get_write_buffer_size() > high

    def data_received(self, data: bytes) -> None:
        if self.silent:
            return
        self.other.transport.write(data)
        scanner, tunnel = self._scanner, self.tunnel
        if scanner is None or scanner.feed(data):
            tunnel.entry.touch()
        if tunnel.state is not _OPEN:
            tunnel.moved(self)
        if len(data) > READ_AT_ONCE and not self.gone:
            bound_reads(self.transport, self)

    def leave(self) -> None:
        """Send the other side a close frame if the stream to it is between two frames."""
        if self._scanner is not None:
            if not self._scanner.at_boundary:
                return
            self.other.transport.write(self._close_frame)
        self.silent = True
        self.tunnel.left()

    def finish_writing(self) -> bool:
        """Half-close towards this side; False when its transport cannot (TLS)."""
        if not self.transport.can_write_eof():
            return False
        self.transport.write_eof()
        return True

    def eof_received(self) -> bool:
        self.ended = True
        self.tunnel.ended(self)
        # True keeps the transport open for the other direction; TLS has no half-close.
        return self.transport.get_extra_info("sslcontext") is None

    def connection_lost(self, exc: Exception | None) -> None:
        self.tunnel.lost(self)

    def pause_writing(self) -> None:
        self.tunnel.stalled(True)
        if not self.other.gone:
            self.other.reads = False
            pause_reading(self.other.transport)

    def resume_writing(self) -> None:
        self.tunnel.stalled(False)
        if not self.other.gone:
            self.other.reads = True
            resume_reading(self.other.transport)


class CountingTunnelEnd(TunnelEnd):
    """One side of a tunnel; `passed` counts the bytes that went from it to the other side."""

    __slots__ = ("passed",)

    def __init__(self, tunnel: Tunnel, websocket: bool, close_frame: bytes) -> None:
        super().__init__(tunnel, websocket, close_frame)
        self.passed = 0

    def data_received(self, data: bytes) -> None:
        if not self.silent:
            self.passed += len(data)
        super().data_received(data)
