"""Those who share a store with us: what the store said of them when it last answered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Describe = Callable[[str, str], Mapping[str, Any]]
"""Returns what the others may know of us, as JSON can have it.

It gets the secret that only those who share the store know, and the address under which they may
reach this machine. It may take 0.1 s, and is called in a thread.
"""


@dataclass(frozen=True, slots=True)
class Replica:
    """A hubgate that shares the store; `about` is what it says of itself.

    `seen` is its last sign of life in seconds since the epoch, by the store's clock. `instance` is
    another one after each start. `serving` is the history and the
    revision of the table that its workers have, if known.
    """

    name: str
    instance: str
    live: bool
    seen: float
    serving: tuple[str, int] | None
    about: Mapping[str, Any]


class Members(Protocol):
    """Our own lease among those who share the store, and what is remembered of the others."""

    @property
    def name(self) -> str:
        """Our name."""

    @property
    def instance(self) -> str:
        """What tells us from an earlier or later process of that name."""

    @property
    def secret(self) -> str:
        """What only those who share the store know; it outlives the store's data."""

    @property
    def lease(self) -> float:
        """Seconds after which the others no longer wait for a replica that is not heard of."""

    @property
    def replaced(self) -> bool:
        """Whether another replica has our name."""

    @property
    def live(self) -> bool:
        """Whether we hold a lease, by our own clock."""

    @property
    def renewed_ago(self) -> float:
        """Seconds since the latest renewal that worked was sent."""

    @property
    def failing_for(self) -> float:
        """Seconds since the first renewal after it that did not work was sent; 0 if none was."""

    @property
    def known_at(self) -> float:
        """When the store last told of the others, in seconds since the epoch, by its clock."""

    async def renew(self) -> None:
        """Renew our lease now. Raises StoreError."""

    def replicas(self) -> list[Replica]:
        """Return everybody who shares the store, ourselves too, by name, as far as remembered."""

    def describe(self, describe: Describe) -> None:
        """Tell the others what `describe` returns, from the next renewal on."""
