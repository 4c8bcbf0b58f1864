"""What Redis said of every replica when it last answered: it is needed when it does not."""

import json
from collections.abc import Iterable, Mapping, Sequence

from hubgate.store.base import Point
from hubgate.store.members import Replica


class KnownReplicas:
    """The records and leases of all replicas as of one moment, by the clock of Redis."""

    def __init__(self) -> None:
        self._records: dict[str, dict[str, object]] = {}
        self._ends: dict[str, float] = {}  # of leases, in milliseconds since the epoch
        self._now = 0.0
        self._heard = 0.0

    def __repr__(self) -> str:
        return f"<KnownReplicas {', '.join(sorted(self._records))}>"

    @property
    def at(self) -> float:
        """The moment, in seconds since the epoch."""
        return self._now / 1000

    def take(
        self, now: int, leases: Sequence[bytes], records: Sequence[bytes], heard: float
    ) -> None:
        """Replace what is known by what `renew.lua` returns; `heard` is when, by our own clock."""
        self._now, self._heard = float(now), heard
        self._ends = {name.decode(): float(end) for name, end in _pairs(leases)}
        self._records = {name.decode(): _record(text) for name, text in _pairs(records)}

    def redis_time(self, clock: float) -> float:
        """Return what Redis's clock shows at `clock` of ours, or somewhat less, in milliseconds.

        It is less by the time that its last answer took.
        """
        return self._now + (clock - self._heard) * 1000

    def all(self, serving: Mapping[str, Point], clock: float) -> list[Replica]:
        """Return every replica as it has to be seen now, `clock` by our own clock."""
        now = self.redis_time(clock)
        found = []
        for name, record in sorted(self._records.items()):
            lease, end = record.get("lease"), self._ends.get(name, 0.0)
            seen = (end - (lease * 1000 if isinstance(lease, int | float) else 0)) / 1000
            instance, live = str(record.get("instance", "")), end > now
            found.append(Replica(name, instance, live, seen, serving.get(name), record))
        return found


def _pairs(flat: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _record(text: bytes) -> dict[str, object]:
    try:
        found = json.loads(text.partition(b" ")[2])
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}
