"""This hubgate among those that share its store, as the rest of it has to do with them."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web

from hubgate.control.health import Health
from hubgate.control.listening.listeners import Listeners
from hubgate.control.metrics.exposition import Family, Samples
from hubgate.control.replicas.absences import Absences
from hubgate.control.replicas.lease_proof import add_lease
from hubgate.control.replicas.lease_watch import LeaseWatch
from hubgate.control.replicas.self_description import SelfDescription
from hubgate.settings import Settings
from hubgate.store.members import Members, Replica

LIVE = Family("hubgate_replicas_live", "gauge", "Replicas that hold a lease, as last heard of")
LEASE = Family("hubgate_lease", "gauge", "1 if this replica holds a lease in the shared store")
AWAY = Family(
    "hubgate_store_away_seconds", "gauge", "Seconds since the shared store was lost, or 0"
)


class Replication:
    """Describes us to the others, and makes `health` depend on our lease.

    Without `members` nobody shares the store, and nothing depends on anybody; `name` is ours.
    """

    def __init__(
        self,
        name: str,
        members: Members | None,
        health: Health,
        settings: Settings,
        listeners: Listeners,
    ) -> None:
        self.name = name
        self.members = members
        self._health = health
        self._description = SelfDescription(settings, listeners)
        self._watch = LeaseWatch(members)
        self._absences = Absences(members, settings.replicas.wait)
        health.leased = self._watch.obstacle
        health.degraded = lambda: self._watch.degraded
        if members is not None:
            members.describe(self._description)

    def __repr__(self) -> str:
        return f"<Replication {self.name} {self._watch}>"

    def update(self, settings: Settings) -> None:
        """Describe ourselves by these settings from now on."""
        self._description.update(settings)

    def add_page(self, app: web.Application) -> None:
        """Add the page to `app` by which others ask for our lease, if there can be others."""
        if self.members is not None:
            add_lease(app, self.members, self._health)

    def note_missing(self, api: web.Application) -> None:
        """Log whom the responses of `api` name as not serving a change, if there can be others."""
        if self.members is not None:
            api.on_response_prepare.append(self._absences.look)

    async def watch(self) -> None:
        """Watch our lease, and those that changes wait for in vain, until cancelled."""
        await asyncio.gather(self._watch.run(), self._absences.run())

    def own_description(self) -> Mapping[str, Any]:
        """Return what we are now, as `Replica.about` has it; it may take 0.1 s."""
        host, secret = "127.0.0.1", ""
        if self.members is not None:
            secret, ours = self.members.secret, self.members.instance
            told = (each.about for each in self.replicas() if each.instance == ours)
            host = next((str(about["host"]) for about in told if "host" in about), host)
        return self._description(secret, host)

    def replicas(self) -> list[Replica]:
        """Return everybody who shares the store, ourselves too; nobody if it is not shared.

        While it does not answer, nobody can renew a lease, or be seen to: all are as they were.
        """
        members = self.members
        if members is None:
            return []
        found = members.replicas()
        if not (members.failing_for or members.replaced):
            return found
        return [replace(each, live=_was_live(each, members.known_at)) for each in found]

    def samples(self) -> list[tuple[Family, Samples]]:
        """Return the metrics; none if the store is not shared."""
        members = self.members
        if members is None:
            return []
        live = sum(each.live for each in self.replicas())
        values = ((LIVE, live), (LEASE, int(members.live)), (AWAY, members.failing_for))
        return [(family, {("", ()): value}) for family, value in values]


def _was_live(replica: Replica, moment: float) -> bool:
    """Return whether a replica's lease lasted beyond that moment, by the store's clock."""
    lease = replica.about.get("lease")
    return replica.seen + (lease if isinstance(lease, int | float) else 0) > moment
