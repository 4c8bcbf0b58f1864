"""All the listening sockets of one hubgate."""

from collections.abc import Sequence

from proxy.control.sockets import Listener, listen, listen_for_workers
from proxy.model import Address
from proxy.settings import Settings
from proxy.worker.messages import InheritedSocket, SocketKind


class Listeners:
    """Every listening socket, opened before anything else starts."""

    def __init__(self, settings: Settings) -> None:
        self._open: list[Listener] = []
        self._workers = settings.workers
        try:
            self.public = self._for_workers(settings.listen, "--port")
            self.redirect = self._for_workers(settings.redirect, "--redirect-port")
            self.api = self._own(settings.api, "--api-port")
            self.metrics = self._own(settings.metrics, "--metrics-port")
        except BaseException:
            self.close()
            raise

    def of_worker(self, index: int) -> list[InheritedSocket]:
        """Return what the worker with that index, from 0, inherits."""
        kinds = ((self.public, SocketKind.PUBLIC), (self.redirect, SocketKind.REDIRECT))
        return [
            InheritedSocket(listener.of_worker(index).fileno(), kind)
            for listeners, kind in kinds
            for listener in listeners
        ]

    def close_public(self) -> None:
        """Free what the workers listen on, as far as this process holds it."""
        for listener in (*self.public, *self.redirect):
            listener.close()

    def close(self) -> None:
        """Free every port and remove every unix socket."""
        for listener in self._open:
            listener.close()

    def _for_workers(self, addresses: Sequence[Address], flag: str) -> list[Listener]:
        return [
            self._opened(listen_for_workers(address, self._workers, flag)) for address in addresses
        ]

    def _own(self, addresses: Sequence[Address], flag: str) -> list[Listener]:
        return [self._opened(listen(address, flag)) for address in addresses]

    def _opened(self, listener: Listener) -> Listener:
        self._open.append(listener)
        return listener
