"""How many connections clients may have open, in all and from one address."""

from collections import Counter

from proxy.errors import BusyError
from proxy.model import Limits


class Admission:
    """Counts open connections, tunnels included. A unix socket's clients have no address."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.connections
        self._most_of_one = limits.address_connections
        self._open = 0
        self._by_address: Counter[str] = Counter()

    @property
    def open(self) -> int:
        """How many are open now."""
        return self._open

    def enter(self, address: str) -> BusyError | None:
        """Count a connection in; return the error it gets when it is one too many."""
        self._open += 1
        if self._most_of_one is not None and address:
            self._by_address[address] += 1
            if self._by_address[address] > self._most_of_one:
                return BusyError(f"{address} has over {self._most_of_one} connections open")
        if self._most is not None and self._open > self._most:
            return BusyError(f"over {self._most} connections are open")
        return None

    def leave(self, address: str) -> None:
        """Count a connection out."""
        self._open -= 1
        if self._most_of_one is not None and address:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]
