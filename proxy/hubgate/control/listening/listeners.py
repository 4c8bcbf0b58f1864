"""All the listening sockets of one hubgate."""

import os
from collections.abc import Sequence

from hubgate.control.handover import HandedListener
from hubgate.control.listening.sockets import (
    Listener,
    close_all,
    inherited_listeners,
    listen,
    listen_for_workers,
    with_more,
)
from hubgate.model import Address
from hubgate.settings import Settings
from hubgate.settings.catalogue import LISTENERS
from hubgate.worker.messages import InheritedSocket, SocketKind


class Listeners:
    """Every listening socket, opened before anything else starts.

    Sockets that an older release or our parent process `handed` over keep listening, along with
    the connections waiting on them.
    """

    def __init__(self, settings: Settings, handed: Sequence[HandedListener] = ()) -> None:
        self._open: list[Listener] = []
        self._workers = settings.workers
        self._handed: dict[tuple[str, str], list[HandedListener]] = {}
        for each in handed:
            self._handed.setdefault((each.purpose, each.address), []).append(each)
        self._purposes: dict[Listener, tuple[str, str]] = {}
        try:
            self.public = self._for_workers(settings.listen, LISTENERS["listen"].name)
            self.redirect = self._for_workers(settings.redirect, LISTENERS["redirect"].name)
            self.api = self._own(settings.api, LISTENERS["api"].name)
            self.metrics = self._own(settings.metrics, LISTENERS["metrics"].name)
            self.health = self._own(settings.health, LISTENERS["health"].name)
        except BaseException:
            self.close()
            raise
        for left in self._handed.values():  # no longer in the settings
            for fd in (fd for each in left for fd in each.fds):
                os.close(fd)

    def of_worker(self, index: int) -> list[InheritedSocket]:
        """Return the sockets that the worker with that index, counted from 0, inherits."""
        kinds = ((self.public, SocketKind.PUBLIC), (self.redirect, SocketKind.REDIRECT))
        return [
            InheritedSocket(sock.fileno(), kind)
            for listeners, kind in kinds
            for listener in listeners
            # After an upgrade to fewer workers there are more sockets than workers: each socket
            # gets a worker, because connections may be waiting on it.
            for sock in listener.sockets[index :: self._workers] or [listener.of_worker(index)]
        ]

    def hand_over(self) -> tuple[HandedListener, ...]:
        """Return duplicates of every socket, by purpose, for a newer release."""
        return tuple(
            HandedListener(
                *self._purposes[each],
                tuple(os.dup(sock.fileno()) for sock in each.sockets),
                each.borrowed,
            )
            for each in self._open
        )

    def leave(self) -> None:
        """Close every socket, and leave the files of unix sockets to a newer release."""
        for listener in self._open:
            close_all(listener.sockets)
        self._open = []

    def close_public(self) -> None:
        """Free, in this process, the sockets the workers listen on."""
        for listener in (*self.public, *self.redirect):
            listener.close()

    def close(self) -> None:
        """Free every port and remove every unix socket."""
        for listener in self._open:
            listener.close()

    def _for_workers(self, addresses: Sequence[Address], flag: str) -> list[Listener]:
        return [
            self._opened(listener, address, flag)
            for address in addresses
            for listener in (
                [with_more(each, self._workers, flag) for each in self._inherited(address, flag)]
                or [listen_for_workers(address, self._workers, flag)]
            )
        ]

    def _own(self, addresses: Sequence[Address], flag: str) -> list[Listener]:
        return [
            self._opened(listener, address, flag)
            for address in addresses
            for listener in self._inherited(address, flag) or [listen(address, flag)]
        ]

    def _inherited(self, address: Address, flag: str) -> list[Listener]:
        handed = self._handed.pop((flag, str(address)), ())
        fds = [fd for each in handed for fd in each.fds]
        return inherited_listeners(address, fds, any(each.borrowed for each in handed))

    def _opened(self, listener: Listener, address: Address, flag: str) -> Listener:
        self._open.append(listener)
        # By the address in the settings: port 0 stays port 0.
        self._purposes[listener] = flag, str(address)
        return listener
