"""The routes service: the only writer of the route table."""

import asyncio
import logging
from collections.abc import (
    Awaitable,
    Collection,
    Container,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any, Protocol

from hubgate.control.handover import HandedRoutes
from hubgate.control.routes.bulk_changes import BulkChange, Plan
from hubgate.control.routes.change_log import LARGEST, ChangeLog, Revision
from hubgate.control.routes.following import Follower, OwnWrites
from hubgate.control.routes.live_table import PER_STEP, Difference, LiveRoute, LiveTable
from hubgate.control.routes.rows import file_table, hidden, refuse_delete, refuse_put, row
from hubgate.errors import HubgateError, RouteNotFoundError, TableChangedError
from hubgate.model import Route, Source
from hubgate.routing.keys import clean_key
from hubgate.store.base import NO_MOMENTS, RouteStore, StoreChange, Written
from hubgate.tasks import STRIDE, Pace, spawn

log = logging.getLogger("hubgate.routes")

_NOTHING = HandedRoutes()

Expected = Container[str] | None
"""The revisions of the table that a change is meant for; None for any."""


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
        # Of the latest changes, and the table's revision; who watches it reads it.
        self.changes = ChangeLog()

    def __repr__(self) -> str:
        return f"<RouteService {self._table}>"

    def __len__(self) -> int:
        return len(self._table)

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
        wanted = [
            route
            for route in (() if self._store.shared else handed.stored)
            if stored.get(route.key) != route
        ]
        of_file = file_table(file_routes)
        for route in initial:
            found = row(route, Source.API)
            if found.key in of_file:
                log.warning("route %r on the command line is overridden by routes.yaml", found.key)
            else:
                wanted.append(found)
        if wanted:
            await self._write(wanted, ())
        stored.update((route.key, route) for route in wanted)
        known = {**self._store.last_activity(), **handed.activity}
        self._table.begin({Source.FILE: of_file, Source.API: stored}, known)
        self._follower.start()

    async def stop_following(self) -> None:
        """Stop following others' changes; the next process to load the store sees them."""
        await self._follower.stop()

    def hand_over(self) -> HandedRoutes:
        """Return all routes and their activity, for a newer release."""
        table = self._table
        stored, of_file = (tuple(table.of(each).values()) for each in (Source.API, Source.FILE))
        return HandedRoutes(stored, of_file, dict(table.activity))

    async def close(self) -> None:
        """Wait for a change in progress, then close the store; routes can still be read.

        Calling it again does nothing. Raises StoreError.
        """
        await self._follower.stop()
        async with self._writing:
            await self._store.close()

    def snapshot(self) -> tuple[Route, ...]:
        """Return every route served now, including all changes published so far."""
        return self._table.snapshot()

    def all(self) -> Iterator[LiveRoute]:
        """Yield the current routes, each with its latest activity.

        The iteration may span many turns of the event loop; a route removed meanwhile is
        skipped.
        """
        return self._table.all()

    def shown(self) -> Iterator[Route]:
        """Yield the routes of the current revision, as `all` does, without their activity.

        The iteration may span many turns of the event loop; later changes do not show in it.
        """
        return self._table.shown()

    def stored(self, key: str) -> Route | None:
        """Return the API's route with that key, which may be shadowed by one of the file."""
        return self._table.of(Source.API).get(key)

    def get(self, path: str) -> LiveRoute:
        """Return the route with that key; raises RouteNotFoundError, RouteError for a bad key."""
        return self._table.get(clean_key(path))

    async def add(self, route: Route, expected: Expected = None) -> None:
        """Add or replace an API route; it is stored and in every worker when this returns.

        Adding counts as activity. Raises RouteError for a bad key, TableChangedError if the table
        is not `expected`, FileRouteError if the file has the route with another target or other
        options, or StoreError, after which nothing has changed.
        """
        await _uncut(self._add(row(route, Source.API), expected))

    async def remove(self, path: str, expected: Expected = None) -> None:
        """Remove a route; no worker matches it any more when this returns.

        If the file has the same route, that one stays: only what was posted is taken back. Raises
        RouteNotFoundError, TableChangedError, FileRouteError, or StoreError, after which nothing
        has changed.
        """
        await _uncut(self._remove(clean_key(path), expected))

    async def change(
        self, plan: Plan, expected: Expected = None, dry_run: bool = False
    ) -> tuple[BulkChange, Revision]:
        """Change many routes as `plan` has it: as one revision, which is returned, all or nothing.

        The routes are stored, and in every worker, when this returns; of a `dry_run` there is only
        the plan. Raises TableChangedError, what `plan` raises, or StoreError, after which nothing
        has changed.
        """
        if dry_run:
            async with self._writing:
                self._check(expected)
                return await plan(self._table), self.changes.revision
        done: list[tuple[BulkChange, Revision]] = []
        await _uncut(self._change(plan, expected, done))
        return done[0]

    async def replace_file_routes(self, routes: Iterable[Route]) -> None:
        """Replace the file's routes with `routes`; only the difference is published, as one change.

        A stored route is served again once the file has none with its key. Raises ConfigError.
        """
        await _uncut(self._replace_file_routes(file_table(routes).values()))

    def record(self, activity: Mapping[str, float]) -> None:
        """Merge activity (key: epoch seconds): the latest wins, unknown keys are ignored."""
        self._store.note_activity(self._table.record(activity))

    async def _add(self, route: Route, expected: Expected) -> None:
        async with self._writing:
            self._check(expected)
            refuse_put(self._table, route)
            written = await self._write([route], ())
            self._note(self._table.change(Source.API, [route], ()))
            # The stored moment, so that a route shows the same one after a restart.
            self._table.touch(route.key, written.moment)
            if route.key in self._table.of(Source.FILE):
                log.info("route added as routes.yaml has it: %r", route.key)
                return
            applied = self._workers.publish([route], ())
        # The next change may follow at once: workers apply changes in the order they were sent.
        await applied
        log.info("route added: %r -> %r", route.key, hidden(route.target))

    async def _remove(self, key: str, expected: Expected) -> None:
        async with self._writing:
            self._check(expected)
            refuse_delete(self._table, key)
            if key not in self._table.of(Source.API):
                raise RouteNotFoundError(f"there is no route {key}")
            await self._write((), [key])
            difference = self._table.change(Source.API, (), [key])
            self._note(difference)
            if key in self._table.of(Source.FILE):
                log.info("route removed, but still in routes.yaml: %r", key)
                return
            applied = self._workers.publish(difference.put, difference.delete)
        await applied
        log.info("route removed: %r", key)

    async def _change(
        self, plan: Plan, expected: Expected, done: list[tuple[BulkChange, Revision]]
    ) -> None:
        async with self._writing:
            self._check(expected)
            change = await plan(self._table)
            difference = await self._carry_out(change)
            done.append((change, self.changes.revision))
            applied = self._publish(difference)
        await applied
        pace = Pace()
        for key, moment in change.active.items():
            self.record({key: moment})
            await pace.turn()
        if change.put or change.delete:
            counts = len(change.added), len(change.changed), len(change.delete)
            log.info("routes changed at once: %d added, %d changed, %d removed", *counts)

    async def _carry_out(self, change: BulkChange) -> Difference:
        """Store a change and make it in the table, in steps that hold nobody up."""
        if not change.put and not change.delete:
            return Difference((), ())
        written = await self._write(change.put, change.delete, change.moments)
        pace = Pace()
        if len(change.put) + len(change.delete) <= PER_STEP:
            difference = self._table.change(Source.API, change.put, change.delete)
            self._note(difference)
        else:
            for step in self._table.changing(Source.API, change.put, change.delete):
                if step is not None:
                    difference = step
                    self._note(step)
                await pace.turn()
        for number, route in enumerate(change.put):
            self._table.touch(route.key, change.moments.get(route.key, written.moment))
            if not number % STRIDE:
                await pace.turn()
        return difference

    async def _replace_file_routes(self, routes: Collection[Route]) -> None:
        async with self._writing:
            difference = self._table.replace(Source.FILE, routes)
            self._note(difference)
            if not difference:
                return
            applied = self._workers.publish(difference.put, difference.delete)
        await applied
        put, delete = difference.put, difference.delete
        log.info("file routes: %d put, %d removed", len(put), len(delete))

    async def _write(
        self,
        put: Sequence[Route],
        delete: Sequence[str],
        moments: Mapping[str, float] = NO_MOMENTS,
    ) -> Written:
        written = await self._store.apply(put, delete, moments)
        if written.revision:
            for key in (*delete, *(route.key for route in put)):
                self._own.note(key, written.revision)
        return written

    def _check(self, expected: Expected) -> None:
        revision = str(self.changes.revision)
        if expected is not None and revision not in expected:
            raise TableChangedError(f'the table has changed: it is "{revision}" now; get it again')

    def _note(self, difference: Difference) -> None:
        """Count the change, if the table is shown otherwise now, and note it for who watches."""
        keys = (*(route.key for route in difference.put), *difference.reshown)
        if len(keys) + len(difference.delete) > LARGEST:
            self.changes.note_large()
        elif keys or difference.delete:
            shown = (route for key in keys if (route := self._table.find(key)) is not None)
            self.changes.note(shown, difference.delete)

    def _publish(self, difference: Difference) -> Awaitable[None]:
        if not difference:
            return asyncio.sleep(0)
        return self._workers.publish(difference.put, difference.delete)

    async def _take(self, change: StoreChange) -> None:
        """Apply a change made by others; it is in the store already."""
        async with self._writing:
            if change.whole:
                routes = await self._store.load()
                self._own.forget()
                difference = self._table.replace(Source.API, routes)
            else:
                change = self._own.newer(change)
                difference = self._table.change(Source.API, change.put, change.delete)
            self._note(difference)
            if not difference:
                return
            applied = self._workers.publish(difference.put, difference.delete)
        # Not awaited here: a worker that hangs would hold up the next change for all the others.
        spawn(_taken(applied, difference), "change of others")


async def _taken(applied: Awaitable[None], difference: Difference) -> None:
    await applied
    match difference:
        case Difference((route,), ()):
            log.info("route added elsewhere: %r -> %r", route.key, hidden(route.target))
        case Difference((), (key,)):
            log.info("route removed elsewhere: %r", key)
        case Difference(put, delete):
            log.info("routes changed elsewhere: %d put, %d removed", len(put), len(delete))


async def _uncut(change: Coroutine[Any, Any, None]) -> None:
    """Run a change to completion even if the caller is cancelled halfway.

    A route that is in the store but never reached the workers would appear at the next restart.
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
