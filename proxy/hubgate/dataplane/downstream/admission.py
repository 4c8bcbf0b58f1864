"""How many connections clients may have open, in total and from one address."""

from collections import Counter

from hubgate.errors import BusyError
from hubgate.model import Limits


class Admission:
    """Counts open connections, tunnels included; `limits` may change while some are open.

    Clients on a unix socket have no address and are not counted by address.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._open = 0
        self._by_address: Counter[str] = Counter()

    @property
    def open(self) -> int:
        """How many are open now."""
        return self._open

    def enter(self, address: str) -> BusyError | None:
        """Count a connection in; return the error it gets if it is one too many."""
        self._open += 1
        self._by_address[address] += 1
        most, most_of_one = self.limits.connections, self.limits.address_connections
        if most is not None and self._open > most:
            return BusyError(f"over {most} connections are open")
        if address and most_of_one is not None and self._by_address[address] > most_of_one:
            return BusyError(f"{address} has over {most_of_one} connections open")
        return None

    def leave(self, address: str) -> None:
        """Count a connection out."""
        self._open -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]


def unmapped(address: str) -> str:
    """Return the IPv4 address that a socket for both families shows as `::ffff:192.0.2.1`."""
    return address[7:] if address.startswith("::ffff:") and "." in address else address
