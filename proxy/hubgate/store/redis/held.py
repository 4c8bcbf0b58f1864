"""What one hubgate holds of the shared table, to follow it and to give back what Redis loses."""

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hubgate.model import Route, RouteData
from hubgate.store.redis.history import Meta, Point, Step, lineage_of, lineage_text, point_of
from hubgate.store.redis.keys import LogEntry, VersionedTable, gone_name

RECENT_ROUTES = 50_000
# Of what one release tells the next. One that does not know it starts with what Redis has.
_FORMAT = 1
# Characters of a route that count as one route more.
_LARGE = 1024


class RecentChanges:
    """The latest changes of a table, in order: of `RECENT_ROUTES` put or removed routes in all.

    They are all that came after the revision `after`. A change of more routes is not kept.
    """

    def __init__(self) -> None:
        self.after = 0
        self._entries: deque[tuple[int, LogEntry]] = deque()
        self._routes = 0

    def __iter__(self) -> Iterator[LogEntry]:
        return (entry for _, entry in self._entries)

    def begin(self, revision: int) -> None:
        """Forget all of them; what is added next comes after that revision."""
        self.after, self._routes = revision, 0
        self._entries.clear()

    def add(self, entry: LogEntry) -> None:
        """Add the next one; the oldest are forgotten for it."""
        routes = _counted(entry)
        self._entries.append((routes, entry))
        self._routes += routes
        while self._routes > RECENT_ROUTES:
            routes, oldest = self._entries.popleft()
            self._routes -= routes
            self.after = oldest.revision


@dataclass
class Held:
    """What this hubgate holds of the table: all up to `revision` of `history`, in its order.

    `own` are our changes that Redis has acknowledged and that we have not read in its log yet;
    `recent` is what came last, for a Redis that has lost it. `handed_in` counts how often we began
    to hand that in: what is acknowledged later is not part of it. `activity` is when routes were
    active, as far as is known, in seconds since the epoch. `version` is the latest of all, and what
    was changed in this history has a later one than `begun`.
    """

    name: str
    history: str = ""
    revision: int = 0
    table: VersionedTable = field(default_factory=VersionedTable, repr=False)
    version: int = 0
    begun: int = 0
    lineage: tuple[Step, ...] = ()
    own: dict[int, LogEntry] = field(default_factory=dict, repr=False)
    recent: RecentChanges = field(default_factory=RecentChanges, repr=False)
    handed_in: int = 0
    activity: dict[str, float] = field(default_factory=dict, repr=False)

    def note(self, activity: Mapping[str, float]) -> None:
        """Remember when routes were active: the latest counts."""
        known = self.activity
        known.update({key: at for key, at in activity.items() if at > known.get(key, 0.0)})

    @property
    def point(self) -> Point | None:
        """Where we stand; None before anything was read."""
        return point_of(self.history, self.revision) if self.history else None

    def take(self, entry: LogEntry) -> None:
        """Apply the next entry of the log."""
        self.table.take(entry)
        self.version = max(self.version, entry.version, *entry.versions.values())
        self.note({route.key: entry.active(route.key) for route in entry.put})
        for key in entry.delete:
            self.activity.pop(key, None)
        self.revision = entry.revision
        self.recent.add(entry)
        self.own.pop(entry.revision, None)

    def begin(self, meta: Meta, revision: int, table: VersionedTable) -> None:
        """Hold a table that was loaded whole."""
        if meta.history != self.history:
            self.own.clear()
            self.recent.begin(revision)
        elif revision > self.revision:
            self.recent.add(_difference(self.table, table, revision))
        self.history, self.lineage, self.begun = meta.history, meta.lineage, meta.since
        self.revision, self.table = revision, table
        known = (*table.versions.values(), *table.gone.values())
        self.version = max(self.version, *known) if known else self.version
        self.own = {at: entry for at, entry in self.own.items() if at > revision}

    def text(self, address: str) -> str:
        """Return all of it but the routes, for the next release's `take_over`."""
        if not self.history:
            return ""
        lineage, table = lineage_text(self.lineage), self.table
        return json.dumps(
            {
                "format": _FORMAT,
                "address": address,
                "point": (self.history, self.revision, lineage),
                "version": self.version,
                "begun": self.begun,
                "versions": table.versions,
                "gone": table.gone,
                "own": [
                    (at, each.version, each.moment, [r.key for r in each.put], each.delete)
                    for at, each in sorted(self.own.items())
                ],
            }
        )

    def take_over(
        self, text: str, address: str, routes: Sequence[Route], activity: Mapping[str, float]
    ) -> None:
        """Hold what the release before held: nothing if that was another table's."""
        known: dict[str, Any] = json.loads(text) if text else {}
        if (known.get("address"), known.get("format")) != (address, _FORMAT):
            return
        self.history, self.revision, lineage = known["point"]
        self.version, self.begun = known["version"], known["begun"]
        self.lineage = lineage_of(lineage)
        self.recent.begin(self.revision)
        self.activity = dict(activity)
        latest = {route.key: route for route in routes}
        for at, version, moment, put, delete in known["own"]:
            # Of several of one key, the last is what there is now.
            there = tuple(latest[key] for key in put if key in latest)
            self.own[at] = LogEntry(
                *(at, self.name, there, tuple(key for key in delete if key not in latest)),
                history=self.history,
                version=version,
                moment=moment,
            )
        # What was written and not followed yet may not be in the table yet.
        versions = known["versions"]
        kept = {key: route for key, route in latest.items() if key in versions}
        self.table = VersionedTable(kept, {key: versions[key] for key in kept}, known["gone"])

    def since(self, revision: int) -> list[LogEntry]:
        """Return what came after a revision, as far as it is remembered, in its order."""
        later = {entry.revision: entry for entry in self.recent if entry.revision > revision}
        later |= {at: entry for at, entry in self.own.items() if at > revision}
        return [later[at] for at in sorted(later)]


def _counted(entry: LogEntry) -> int:
    """Return how many routes a change counts as."""
    large = sum(len(RouteData.of(route.data).text) // _LARGE for route in entry.put)
    return max(1, len(entry.put) + len(entry.delete) + large)


def _difference(before: VersionedTable, after: VersionedTable, revision: int) -> LogEntry:
    """Return the change from one table to the other, which was not in the log."""
    put = tuple(
        route
        for key, route in after.routes.items()
        if before.versions.get(key) != after.versions[key]
    )
    delete = tuple(key for key in before.routes if key not in after.routes)
    versions = {route.key: after.versions[route.key] for route in put}
    # Forgotten already: it was after what we had.
    versions |= {key: after.gone.get(gone_name(key), before.versions[key] + 1) for key in delete}
    return LogEntry(revision, "", put, delete, versions=versions)
