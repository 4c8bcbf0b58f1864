"""The routes service: the only writer of the route table."""

import asyncio
import logging
import time
from collections.abc import (
    Awaitable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from functools import partial
from typing import TypeVar

from hubgate.control.handover import HandedRoutes
from hubgate.control.routes.bulk_changes import Done, Missing, Plan, to_put, touch
from hubgate.control.routes.change_log import SeenTable
from hubgate.control.routes.following import Follower, OwnWrites, tell_of
from hubgate.control.routes.live_table import Difference, LiveRoute
from hubgate.control.routes.logged_table import LoggedTable
from hubgate.control.routes.opening import latest_of, stored_routes
from hubgate.control.routes.publishing import Workers, publish
from hubgate.control.routes.rows import file_table, refuse_delete, refuse_put, row
from hubgate.control.routes.uncut import UncutChanges, uncut
from hubgate.errors import RouteNotFoundError
from hubgate.model import Route, Source
from hubgate.routing.keys import clean_key
from hubgate.routing.target import shown
from hubgate.store.base import NO_MOMENTS, Expected, Point, RouteStore, StoreChange, Written
from hubgate.tasks import Pace, spawn

log = logging.getLogger("hubgate.routes")

T = TypeVar("T")

_NOTHING = HandedRoutes()


class RouteService:
    """Holds the current table; every change goes store, then workers, then back to the caller.

    Routes of the file (routes.yaml) shadow stored ones (the API's) with the same key. One that is
    posted with the file's target is no conflict: it is stored, and its data is shown.
    """

    def __init__(self, store: RouteStore, workers: Workers) -> None:
        self._store = store
        self._workers = workers
        self._writing = asyncio.Lock()
        self._table = LoggedTable(store.shared)
        self._live = self._table.live
        self._uncut = UncutChanges(self._table.log)
        self._own = OwnWrites()
        self._follower = Follower(store, self._take)
        # An older release's workers go on with its table at first; the others hear of ours later.
        self._begun, self._served = True, store.point
        # Of the latest changes, and the table's revision; who watches it reads it.
        self.changes = self._table.log

    def __repr__(self) -> str:
        return f"<RouteService {self._table}>"

    def __len__(self) -> int:
        return len(self._live)

    def counts(self) -> tuple[int, int, int]:
        """Return how many routes routes.yaml has, how many the store, and how many both have."""
        of_file, of_api = (self._live.of(each) for each in (Source.FILE, Source.API))
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
        before = None if handed is _NOTHING else handed
        stored = {route.key: route for route in await stored_routes(self._store, before)}
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
        known = latest_of(self._store.last_activity(), handed.activity)
        point = self._store.point
        self._table.begin({Source.FILE: of_file, Source.API: stored}, known, point)
        self._begun = handed is _NOTHING  # workers that start have the table of that moment
        self._tell(point)
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
        of_api, of_file = (tuple(self._live.of(at).values()) for at in (Source.API, Source.FILE))
        # What was loaded and is not served yet is not handed over as if it were.
        held = self._store.hand_over() if self._table.has(self._store.point) else ""
        return HandedRoutes(of_api, of_file, dict(self._live.activity), held)

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
        return self._live.snapshot()

    def all(self) -> Iterator[LiveRoute]:
        """Yield the current routes, each with its latest activity.

        It may span many turns of the event loop; a route removed meanwhile is skipped.
        """
        return self._live.all()

    def shown(self) -> Iterator[Route]:
        """Yield the routes of the current revision; later changes do not show in it."""
        return self._live.shown()

    def stored(self, key: str) -> Route | None:
        """Return the API's route with that key, which may be shadowed by one of the file."""
        return self._live.of(Source.API).get(key)

    def get(self, path: str) -> LiveRoute:
        """Return the route with that key; raises RouteNotFoundError, RouteError for a bad key."""
        return self._live.get(clean_key(path))

    async def add(self, route: Route, expected: SeenTable | None = None) -> Missing:
        """Add or replace an API route; it is stored and in every worker when this returns.

        Returns the names of replicas that do not serve it yet. Adding counts as activity. Raises
        RouteError for a bad key, TableChangedError if the table is not `expected`, FileRouteError
        if the file has the route with another target or other options, or StoreError, after which
        nothing has changed here.
        """
        route = row(route, Source.API)
        if (applied := self._add_at_once(route, expected)) is not None:
            await applied
            return ()
        return await self._uncut.make(partial(self._add, route, expected))

    async def remove(self, path: str, expected: SeenTable | None = None) -> Missing:
        """Remove a route; no worker matches it any more when this returns.

        Returns the names of replicas that may still match it.

        If the file has the same route, that one stays: only what was posted is taken back. Raises
        RouteNotFoundError, TableChangedError, FileRouteError, or StoreError, after which nothing
        has changed.
        """
        key = clean_key(path)
        if (applied := self._remove_at_once(key, expected)) is not None:
            await applied
            return ()
        return await self._uncut.make(partial(self._remove, key, expected))

    async def change(
        self, plan: Plan, expected: SeenTable | None = None, dry_run: bool = False
    ) -> Done:
        """Change many routes as `plan` has it: as one revision, all or nothing.

        They are stored, and in every worker, when this returns; a `dry_run` only plans. Raises
        TableChangedError, what `plan` raises, or StoreError: then nothing has changed here.
        """
        if dry_run:
            async with self._writing:
                self._table.check(expected)
                return Done(await plan(self._live), self.changes.revision)
        return await self._uncut.make(partial(self._change, plan, expected))

    async def replace_file_routes(self, routes: Iterable[Route]) -> None:
        """Replace the file's routes with `routes`; only the difference is published, as one change.

        A stored route is served again once the file has none with its key. Raises ConfigError.
        """
        await uncut(self._replace_file_routes(file_table(routes).values()))

    def record(self, activity: Mapping[str, float]) -> None:
        """Merge activity (key: epoch seconds): the latest wins, unknown keys are ignored."""
        self._store.note_activity(self._live.record(activity))

    @property
    def _idle(self) -> bool:
        """Whether nobody else can be changing the table."""
        return not (self._uncut.pending or self._writing.locked() or self._store.shared)

    def _add_at_once(self, route: Route, expected: SeenTable | None) -> Awaitable[None] | None:
        """Add a route in one step that nothing can cut, if nobody else is changing the table.

        Await the result until all workers have it; None, and nothing has changed, where the store
        has to be waited for.
        """
        if not self._idle:
            return None
        known = self._check_put(route, expected)
        if known:
            written = self._touched(route.key)
        elif (now := self._store.apply_at_once((route,), ())) is not None:
            written = now
        else:
            return None
        return self._put(route, known, written)

    async def _add(self, route: Route, expected: SeenTable | None) -> Missing:
        self._store.check_writable()
        async with self._writing:
            known = self._check_put(route, expected)
            if known and not self._store.shared:
                written = self._touched(route.key)
            else:
                meant = None if expected is None else self._expected(whole=True)
                written = await self._write([route], (), meant=meant)
            applied = self._put(route, known, written)
        # The next change may follow at once: workers apply changes in the order they were sent.
        await applied
        return await self._store.served(written)

    def _check_put(self, route: Route, expected: SeenTable | None) -> bool:
        """Return whether the API has the route as it is; raises what forbids to put it."""
        self._table.check(expected)
        refuse_put(self._live, route)
        return self._live.of(Source.API).get(route.key) == route

    def _put(self, route: Route, known: bool, written: Written) -> Awaitable[None]:
        """Serve a route that is stored; await the result until all workers have it."""
        difference = self._table.make_small((route,), (), written.made)
        # The stored moment, so that a route shows the same one after a restart.
        self._live.touch(route.key, written.moment)
        if route.key in self._live.of(Source.FILE):
            log.info("route added as routes.yaml has it: %r", route.key)
        elif not known and log.isEnabledFor(logging.INFO):
            log.info("route added: %r -> %r", route.key, shown(route.target))
        return publish(self._workers, difference)

    def _remove_at_once(self, key: str, expected: SeenTable | None) -> Awaitable[None] | None:
        """Remove a route in one step, as `_add_at_once` adds one."""
        if not self._idle:
            return None
        self._check_delete(key, expected)
        written = self._store.apply_at_once((), (key,))
        return None if written is None else self._delete(key, written)

    async def _remove(self, key: str, expected: SeenTable | None) -> Missing:
        self._store.check_writable()
        async with self._writing:
            known = self._check_delete(key, expected)
            meant = None if expected is None else self._expected(whole=True)
            written = await self._write((), [key], meant=meant)
            if not known and not written.changed:
                raise RouteNotFoundError(f"there is no route {key}")
            applied = self._delete(key, written)
        await applied
        return await self._store.served(written)

    def _check_delete(self, key: str, expected: SeenTable | None) -> bool:
        """Return whether we know the route; in a shared store it may be there nevertheless."""
        self._table.check(expected)
        refuse_delete(self._live, key)
        known = key in self._live.of(Source.API)
        if not known and not self._store.shared:
            raise RouteNotFoundError(f"there is no route {key}")
        return known

    def _delete(self, key: str, written: Written) -> Awaitable[None]:
        difference = self._table.make_small((), (key,), written.made)
        where = ", but still in routes.yaml" if key in self._live.of(Source.FILE) else ""
        log.info("route removed%s: %r", where, key)
        return publish(self._workers, difference)

    async def _change(self, plan: Plan, expected: SeenTable | None) -> Done:
        self._store.check_writable()
        async with self._writing:
            self._table.check(expected)
            change = await plan(self._live)
            (put, moments), delete = to_put(change, self._store, self._live), change.delete
            written, difference = None, Difference((), ())
            if put or delete:
                # Planned for the routes as they are here, and for nothing that comes meanwhile.
                there = self._live.of(Source.API).keys() & {route.key for route in put}
                meant = self._expected(whole=expected is not None, there=there)
                written = await self._write(put, delete, moments, meant)
                difference = await self._table.make(put, delete, written.made)
                await touch(self._live, change, written.moment)
            revision = self.changes.revision
            applied = publish(self._workers, difference)
        await applied
        pace = Pace()
        for key, moment in change.active.items():
            self.record({key: moment})
            await pace.turn()
        if written is None:
            return Done(change, revision)
        counts = [len(each) for each in (change.added, change.changed, change.delete)]
        log.info("routes changed at once: %d added, %d changed, %d removed", *counts)
        return Done(change, revision, await self._store.served(written))

    def _touched(self, key: str) -> Written:
        """Count a route that is there, and was posted once more, as active."""
        moment = time.time()
        self._store.note_activity({key: moment})
        return Written(moment, changed=False)

    async def _replace_file_routes(self, routes: Collection[Route]) -> None:
        async with self._writing:
            difference = self._table.replace_file_routes(routes)
            if not difference:
                return
            applied = publish(self._workers, difference)
        await applied
        put, delete = difference.put, difference.delete
        log.info("file routes: %d put, %d removed", len(put), len(delete))

    def _expected(self, whole: bool, there: Collection[str] = ()) -> Expected | None:
        """Return what a change is meant for: a shared table, or its routes, as they are here."""
        number = self.changes.revision.number
        return Expected(number, whole, there) if self._store.shared else None

    async def _write(
        self,
        put: Sequence[Route],
        delete: Sequence[str],
        moments: Mapping[str, float] = NO_MOMENTS,
        meant: Expected | None = None,
    ) -> Written:
        written = await self._store.apply(put, delete, moments, meant)
        if written.revision:
            for key in (*delete, *(route.key for route in put)):
                self._own.note(key, written.revision)
        return written

    async def _take(self, change: StoreChange) -> None:
        """Apply a change made by others, or one of ours; it is in the store already."""
        async with self._writing:
            if change.whole:
                difference = await self._reload()
            else:
                newer = self._own.newer(change)
                moments = self._live.latest(newer.moments)
                difference = self._live.change(Source.API, newer.put, newer.delete)
                self._live.touch_all(moments)
                keys = [*change.delete, *(route.key for route in change.put)]
                self._table.note(difference, keys, change.revision)
            now = time.time()  # the store's clock counts, not ours
            self._live.record({key: min(at, now) for key, at in change.active.items()})
            point = self._store.point
            applied = publish(self._workers, difference)
        # Not awaited here: a worker that hangs would hold up the next change for all the others.
        spawn(self._taken(applied, difference, point), "change of others")

    def _tell(self, point: Point) -> None:
        """Acknowledge a point of a shared table: all workers have it."""
        self._served = point
        if self._begun:
            self._store.serves(point)

    async def _reload(self) -> Difference:
        routes = await self._store.load()
        self._own.forget()
        return await self._table.replace(routes, self._store.last_activity(), self._store.point)

    async def _taken(self, applied: Awaitable[None], difference: Difference, point: Point) -> None:
        await applied
        self._tell(point)
        tell_of(difference)
