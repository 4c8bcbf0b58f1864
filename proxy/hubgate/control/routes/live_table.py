"""The current routes of every source, which of them are served, and when they were active."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import NamedTuple

from hubgate.errors import RouteNotFoundError
from hubgate.model import Route, RouteData, Source
from hubgate.routing.target import same_target

# A report may be this many seconds ahead of the clock here and is still believed. Two processes
# have the same clock, unless it is put back between the two looks at it.
_AHEAD = 1.0

PER_STEP = 250
"""Routes in one step of a large change: less than a millisecond."""


class LiveRoute(NamedTuple):
    """A route as it is served now; `last_activity` is in seconds since the epoch.

    The data of a file's route that was posted with the same target is what was posted: a hub looks
    for its own marks there.
    """

    route: Route
    last_activity: float


@dataclass(frozen=True, slots=True)
class Difference:
    """How a change affects the routes served: those to put, the keys to delete.

    `reshown` are the keys of routes that are served as before, and shown otherwise.
    """

    put: tuple[Route, ...]
    delete: tuple[str, ...]
    reshown: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.put or self.delete)


@dataclass
class _Effects:
    """How the changes looked at so far affect the routes served; `moment` is when they began."""

    put: list[Route] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)
    reshown: list[str] = field(default_factory=list)
    moment: float = field(default_factory=lambda: time.time())

    def difference(self) -> Difference:
        return Difference(tuple(self.put), tuple(self.delete), tuple(self.reshown))


class LiveTable:
    """Every route by source and key; of routes with the same key, the first source's is served.

    Activity is known for exactly the routes served. It is never in the future, which would last: a
    clock that was ahead for a moment would keep routes active until it is there again. Keys must be
    clean already.
    """

    def __init__(self) -> None:
        self._routes: dict[Source, dict[str, Route]] = {source: {} for source in Source}
        self._activity: dict[str, float] = {}
        # The latest time there was, and what it has been corrected to since the last `record`.
        self._latest = time.time()
        self._corrected: dict[str, float] = {}

    def __repr__(self) -> str:
        counts = [f"{len(routes)} {source.value}" for source, routes in self._routes.items()]
        return f"<LiveTable {len(self)} served: {', '.join(counts)}>"

    def __len__(self) -> int:
        return len(self._activity)

    def begin(self, routes: Mapping[Source, dict[str, Route]], known: Mapping[str, float]) -> None:
        """Hold `routes`, by source and key, and nothing else; `known` is their activity so far.

        Times in the future become now.
        """
        self._routes = {source: routes.get(source, {}) for source in Source}
        keys = chain.from_iterable(reversed(self._routes.values()))
        now = self._latest = time.time()
        self._activity = {key: known.get(key, now) for key in keys}
        self._latest = max(self._activity.values(), default=now)
        self._correct(now)

    @property
    def activity(self) -> Mapping[str, float]:
        """When each route was last active, by key, in seconds since the epoch."""
        self._correct(time.time())
        return self._activity

    def of(self, source: Source) -> Mapping[str, Route]:
        """Return the routes of `source`, by key, whether they are served or not."""
        return self._routes[source]

    def snapshot(self) -> tuple[Route, ...]:
        """Return every route served."""
        served: dict[str, Route] = {}
        for source in reversed(Source):
            served |= self._routes[source]
        return tuple(served.values())

    def all(self) -> Iterator[LiveRoute]:
        """Yield the current routes; one removed before its turn is skipped."""
        self._correct(time.time())
        of_file = Source.FILE  # an enumeration takes its time for each look
        for route in self.snapshot():
            if (moment := self._activity.get(route.key)) is not None:
                yield LiveRoute(self._shown(route) if route.source is of_file else route, moment)

    def get(self, key: str) -> LiveRoute:
        """Return the route served under `key`; raises RouteNotFoundError."""
        if (route := self.find(key)) is None:
            raise RouteNotFoundError(f"there is no route {key}")
        self._correct(time.time())
        return LiveRoute(route, self._activity[key])

    def shown(self) -> Iterator[Route]:
        """Return the current routes as they are shown; later changes do not affect it."""
        doubled = self._routes[Source.FILE].keys() & self._routes[Source.API].keys()
        posted = {key: self._shown(self._routes[Source.FILE][key]) for key in doubled}
        return (posted.get(route.key, route) for route in self.snapshot())

    def find(self, key: str) -> Route | None:
        """Return the route served under `key`, as it is shown; None if there is none."""
        route = self._served(key)
        return None if route is None else self._shown(route)

    def posted(self, key: str) -> Route | None:
        """Return the API's route that is the file's too, with the same target; None if none is."""
        of_file, of_api = (self._routes[each].get(key) for each in (Source.FILE, Source.API))
        return of_api if of_file is not None and _is_same(of_file, of_api) else None

    def change(self, source: Source, put: Iterable[Route], delete: Iterable[str]) -> Difference:
        """Delete and put routes of `source`; return how the routes served change.

        A newly served route counts as active now, unless one with its key was served before.
        Deleting unknown keys is allowed.
        """
        routes, effects = self._routes[source], _Effects()
        fresh = {route.key: route for route in put}
        for key, route in fresh.items():
            self._change_one(source, key, route, routes, effects)
        for key in delete:
            if key not in fresh:
                self._change_one(source, key, None, routes, effects)
        for key in effects.delete:
            del self._activity[key]
        self._latest = max(self._latest, effects.moment)
        return effects.difference()

    def changing(
        self, source: Source, put: Iterable[Route], delete: Iterable[str]
    ) -> Iterator[Difference | None]:
        """Make a change as `change` does, in steps of less than a millisecond; no key is in both.

        The step in which it takes effect, as a whole, yields the difference; after it there is only
        tidying up. Nothing but `record` may change the table meanwhile.
        """
        routes, effects = dict(self._routes[source]), _Effects()
        changes = chain(((key, None) for key in delete), ((route.key, route) for route in put))
        while step := [*islice(changes, PER_STEP)]:
            for key, route in step:
                self._change_one(source, key, route, routes, effects)
            yield None
        before, self._routes[source] = self._routes[source], routes
        self._latest = max(self._latest, effects.moment)
        yield effects.difference()
        gone = iter(effects.delete)
        while keys := [*islice(gone, PER_STEP)]:
            for key in keys:
                del self._activity[key]
                del before[key]  # all at once would take as long as a step must not
            yield None

    def replace(self, source: Source, routes: Collection[Route]) -> Difference:
        """Replace all routes of `source` with `routes`; return how the routes served change."""
        kept = {route.key for route in routes}
        return self.change(source, routes, [key for key in self._routes[source] if key not in kept])

    def touch(self, key: str, moment: float) -> None:
        """Set the last activity of a served route to `moment`, whatever it was before.

        It may be from a store whose clock is ahead of ours: then it was just now.
        """
        self._activity[key] = moment = min(moment, time.time())
        self._latest = max(self._latest, moment)

    def touch_all(self, moments: Mapping[str, float]) -> None:
        """Set the last activity of served routes, by key; those not served are ignored."""
        for key, moment in moments.items():
            if key in self._activity:
                self.touch(key, moment)

    def latest(self, moments: Mapping[str, float]) -> dict[str, float]:
        """Return these moments, or the last activity of those routes where that is later."""
        known = self._activity
        return {key: max(moment, known.get(key, moment)) for key, moment in moments.items()}

    def record(self, activity: Mapping[str, float]) -> dict[str, float]:
        """Merge `activity`: the latest wins, unknown keys are ignored; return what has changed.

        A time in the future is not believed. A worker of an earlier release reports one again and
        again, when its clock was ahead.
        """
        now = time.time()
        self._correct(now)
        changed, self._corrected = self._corrected, {}
        known = self._activity
        for key, at in activity.items():
            if at <= now + _AHEAD and key in known and min(at, now) > known[key]:
                known[key] = changed[key] = min(at, now)
        return changed

    def _correct(self, now: float) -> None:
        """Set times in the future to `now`; there are none unless the clock was put back."""
        before, self._latest = self._latest, now
        if now < before:
            late = {key: now for key, at in self._activity.items() if at > now}
            self._activity.update(late)
            self._corrected.update(late)

    def _shown(self, route: Route) -> Route:
        if route.source is not Source.FILE:
            return route
        return _shown(route, self._routes[Source.API].get(route.key))

    def _served(self, key: str) -> Route | None:
        for routes in self._routes.values():
            if (route := routes.get(key)) is not None:
                return route
        return None

    def _change_one(
        self,
        source: Source,
        key: str,
        new: Route | None,
        routes: dict[str, Route],
        effects: _Effects,
    ) -> None:
        """Make one change to `routes`, those of `source`, whether they are served yet or not."""
        before = after = None
        for each, held in self._routes.items():
            there = held.get(key)
            before = before or there
            after = after or (new if each is source else there)
        was = self._routes[source].get(key)
        if new is not None:
            routes[key] = new
        else:
            routes.pop(key, None)
        if after is None:
            if before is not None:
                effects.delete.append(key)
        elif after != before:
            self._activity.setdefault(key, effects.moment)
            effects.put.append(after)
        elif source is Source.API and after.source is Source.FILE:
            shown = (_shown(after, of_api) for of_api in (was, new))
            effects.reshown += [key] if next(shown) != next(shown) else []


def _is_same(of_file: Route, of_api: Route | None) -> bool:
    return of_api is not None and same_target(of_file.target, of_api.target)


def _shown(of_file: Route, of_api: Route | None) -> Route:
    """Return a route of the file as it is shown, where the API has `of_api` under its key."""
    if of_api is None or not _is_same(of_file, of_api):
        return of_file
    # With the target as posted: a hub that reads another spelling posts its own every time.
    own = {name: value for name, value in of_file.data.items() if name != "target"}
    return replace(of_file, data=RouteData.of({**of_api.data, **own}))
