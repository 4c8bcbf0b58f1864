"""Replicas without a store: what they would have heard from it is what a test says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from hubgate.control.health import Health
from hubgate.control.replicas.lease_proof import add_lease
from hubgate.errors import StoreUnavailableError
from hubgate.store.members import Describe, Replica
from tests.control.serving import serve


class Member:
    """One replica's side of the lease; `renewed_ago` and `failing_for` are seconds."""

    lease = 6.0
    known_at = 1_700_000_000.0

    def __init__(self, name: str, secret: str = "shared") -> None:
        self.name, self.secret, self.instance = name, secret, f"instance of {name}"
        self.renewed_ago = self.failing_for = 0.0
        self.others: list[Replica] = []
        self.renewals = 0
        self.comes_back = self.replaced = False

    @property
    def live(self) -> bool:
        return not self.replaced and self.renewed_ago < self.lease * 0.9

    def cut_off(self, seconds: float) -> None:
        """Have renewals fail since then, the last that worked being a third of a lease earlier."""
        self.failing_for, self.renewed_ago = seconds, seconds + self.lease / 3

    async def renew(self) -> None:
        self.renewals += 1
        if not self.comes_back:
            raise StoreUnavailableError("the store is away")
        self.renewed_ago = self.failing_for = 0.0

    def replicas(self) -> list[Replica]:
        return self.others

    def describe(self, describe: Describe) -> None:
        """Nobody is told."""

    def known_to(self, other: "Member", *urls: str) -> None:
        """Have the other remember this one, at these addresses."""
        about = {"health": list(urls)}
        other.others.append(Replica(self.name, self.instance, True, 0.0, None, about))


@asynccontextmanager
async def asked(member: Member, health: Health | None = None) -> AsyncIterator[str]:
    """Serve the page of a replica; yields its URL."""
    app = web.Application()
    add_lease(app, member, health or Health(serves=True))
    async with serve(app) as port:
        yield f"http://127.0.0.1:{port}"
