"""Changes to many routes at once: what a whole table, or a merge patch, means for the current one.

Nothing here changes anything: the service asks for a plan, and carries it out as one change.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hubgate.control.routes.change_log import Revision
from hubgate.control.routes.live_table import LiveTable
from hubgate.control.routes.rows import is_hubs, refuse_delete, refuse_put
from hubgate.errors import FileRouteError, OutOfScopeError, RouteError
from hubgate.logs import one_line
from hubgate.model import Route, Source
from hubgate.store.base import RouteStore
from hubgate.tasks import STRIDE, Pace

SHOWN_MISTAKES = 10
"""A response names this many, and says how many there are."""


@dataclass(frozen=True, slots=True)
class GivenRoute:
    """A route as somebody wants it; `active` is its last activity (epoch seconds), if they say."""

    route: Route
    active: float | None = None


@dataclass
class BulkChange:
    """A change that is planned: no key is in both `put` and `delete`, and each makes a difference.

    `moments` are the last activity of routes that are put, as far as it is not that of adding them
    now, in epoch seconds. `active` is that of routes that stay as they are, `same` are those that
    were wanted so. The keys of those that are put are in `added` or `changed`; `left` are those of
    a hub's routes that are left alone.
    """

    put: list[Route] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)
    moments: dict[str, float] = field(default_factory=dict)
    active: dict[str, float] = field(default_factory=dict)
    same: list[Route] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def keys(self) -> dict[str, list[str]]:
        """Return the keys of the routes that are added, changed, removed, and left alone."""
        return {
            "added": self.added,
            "changed": self.changed,
            "removed": self.delete,
            "left": self.left,
        }


Missing = tuple[str, ...]
"""Names of replicas that do not serve a change yet."""


@dataclass(frozen=True, slots=True)
class Done:
    """A change of many routes, the revision that it made, and who does not serve it yet."""

    change: BulkChange
    revision: Revision
    missing: Missing = ()


Plan = Callable[[LiveTable], Awaitable[BulkChange]]
Make = Callable[[str, dict[str, Any]], GivenRoute]
"""Makes a route of a key and its data; raises RouteError."""


class Mistakes:
    """Collects what is wrong with the entries of one change, to tell all of it at once."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._conflicts: list[str] = []
        self._outside = False
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    def __repr__(self) -> str:
        return f"<Mistakes {self._count}>"

    def add(self, key: str, error: RouteError) -> None:
        """Note what is wrong with the entry of that key."""
        self._count += 1
        self._outside |= isinstance(error, OutOfScopeError)
        if isinstance(error, FileRouteError):
            self._conflicts.append(str(error))
        elif len(self._lines) < SHOWN_MISTAKES:
            self._lines.append(f"{_shortened(key)}: {error}")

    def check(self) -> None:
        """Raise a RouteError with a line for each of the first ones, if there are any."""
        if self._outside:
            raise OutOfScopeError(_listed(self._lines, self._count))
        if self._lines:
            raise RouteError(_listed(self._lines, self._count))
        if self._conflicts:
            raise FileRouteError(_listed(self._conflicts, self._count))


def whole_table(
    given: Mapping[str, GivenRoute], hubs_too: bool, is_seen: Callable[[str], bool]
) -> Plan:
    """Return the plan that makes the API's routes the `given` ones, by key, as far as it `is_seen`.

    A hub's routes, those there and those given, are left alone unless `hubs_too`. Routes of
    routes.yaml stay. One that is there already keeps its activity, unless it was active since.
    """

    async def plan(table: LiveTable) -> BulkChange:
        planner = _Planner(table)
        stored = table.of(Source.API)
        for number, (key, wanted) in enumerate(given.items()):
            if not number % STRIDE:
                await planner.pace.turn()
            if not hubs_too and (is_hubs(wanted.route) or is_hubs(stored.get(key))):
                planner.leave(wanted.route)
            else:
                planner.put(wanted, counts_as_activity=False)
        for number, (key, there) in enumerate(stored.items()):
            if not number % STRIDE:
                await planner.pace.turn()
            if key in given or not is_seen(key):
                continue
            if not hubs_too and is_hubs(there):
                planner.leave(there, kept=False)
            else:
                planner.delete(key)
        return planner.planned()

    return plan


def merge_patch(patch: Mapping[str, Any], make: Make) -> Plan:
    """Return the plan of a JSON merge patch (RFC 7396) on the table, with clean keys."""

    async def plan(table: LiveTable) -> BulkChange:
        planner = _Planner(table)
        for key, value in patch.items():
            await planner.pace.turn()
            try:
                if value is None:
                    refuse_delete(table, key)
                    planner.delete(key)
                elif isinstance(value, dict):
                    there = table.find(key)
                    before = {} if there is None else there.data
                    planner.put(make(key, merged(before, value)), counts_as_activity=True)
                else:
                    raise RouteError("is neither an object nor null")
            except RouteError as error:
                planner.mistakes.add(key, error)
        return planner.planned()

    return plan


def merged(target: object, patch: object) -> Any:
    """Return `target` with a JSON merge patch applied (RFC 7396, section 2)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def to_put(
    change: BulkChange, store: RouteStore, table: LiveTable
) -> tuple[list[Route], dict[str, float]]:
    """Return what has to be written, and when that was active if not now.

    Of what is there already, only what may still be replaced, which is no activity.
    """
    unsure = [route for route in change.same if not store.is_sure(route.key)]
    known = table.activity
    moments = {route.key: known[route.key] for route in unsure if route.key in known}
    return [*change.put, *unsure], {**moments, **change.moments}


async def touch(table: LiveTable, change: BulkChange, moment: float) -> None:
    """Set the last activity of what was put: now, or when the change says."""
    pace = Pace()
    for number, route in enumerate(change.put):
        table.touch(route.key, change.moments.get(route.key, moment))
        if not number % STRIDE:
            await pace.turn()


class _Planner:
    """Finds out entry by entry what has to be done to a table."""

    def __init__(self, table: LiveTable) -> None:
        self.pace = Pace()
        self.mistakes = Mistakes()
        self._table = table
        self._stored = table.of(Source.API)
        self._known = table.activity
        self._now = time.time()
        self._change = BulkChange()

    def leave(self, route: Route, kept: bool = True) -> None:
        """Note that a route is left alone, if it is there and not `kept`, or differs."""
        if not kept or self._differs(route):
            self._change.left.append(route.key)

    def _differs(self, route: Route) -> bool:
        shown = self._table.find(route.key)
        return shown is None or shown.data != route.data

    def put(self, given: GivenRoute, counts_as_activity: bool) -> None:
        """Plan to put a route, unless it is there already."""
        route, key = given.route, given.route.key
        try:
            refuse_put(self._table, route)
        except FileRouteError as error:
            self.mistakes.add(key, error)
            return
        known = self._known.get(key)
        moment = self._now if given.active is None else min(self._now, given.active)
        if self._stored.get(key) == route or not self._differs(route):
            if key in self._stored:
                self._change.same.append(route)
            if given.active is not None or counts_as_activity:
                self._change.active[key] = moment
            return
        self._change.put.append(route)
        (self._change.added if known is None else self._change.changed).append(key)
        if given.active is not None:
            self._change.moments[key] = max(moment, known or 0.0)

    def delete(self, key: str) -> None:
        """Plan to delete a stored route; a missing one is not an error."""
        if key in self._stored:
            self._change.delete.append(key)

    def planned(self) -> BulkChange:
        """Return the plan. Raises RouteError for entries that cannot be, FileRouteError."""
        self.mistakes.check()
        return self._change


def _listed(lines: list[str], count: int) -> str:
    shown = lines[:SHOWN_MISTAKES]
    rest = count - len(shown)
    return "\n".join([*shown, f"and {rest} more"] if rest else shown)


def _shortened(key: str) -> str:
    # As it can be sent: JSON may have half a surrogate pair.
    text = one_line(key[:200]).encode("utf-8", "backslashreplace").decode()
    return text if len(key) <= 200 else f"{text}..."
