"""The current routes of every source, which of them are served, and when they were active."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from hubgate.errors import RouteNotFoundError
from hubgate.model import Route, Source
from hubgate.route_data import RouteData
from hubgate.routing.target import same_target

# A report may be this many seconds ahead of the clock here and is still believed. Two processes
# have the same clock, unless it is put back between the two looks at it.
_AHEAD = 1.0


@dataclass(frozen=True, slots=True)
class LiveRoute:
    """A route as it is served now; `last_activity` is in seconds since the epoch.

    The data of a file's route that was posted with the same target is what was posted: a hub looks
    for its own marks there.
    """

    route: Route
    last_activity: float


@dataclass(frozen=True, slots=True)
class Difference:
    """How a change affects the routes served: those to put, the keys to delete."""

    put: tuple[Route, ...]
    delete: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.put or self.delete)


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
        for route in self.snapshot():
            if (moment := self._activity.get(route.key)) is not None:
                yield LiveRoute(self._shown(route), moment)

    def get(self, key: str) -> LiveRoute:
        """Return the route served under `key`; raises RouteNotFoundError."""
        route = self._served(key)
        if route is None:
            raise RouteNotFoundError(f"there is no route {key}")
        self._correct(time.time())
        return LiveRoute(self._shown(route), self._activity[key])

    def posted(self, key: str) -> Route | None:
        """Return the API's route that is the file's too, with the same target; None if none is."""
        of_file, of_api = (self._routes[each].get(key) for each in (Source.FILE, Source.API))
        if of_file is None or of_api is None or not same_target(of_file.target, of_api.target):
            return None
        return of_api

    def change(self, source: Source, put: Iterable[Route], delete: Iterable[str]) -> Difference:
        """Delete and put routes of `source`; return how the routes served change.

        A newly served route counts as active now, unless one with its key was served before.
        Deleting unknown keys is allowed.
        """
        routes = self._routes[source]
        fresh = {route.key: route for route in put}
        gone = [key for key in delete if key not in fresh and key in routes]
        before = {key: self._served(key) for key in (*fresh, *gone)}
        routes.update(fresh)
        for key in gone:
            del routes[key]
        return self._differing(before)

    def replace(self, source: Source, routes: Collection[Route]) -> Difference:
        """Replace all routes of `source` with `routes`; return how the routes served change."""
        kept = {route.key for route in routes}
        return self.change(source, routes, [key for key in self._routes[source] if key not in kept])

    def touch(self, key: str, moment: float) -> None:
        """Set the last activity of a served route to `moment`, whatever it was before."""
        self._activity[key] = moment
        self._latest = max(self._latest, moment)

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
        if route.source is not Source.FILE or (posted := self.posted(route.key)) is None:
            return route
        # With the target as posted: a hub that reads another spelling posts its own every time.
        own = {name: value for name, value in route.data.items() if name != "target"}
        return replace(route, data=RouteData.of({**posted.data, **own}))

    def _served(self, key: str) -> Route | None:
        for routes in self._routes.values():
            if (route := routes.get(key)) is not None:
                return route
        return None

    def _differing(self, before: Mapping[str, Route | None]) -> Difference:
        put, delete, now = [], [], time.time()
        self._latest = max(self._latest, now)
        for key, old in before.items():
            new = self._served(key)
            if new == old:
                continue
            if new is None:
                del self._activity[key]
                delete.append(key)
            else:
                self._activity.setdefault(key, now)
                put.append(new)
        return Difference(tuple(put), tuple(delete))
