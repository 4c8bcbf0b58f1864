"""The routes service: the only writer of the route table."""

import asyncio
import logging
from collections.abc import Awaitable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast

from hubgate.control.handover import HandedRoutes
from hubgate.control.routes.following import Follower, OwnWrites
from hubgate.control.routes.live_table import Difference, LiveRoute, LiveTable
from hubgate.errors import (
    ConfigError,
    FileRouteError,
    HubgateError,
    RouteError,
    RouteNotFoundError,
)
from hubgate.model import NO_OPTIONS, Route, Source
from hubgate.route_data import RouteData
from hubgate.routing.keys import clean_key
from hubgate.routing.target import same_target, shown
from hubgate.store.base import RouteStore, StoreChange, Written
from hubgate.tasks import spawn

log = logging.getLogger("hubgate.routes")

Missing = tuple[str, ...]
"""Names of replicas that do not serve a change yet."""

T = TypeVar("T")

_NOTHING = HandedRoutes()


class Workers(Protocol):
    """What the control plane needs from the workers as a whole."""

    def publish(self, put: Sequence[Route], delete: Sequence[str]) -> Awaitable[None]:
        """Send one change to every live worker now; await the result until all have it."""

    async def collect(self) -> None:
        """Ask every live worker for its report; return when all are in (1 s at most)."""


class RouteService:
    """Holds the current table; every change goes store, then workers, then back to the caller.

    Routes of the file (routes.yaml) shadow stored ones (the API's) with the same key. One that is
    posted with the file's target is no conflict: it is stored, and its data is shown.
    """

    def __init__(self, store: RouteStore, workers: Workers) -> None:
        self._store = store
        self._workers = workers
        self._writing = asyncio.Lock()
        self._table = LiveTable()
        self._own = OwnWrites()
        self._follower = Follower(store, self._take)
        # The latest change on its way to the workers, who take changes in their order.
        self._publishing: asyncio.Task[None] | None = None
        # An older release's workers go on with its table at first; the others hear of ours later.
        self._begun = True
        self._served = 0

    def __repr__(self) -> str:
        return f"<RouteService {self._table}>"

    def __len__(self) -> int:
        return len(self._table)

    def counts(self) -> tuple[int, int, int]:
        """Return how many routes routes.yaml has, how many the store, and how many both have."""
        of_file, of_api = (self._table.of(each) for each in (Source.FILE, Source.API))
        return len(of_file), len(of_api), len(of_file.keys() & of_api.keys())

    async def open(
        self,
        file_routes: Iterable[Route],
        initial: Iterable[Route],
        handed: HandedRoutes = _NOTHING,
    ) -> None:
        """Load the store, then lay `file_routes` over it and add `initial` as the API would.

        Routes that an older release `handed` over were stored, but a store in memory needs them
        again; in a shared one others may have changed them since. Nothing is published: there
        are no workers yet. From now on others' changes in the store are served too. Raises
        StoreError and ConfigError.
        """
        await self._store.open()
        stored = {route.key: route for route in await self._store.load()}
        for route in () if self._store.shared else handed.stored:
            if stored.get(route.key) != route:
                await self._store.put(route)
                stored[route.key] = route
        of_file = _file_table(file_routes)
        for route in initial:
            row = _row(route, Source.API)
            if row.key in of_file:
                log.warning("route %r on the command line is overridden by routes.yaml", row.key)
                continue
            await self._put(row)
            stored[row.key] = row
        known = {**self._store.last_activity(), **handed.activity}
        self._table.begin({Source.FILE: of_file, Source.API: stored}, known)
        self._begun = handed is _NOTHING  # workers that start have the table of that moment
        self._tell(self._store.point[1])
        self._follower.start()

    def begun(self) -> None:
        """Every worker, those of an older release too, has what was loaded from the store."""
        self._begun = True
        self._tell(self._served)

    @property
    def write_obstacle(self) -> str | None:
        """One word for why changes cannot be stored now, as far as known; None if they can."""
        return self._store.write_obstacle

    async def stop_following(self) -> None:
        """Stop following others' changes; the next process to load the store sees them."""
        await self._follower.stop()

    def hand_over(self) -> HandedRoutes:
        """Return all routes and their activity, for a newer release."""
        table = self._table
        stored, of_file = (tuple(table.of(each).values()) for each in (Source.API, Source.FILE))
        return HandedRoutes(stored, of_file, dict(table.activity))

    async def close(self, leave: bool = True) -> None:
        """Wait for a change in progress, then close the store; routes can still be read.

        Without `leave`, a newer release shares it in our place. Calling it again does nothing.
        Raises StoreError.
        """
        await self._follower.stop()
        async with self._writing:
            await self._store.close(leave)

    def snapshot(self) -> tuple[Route, ...]:
        """Return every route served now, including all changes published so far."""
        return self._table.snapshot()

    def all(self) -> Iterator[LiveRoute]:
        """Yield the current routes, each with its latest activity.

        The iteration may span many turns of the event loop; a route removed meanwhile is
        skipped.
        """
        return self._table.all()

    def get(self, path: str) -> LiveRoute:
        """Return the route with that key; raises RouteNotFoundError, RouteError for a bad key."""
        return self._table.get(clean_key(path))

    async def add(self, route: Route) -> Missing:
        """Add or replace an API route; it is stored and in every worker when this returns.

        Returns the names of replicas that do not serve it yet. Adding counts as activity. Raises
        RouteError for a bad key, FileRouteError if the file has it with another target or other
        options, or StoreError, after which nothing has changed here.
        """
        return await _uncut(self._add(_row(route, Source.API)))

    async def remove(self, path: str) -> Missing:
        """Remove a route; no worker matches it any more when this returns.

        Returns the names of replicas that may still match it.

        If the file has the same route, that one stays: only what was posted is taken back. Raises
        RouteNotFoundError, FileRouteError, or StoreError, after which nothing has changed.
        """
        return await _uncut(self._remove(clean_key(path)))

    async def replace_file_routes(self, routes: Iterable[Route]) -> None:
        """Replace the file's routes with `routes`; only the difference is published, as one change.

        A stored route is served again once the file has none with its key. Raises ConfigError.
        """
        await _uncut(self._replace_file_routes(_file_table(routes).values()))

    def record(self, activity: Mapping[str, float]) -> None:
        """Merge activity (key: epoch seconds): the latest wins, unknown keys are ignored."""
        self._store.note_activity(self._table.record(activity))

    async def _add(self, route: Route) -> Missing:
        async with self._writing:
            self._refuse_conflict(route)
            written = await self._put(route)
            # What was there already is in the workers, or on its way to them.
            known = not written.changed and self._table.of(Source.API).get(route.key) == route
            self._table.change(Source.API, [route], ())
            # The stored moment, so that a route shows the same one after a restart.
            self._table.touch(route.key, written.moment)
            of_file = route.key in self._table.of(Source.FILE)
            if not (known or of_file):
                self._publish([route], ())
            applied = self._published
        # The next change may follow at once: workers apply changes in the order they were sent.
        await applied
        if of_file:
            log.info("route added as routes.yaml has it: %r", route.key)
        elif not known:
            log.info("route added: %r -> %r", route.key, shown(route.target))
        return await self._store.served(written)

    async def _remove(self, key: str) -> Missing:
        async with self._writing:
            of_file = self._table.of(Source.FILE).get(key)
            if of_file is not None and self._table.posted(key) is None:
                raise FileRouteError(f"route {key} is set in routes.yaml: change it there")
            if key not in self._table.of(Source.API):
                raise RouteNotFoundError(f"there is no route {key}")
            written = await self._store.delete(key)
            self._own.note(key, written.revision)
            difference = self._table.change(Source.API, (), [key])
            if of_file is None:
                self._publish(difference.put, difference.delete)
            applied = self._published
        await applied
        log.info(
            "route removed, but still in routes.yaml: %r" if of_file else "route removed: %r", key
        )
        return await self._store.served(written)

    async def _replace_file_routes(self, routes: Collection[Route]) -> None:
        async with self._writing:
            difference = self._table.replace(Source.FILE, routes)
            if not difference:
                return
            self._publish(difference.put, difference.delete)
            applied = self._published
        await applied
        put, delete = difference.put, difference.delete
        log.info("file routes: %d put, %d removed", len(put), len(delete))

    async def _put(self, route: Route) -> Written:
        written = await self._store.put(route)
        self._own.note(route.key, written.revision)
        return written

    async def _take(self, change: StoreChange) -> None:
        """Apply a change made by others; it is in the store already."""
        async with self._writing:
            revision = change.revision
            if change.whole:
                routes = await self._store.load()
                revision = self._store.point[1]
                self._own.forget()
                difference = self._table.replace(Source.API, routes)
            else:
                change = self._own.newer(change)
                difference = self._table.change(Source.API, change.put, change.delete)
            self._table.record(change.active)
            if difference:
                self._publish(difference.put, difference.delete)
            applied = self._published
        # Not awaited here: a worker that hangs would hold up the next change for all the others.
        spawn(self._taken(applied, difference, revision), "change of others")

    def _tell(self, revision: int) -> None:
        """Acknowledge a revision, once all workers have it."""
        self._served = revision or self._served
        if revision and self._begun:
            self._store.serves(revision)

    async def _taken(self, applied: Awaitable[None], difference: Difference, revision: int) -> None:
        await applied
        self._tell(revision)
        match difference:
            case Difference((), ()):
                pass
            case Difference((route,), ()):
                log.info("route added elsewhere: %r -> %r", route.key, shown(route.target))
            case Difference((), (key,)):
                log.info("route removed elsewhere: %r", key)
            case Difference(put, delete):
                log.info("routes changed elsewhere: %d put, %d removed", len(put), len(delete))

    def _publish(self, put: Sequence[Route], delete: Sequence[str]) -> None:
        """Send a change to the workers."""
        applied = self._workers.publish(put, delete)
        self._publishing = spawn(_done(applied), "change to workers")

    @property
    def _published(self) -> Awaitable[None]:
        """Done when the workers have every change sent so far."""
        return _done(self._publishing)

    def _refuse_conflict(self, route: Route) -> None:
        of_file = self._table.of(Source.FILE).get(route.key)
        if of_file is None:
            return
        if not same_target(of_file.target, route.target):
            raise FileRouteError(
                f"route {route.key} is set in routes.yaml with the target"
                f" {shown(of_file.target)}, not {shown(route.target)}: change it there"
            )
        if route.options not in (NO_OPTIONS, of_file.options):
            raise FileRouteError(
                f"route {route.key} is set in routes.yaml with other options: change it there"
            )


def _file_table(routes: Iterable[Route]) -> dict[str, Route]:
    table: dict[str, Route] = {}
    for route in routes:
        try:
            row = _row(route, Source.FILE)
        except RouteError as error:
            raise ConfigError(f"routes: {route.key}: {error}") from None
        if row.key in table:
            raise ConfigError(f"routes: {route.key} is there twice: keep one")
        table[row.key] = row
    return table


def _row(route: Route, source: Source) -> Route:
    """Return `route` as the table stores it: its data has the target, and most share options."""
    data = RouteData.of({**route.data, "target": route.target})
    options = NO_OPTIONS if route.options == NO_OPTIONS else route.options
    return Route(clean_key(route.key), route.target, data, options, source)


async def _done(applied: Awaitable[None] | None) -> None:
    if applied is not None:
        await applied


async def _uncut(change: Coroutine[Any, Any, T]) -> T:
    """Run a change to completion even if the caller is cancelled halfway.

    A route that is in the store but never reached the workers would appear at the next restart.
    """
    outcome = await asyncio.shield(spawn(_outcome(change), "route change"))
    if isinstance(outcome, HubgateError):
        raise outcome
    return cast(T, outcome)


async def _outcome(change: Coroutine[Any, Any, T]) -> T | HubgateError:
    try:
        return await change
    except HubgateError as error:
        return error
