"""The routes service: the only writer of the route table."""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hubgate.control.handover import HandedRoutes
from hubgate.errors import (
    ConfigError,
    FileRouteError,
    HubgateError,
    RouteError,
    RouteNotFoundError,
)
from hubgate.model import PLAIN, Route, Source
from hubgate.route_data import RouteData
from hubgate.routing.keys import clean_key
from hubgate.store.base import RouteStore
from hubgate.tasks import spawn

log = logging.getLogger("hubgate.routes")

_NOTHING = HandedRoutes()
# A user and password in a target do not belong in a log.
_SECRET = re.compile(r"//[^/]*@")


class Workers(Protocol):
    """What the control plane asks of the workers as a whole."""

    def publish(self, put: Sequence[Route], delete: Sequence[str]) -> Awaitable[None]:
        """Send one change to every live worker now; what is returned ends when all have it."""

    async def collect(self) -> None:
        """Ask every live worker for its report now; return when they are in (1 s at most)."""


@dataclass(frozen=True, slots=True)
class LiveRoute:
    """A route as it is served now; `last_activity` is in seconds since the epoch."""

    route: Route
    last_activity: float


class RouteService:
    """Holds the current table; every change goes store, then workers, then back to the caller.

    Routes of the file (routes.yaml) shadow stored ones (the API's) with the same key.
    """

    def __init__(self, store: RouteStore, workers: Workers) -> None:
        self._store = store
        self._workers = workers
        self._writing = asyncio.Lock()
        self._stored: dict[str, Route] = {}
        self._of_file: dict[str, Route] = {}
        # Its keys are exactly those of the routes served now.
        self._activity: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<RouteService {len(self._stored)} stored, {len(self._of_file)} of the file>"

    def __len__(self) -> int:
        return len(self._activity)

    async def open(
        self,
        file_routes: Iterable[Route],
        initial: Iterable[Route],
        handed: HandedRoutes = _NOTHING,
    ) -> None:
        """Load the store, then lay `file_routes` over it and add `initial` as the API would.

        What an older release `handed` over was stored, but a store in memory has to be given it
        again. Nothing is published: no worker lives yet. Raises StoreError and ConfigError.
        """
        await self._store.open()
        self._stored = {route.key: route for route in await self._store.load()}
        for route in handed.stored:
            if self._stored.get(route.key) != route:
                await self._store.put(route)
                self._stored[route.key] = route
        self._of_file = _file_table(file_routes)
        for route in initial:
            await self._add_initial(_row(route, Source.API))
        now, known = time.time(), {**self._store.last_activity(), **handed.activity}
        # A clock that was ahead must not keep a route active until it is right.
        self._activity = {
            key: min(known.get(key, now), now) for key in [*self._stored, *self._of_file]
        }

    def hand_over(self) -> HandedRoutes:
        """Return all there is, for a newer release."""
        stored, of_file = tuple(self._stored.values()), tuple(self._of_file.values())
        return HandedRoutes(stored, of_file, dict(self._activity))

    async def close(self) -> None:
        """Wait for the change under way, then release the store; routes can still be read.

        To call it again does nothing. Raises StoreError.
        """
        async with self._writing:
            await self._store.close()

    def snapshot(self) -> tuple[Route, ...]:
        """Return every route served now; all changes published so far are in it."""
        return tuple({**self._stored, **self._of_file}.values())

    def all(self) -> Iterator[LiveRoute]:
        """Yield the routes of this moment, each with its latest activity.

        The iteration may be spread over many turns of the event loop; a route removed
        meanwhile is left out.
        """
        return self._live(self.snapshot())

    def get(self, path: str) -> LiveRoute:
        """Return the route with that key; raises RouteNotFoundError, RouteError for a bad key."""
        key = clean_key(path)
        route = self._of_file.get(key) or self._stored.get(key)
        if route is None:
            raise RouteNotFoundError(f"there is no route {key}")
        return LiveRoute(route, self._activity[key])

    async def add(self, route: Route) -> None:
        """Add or replace a route of the API; it is stored and in every worker when this returns.

        Adding counts as activity. Raises RouteError for a bad key, FileRouteError, or
        StoreError, after which nothing has changed.
        """
        await _uncut(self._add(_row(route, Source.API)))

    async def remove(self, path: str) -> None:
        """Remove a route; no worker matches it any more when this returns.

        Raises RouteNotFoundError, FileRouteError, or StoreError, after which nothing has
        changed.
        """
        await _uncut(self._remove(clean_key(path)))

    async def replace_file_routes(self, routes: Iterable[Route]) -> None:
        """Make `routes` those of the file; only what differs is published, as one change.

        A stored route whose namesake in the file went is served again. Raises ConfigError.
        """
        await _uncut(self._replace_file_routes(_file_table(routes)))

    def record(self, activity: Mapping[str, float]) -> None:
        """Merge activity (key: seconds since the epoch): the latest wins, unknown keys do not."""
        known = self._activity
        newer = {key: at for key, at in activity.items() if key in known and at > known[key]}
        known.update(newer)
        self._store.note_activity(newer)

    async def _add(self, route: Route) -> None:
        async with self._writing:
            self._refuse_file_route(route.key)
            # Its moment: after a restart a route shows the one it showed before.
            self._activity[route.key] = await self._store.put(route)
            self._stored[route.key] = route
            applied = self._workers.publish([route], [])
        # The next change may follow on its heels: workers take them in the order they were sent.
        await applied
        log.info("route added: %r -> %r", route.key, _SECRET.sub("//...@", route.target))

    async def _remove(self, key: str) -> None:
        async with self._writing:
            self._refuse_file_route(key)
            if key not in self._stored:
                raise RouteNotFoundError(f"there is no route {key}")
            await self._store.delete(key)
            del self._stored[key], self._activity[key]
            applied = self._workers.publish([], [key])
        await applied
        log.info("route removed: %r", key)

    async def _replace_file_routes(self, of_file: dict[str, Route]) -> None:
        async with self._writing:
            gone = [key for key in self._of_file if key not in of_file]
            put = [route for key, route in of_file.items() if self._of_file.get(key) != route]
            put += [self._stored[key] for key in gone if key in self._stored]
            delete = [key for key in gone if key not in self._stored]
            if not put and not delete:
                return
            self._of_file = of_file
            self._mark(put, delete)
            applied = self._workers.publish(put, delete)
        await applied
        log.info("fixed routes: %d put, %d removed", len(put), len(delete))

    def _mark(self, put: Iterable[Route], delete: Iterable[str]) -> None:
        now = time.time()
        for route in put:
            self._activity.setdefault(route.key, now)
        for key in delete:
            del self._activity[key]

    async def _add_initial(self, route: Route) -> None:
        if route.key in self._of_file:
            log.warning("route %r of the command line is fixed by routes.yaml", route.key)
            return
        await self._store.put(route)
        self._stored[route.key] = route

    def _refuse_file_route(self, key: str) -> None:
        if key in self._of_file:
            raise FileRouteError(f"route {key} stands in routes.yaml: change it there")

    def _live(self, routes: Iterable[Route]) -> Iterator[LiveRoute]:
        for route in routes:
            if (moment := self._activity.get(route.key)) is not None:
                yield LiveRoute(route, moment)


def _file_table(routes: Iterable[Route]) -> dict[str, Route]:
    table: dict[str, Route] = {}
    for route in routes:
        try:
            row = _row(route, Source.FILE)
        except RouteError as error:
            raise ConfigError(f"routes: {route.key}: {error}") from None
        if row.key in table:
            raise ConfigError(f"routes: {route.key} is there twice: keep one of them")
        table[row.key] = row
    return table


def _row(route: Route, source: Source) -> Route:
    """Return `route` as the table has it: its data holds the target, and most share options."""
    data = RouteData.of({**route.data, "target": route.target})
    options = PLAIN if route.options == PLAIN else route.options
    return Route(clean_key(route.key), route.target, data, options, source)


async def _uncut(change: Coroutine[Any, Any, None]) -> None:
    """Run a change to its end even if the caller is cancelled half-way.

    A route that is in the store but never reached the workers would come to life at the next
    restart.
    """
    error = await asyncio.shield(spawn(_outcome(change), "route change"))
    if error is not None:
        raise error


async def _outcome(change: Coroutine[Any, Any, None]) -> HubgateError | None:
    try:
        await change
    except HubgateError as error:
        return error
    return None
