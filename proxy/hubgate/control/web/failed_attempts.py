"""How often each peer has failed to send the right token, and the delay it gets for that."""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

FREE = 10
"""Failures a peer may have before it is slowed down, to allow for an operator's typing errors."""

FORGIVEN = 3.0
"""Seconds after which one failure is forgotten."""

STEP, LONGEST = 0.1, 1.0
"""Seconds that each failure beyond the free ones adds to the wait, and the longest wait."""

LOG_INTERVAL = 1.0
MOST_PEERS = 4096


@dataclass(frozen=True, slots=True)
class Failure:
    """The consequences of a failure: the delay of its response, in seconds, and its logging.

    `unlogged` counts the peer's failures since its last log line.
    """

    delay: float
    logged: bool
    unlogged: int


@dataclass(slots=True)
class _Peer:
    count: float
    at: float
    logged_at: float | None = None
    unlogged: int = 0


class FailedAttempts:
    """Counts failures by peer. Bounded: peers that failed least recently are forgotten first."""

    def __init__(self) -> None:
        self._peers: OrderedDict[str, _Peer] = OrderedDict()

    def __repr__(self) -> str:
        return f"<FailedAttempts of {len(self._peers)} peers>"

    def note(self, remote: str, now: float) -> Failure:
        """Count a failure from that address; `now` is in seconds of any steady clock."""
        name = client_network(remote)
        peer = self._peers.setdefault(name, _Peer(0, now))
        self._peers.move_to_end(name)
        if len(self._peers) > MOST_PEERS:
            self._peers.popitem(last=False)
        left = max(0.0, peer.count - (now - peer.at) / FORGIVEN)
        # Capped at the count for the longest wait, or it would take forever to be forgiven.
        peer.count, peer.at = min(left + 1, FREE + LONGEST / STEP), now
        delay = min(LONGEST, STEP * max(0.0, peer.count - FREE))
        return Failure(delay, *_logging(peer, now))


def client_network(remote: str) -> str:
    """Return the network that counts as one peer for `remote`: an IPv6 host has a whole /64."""
    try:
        address = ip_address(remote)
    except ValueError:
        return remote
    if not isinstance(address, IPv6Address):
        return remote
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> 64 << 64))


def _logging(peer: _Peer, now: float) -> tuple[bool, int]:
    if peer.logged_at is not None and now - peer.logged_at < LOG_INTERVAL:
        peer.unlogged += 1
        return False, peer.unlogged
    unlogged, peer.unlogged, peer.logged_at = peer.unlogged, 0, now
    return True, unlogged
