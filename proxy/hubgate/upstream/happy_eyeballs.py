"""Connecting to whichever address of a host responds first (RFC 8305, Happy Eyeballs).

The package of that name reports several failures as one without a type: that a target refuses,
and so may be starting, would be lost where its other address cannot be reached at all.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Sequence

from hubgate.upstream.resolver import HostAddress

# Seconds an address has before the next one is tried beside it (RFC 8305, section 5).
STAGGER = 0.25

Connected = tuple[HostAddress, socket.socket]


async def connect_any(addresses: Sequence[HostAddress], port: int) -> Connected:
    """Return the first address that a connection could be made to, and its socket.

    The next address is tried when one has failed, or after `STAGGER` seconds. Raises the OSError
    of the last failure, a refusal rather than others.
    """
    race, last = _Race(port), addresses[-1]
    try:
        for address in addresses:
            if race.start(address) or address is last:
                await race.wait(None if address is last else STAGGER)
            if race.connected is not None:
                return race.connected
        raise race.failure
    finally:
        race.end()


class _Race:
    """Attempts to connect that are in progress, without a task for each."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._attempts: dict[asyncio.Future[None], Connected] = {}
        self._failures: list[OSError] = []
        self.connected: Connected | None = None

    @property
    def failure(self) -> OSError:
        """The most telling failure: a target that refuses may be about to start."""
        refusals = (each for each in self._failures if isinstance(each, ConnectionRefusedError))
        return next(refusals, self._failures[-1])

    def start(self, address: HostAddress) -> bool:
        """Begin to connect; return whether that is in progress.

        On one machine, it has succeeded or failed already.
        """
        sock = None
        try:
            sock = socket.socket(address.family, socket.SOCK_STREAM)
            sock.setblocking(False)
            code = sock.connect_ex(address.at(self._port))
        except OSError as error:  # no such family here, or no such interface
            if sock is not None:
                sock.close()
            self._failures.append(error)
            return False
        if code != errno.EINPROGRESS:
            self._end(address, sock, code)
            return False
        done = self._loop.create_future()
        self._attempts[done] = address, sock
        self._loop.add_writer(sock, _set, done)
        return True

    async def wait(self, timeout: float | None) -> None:
        """Wait until one attempt has ended, or for `timeout` seconds; without it, for success.

        With none in progress there is nothing to wait for.
        """
        while self._attempts and self.connected is None:
            done, _ = await asyncio.wait(
                self._attempts, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in done:
                address, sock = self._attempts.pop(attempt)
                self._loop.remove_writer(sock)
                self._end(address, sock, sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            if timeout is not None:
                return

    def end(self) -> None:
        """Give up what is still in progress."""
        for _, sock in self._attempts.values():
            self._loop.remove_writer(sock)
            sock.close()

    def _end(self, address: HostAddress, sock: socket.socket, code: int) -> None:
        if code == 0 and self.connected is None:
            self.connected = address, sock
            return
        sock.close()
        self._failures.append(OSError(code, os.strerror(code)))


def _set(done: "asyncio.Future[None]") -> None:
    if not done.done():
        done.set_result(None)
