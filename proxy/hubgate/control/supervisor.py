"""The supervisor: opens the sockets, runs the workers, serves the API, and shuts it all down."""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from hubgate import __version__
from hubgate.control import notify
from hubgate.control.api.app import build_api
from hubgate.control.api.operations import add_operations
from hubgate.control.bootstrap import Bootstrap
from hubgate.control.file_watch import versions
from hubgate.control.handover import Handover
from hubgate.control.health import Health, add_health, build_health_app, serve_on
from hubgate.control.listening.listeners import Listeners
from hubgate.control.metrics.app import build_metrics_app
from hubgate.control.metrics.totals import Metrics
from hubgate.control.pidfile import PidFile
from hubgate.control.port_endpoint import build_endpoint
from hubgate.control.reload import Parts, Reloader
from hubgate.control.replica_name import named_replica
from hubgate.control.replicas.replicas_page import replicas_page
from hubgate.control.replicas.replication import Replication
from hubgate.control.routes.service import RouteService
from hubgate.control.running_file import REFRESHED, RunningFile
from hubgate.control.startup_log import announce
from hubgate.control.upgrade import signals
from hubgate.control.upgrade.rehearsal import rehearse
from hubgate.control.upgrade.upgrader import Upgrader
from hubgate.control.web.endpoint import CLOSE_LIMIT, Endpoint
from hubgate.control.web.guard import Guard
from hubgate.control.web.host_names import HostNames, names_of
from hubgate.control.web.pages import Pages
from hubgate.control.worker_reports import WorkerReports
from hubgate.control.workers.pool import WorkerPool
from hubgate.errors import HubgateError
from hubgate.settings import Settings
from hubgate.settings.files import watched_files
from hubgate.store import open_store
from hubgate.store.base import RouteStore
from hubgate.store.recovery import RecoveryStore
from hubgate.tasks import spawn
from hubgate.worker.lifeline import SUPERVISOR_SIGNALS
from hubgate.worker.messages import LINK_VERSION

log = logging.getLogger("hubgate.supervisor")


class Supervisor:
    """One running hubgate. `reload` reads the settings again; None if no file was read.

    None of them was read before `read_since`, epoch seconds: a file that has changed since then
    may have been read before the change.

    `bootstrap` has opened the listeners and started the workers. `received` is what an older
    release handed over in this process. If an upgrade was requested, `run` returns with
    `handover` set, for the next release.
    """

    def __init__(
        self,
        settings: Settings,
        reload: Callable[[], Settings] | None,
        bootstrap: Bootstrap,
        read_since: float,
        received: Handover | None = None,
    ) -> None:
        self.handover: Handover | None = None
        self._received = received
        self._settings = settings
        self._read = reload
        self._bootstrap = bootstrap
        # A file may change while it is read, or while hubgate starts.
        self._known = versions(watched_files(settings), read_since)
        hosts = HostNames(names_of(settings))
        self._guard = Guard(settings.api_token, hosts, named=settings.api_tokens)
        self._metrics = Metrics(received.counters if received else None)
        self._running_file = RunningFile(os.environ)
        self._reloader: Reloader | None = None
        generation = received.generation if received else 0
        self._upgrader = Upgrader(lambda: rehearse(self.settings), generation)
        self._health = Health(serves=received is not None)
        self._health_port: list[Endpoint] = []
        replica = named_replica(settings)
        self._store: RouteStore = open_store(
            settings.store, settings.recovery_file, settings.own_store, settings.redis, replica
        )
        self._replication = Replication(
            replica.name, self._store.members, self._health, settings, bootstrap.listeners
        )
        self._main: asyncio.Task[int] | None = None
        self._stop = asyncio.Event()
        self._serving = False
        self._reload_pending = False  # asked to reload before it was serving
        self._cut_short_by: signal.Signals | None = None

    @property
    def settings(self) -> Settings:
        """The settings in use, after every reload."""
        return self._reloader.running if self._reloader is not None else self._settings

    def __repr__(self) -> str:
        state = "serving" if self._serving else "starting"
        return f"<Supervisor {'ending' if self._stop.is_set() or self._cut_short_by else state}>"

    async def run(self) -> int:
        """Serve until told to stop; return the exit code: 0, or 1 if something failed.

        SIGINT and SIGTERM make it drain and exit; after a second one it exits at once, with 128
        plus its number as the code. Raises HubgateError when it cannot start, with everything
        undone.
        """
        self._main = asyncio.current_task()
        self._handle_signals()
        try:
            async with AsyncExitStack() as stack:
                await self._run(stack)
        except asyncio.CancelledError:
            if self._cut_short_by is None:
                raise
            return 128 + self._cut_short_by if self._stop.is_set() else 0
        except HubgateError as error:
            if not self._serving:
                raise
            log.error("%s", error)
            return 1
        except Exception:
            log.exception("hubgate ends: this is a bug in it")
            return 1
        return 0

    # --- its phases, in order ---

    async def _run(self, stack: AsyncExitStack) -> None:
        listeners = self._bootstrap.listeners
        stack.callback(listeners.close)
        pool = WorkerPool(self._settings.worker, self._bootstrap.sockets, self._bootstrap.spawned)
        await self._open_health(listeners, pool, stack)
        service = await self._open_service(pool, stack)
        endpoints = self._build_endpoints(listeners, service, pool)
        stack.push_async_callback(pool.stop)
        await self._start_workers(pool, service)
        self._health.serve()
        for endpoint in endpoints:
            stack.push_async_callback(endpoint.close)
            await endpoint.start()
        stack.callback(self._running_file.remove)
        api = [listener.address for listener in listeners.api]
        await asyncio.to_thread(self._running_file.begin, self._settings, api)
        announce(self._settings, listeners, service, self._store)
        stack.enter_context(PidFile(self._settings.pid_file))
        notify.ready()
        await self._serve(pool)
        if self._stop.is_set():
            self._running_file.remove()  # at once: a successor may have the port while we drain
            await self._drain(listeners, endpoints, pool, service)
        else:
            notify.reloading()
            self.handover = await self._hand_over(listeners, endpoints, pool, service)
            # Nothing may be undone: it all belongs to the successor now.
            stack.pop_all()

    async def _open_health(
        self, listeners: Listeners, pool: WorkerPool, stack: AsyncExitStack
    ) -> None:
        """Answer on the port of the health pages, if there is one, from the start on."""
        self._health.serving = lambda: pool.lacking
        if listeners.health:
            app = build_health_app(self._health)
            self._replication.add_page(app)
            endpoint = build_endpoint(
                self._settings, self._metrics, "health", app, listeners.health
            )
            stack.push_async_callback(endpoint.close)
            await endpoint.start()
            self._health_port = [endpoint]

    async def _open_service(self, pool: WorkerPool, stack: AsyncExitStack) -> RouteService:
        service = RouteService(self._store, pool)
        stack.push_async_callback(service.close)
        stack.push_async_callback(self._forget_routes)
        settings, received = self._settings, self._received
        gc.disable()  # loading a large table only creates objects, none of them garbage
        try:
            if received is None:
                await service.open(settings.file_routes, settings.initial_routes)
            else:
                await service.open(settings.file_routes, (), received.routes)
        finally:
            # Otherwise later collections would visit every route again while the API waits.
            gc.freeze()
            gc.enable()
        return service

    async def _start_workers(self, pool: WorkerPool, service: RouteService) -> None:
        reports, received = WorkerReports(service, self._metrics), self._received
        if received is None:
            await pool.start(service.snapshot, reports)
            self._upgrader.settled()
            return
        in_step = received.link_version == LINK_VERSION
        await pool.adopt(received.workers, received.revision, in_step, reports)
        pool.begin(service.snapshot, reports)
        put, delete = received.routes.changes_to(service.snapshot())
        if put or delete:
            await pool.publish(put, delete)
        service.begun()

    async def _retire_old_workers(self, pool: WorkerPool) -> None:
        """Once the new workers serve, make the older release's stop accepting connections."""
        if self._received is not None:
            times = pool.config.timeouts
            await pool.retire_adopted(times.upgrade, times.drain)
            self._upgrader.settled()
            done = (
                "taken back by"
                if self._received.failed
                else f"upgraded from {self._received.release} to"
            )
            text = "%s %s; connections open in old workers have %g seconds left"
            log.info(text, done, __version__, times.upgrade)

    def _build_endpoints(
        self, listeners: Listeners, service: RouteService, pool: WorkerPool
    ) -> list[Endpoint]:
        settings = self._settings
        self._health.writing = lambda: service.write_obstacle
        api = build_api(service, settings, pool, self._metrics, self._guard)
        add_health(api, self._health)
        self._replication.add_page(api)
        self._replication.note_missing(api)
        build = partial(build_endpoint, settings, self._metrics)
        endpoints = [build("API", api, listeners.api, settings.api_tls)]
        if listeners.metrics:
            guard = self._guard.without_token()
            samples = self._replication.samples
            metrics = build_metrics_app(service, pool, self._metrics, guard, self._health, samples)
            endpoints.append(build("metrics", metrics, listeners.metrics))
        read = self._read or (lambda: settings)
        every = [*endpoints, *self._health_port]
        parts = Parts(service, pool, every, self._guard, self._tell)
        self._reloader = Reloader(settings, read, parts, self._known)
        reload = self._reloader.reload if watched_files(settings) else None
        replicas = replicas_page(self._replication, service)
        add_operations(Pages(api, self._guard), self._upgrader, reload, replicas)
        return endpoints

    def _tell(self, settings: Settings) -> None:
        self._running_file.update(settings)
        self._replication.update(settings)

    async def _serve(self, pool: WorkerPool) -> None:
        """Wait for a stop or an upgrade, reloading meanwhile. Raises the pool's failure."""
        assert self._reloader is not None
        self._serving = True
        if self._reload_pending:
            self._on_hangup()
        following = spawn(self._reloader.follow(), "follow files")
        stopped = spawn(self._stop.wait(), "stop signal")
        agreed = spawn(self._upgrader.agreed.wait(), "upgrade")
        retiring = spawn(self._retire_old_workers(pool), "retire old workers")
        refreshing = spawn(self._refresh_running_file(), "running file")
        watching = spawn(self._replication.watch(), "lease watch")
        failure = pool.failure
        try:
            await asyncio.wait({stopped, agreed, failure}, return_when=asyncio.FIRST_COMPLETED)
            if self._stop.is_set():
                await serve_on(pool.config.timeouts.drain_delay, failure)
            if failure.done():
                failure.result()
        finally:
            for task in (stopped, agreed, retiring, following, refreshing, watching):
                task.cancel()
            await asyncio.wait({following})
            # While we still hold the API's port: its next owner may use the same file.
            await self._forget_routes()

    async def _refresh_running_file(self) -> None:
        """Write our record again now and then: one that nobody refreshes is removed some day."""
        while True:
            await asyncio.sleep(REFRESHED)
            await asyncio.to_thread(self._running_file.update, self.settings)

    async def _forget_routes(self) -> None:
        """After a requested stop, leave no routes to a successor, as with CHP."""
        asked_for = self._stop.is_set() or self._cut_short_by is not None
        if asked_for and isinstance(self._store, RecoveryStore):
            await self._store.forget()

    async def _drain(
        self,
        listeners: Listeners,
        endpoints: list[Endpoint],
        pool: WorkerPool,
        service: RouteService,
    ) -> None:
        limit = pool.config.timeouts.drain
        log.warning("draining, for %g seconds at most; a second signal ends it at once", limit)
        # Ports and store are released first, so that a successor can use them while we drain.
        listeners.close_public()
        try:
            # A store that cannot be closed must not cut any request short.
            ended = await asyncio.gather(
                pool.drain(limit),
                _close_api([*endpoints, *self._health_port], service, limit),
                return_exceptions=True,
            )
            for error in filter(None, ended):
                raise error
        finally:
            await pool.stop()

    async def _hand_over(
        self,
        listeners: Listeners,
        endpoints: list[Endpoint],
        pool: WorkerPool,
        service: RouteService,
    ) -> Handover:
        """Finish the API's requests, and let go of everything without closing it."""
        assert self._reloader is not None
        sockets = listeners.hand_over()
        service.changes.close()
        # In this order: one of the API's requests may be a reload.
        await asyncio.gather(*(endpoint.suspend() for endpoint in endpoints))
        await self._reloader.finish()
        # Last: who asks meanwhile would have to wait for the next release.
        await asyncio.gather(*(endpoint.suspend() for endpoint in self._health_port))
        # A change that handed-over workers did not receive must not be in the table either.
        await service.stop_following()
        workers = tuple(await pool.hand_over())
        routes = service.hand_over()
        try:
            await service.close(leave=False)
        except HubgateError as error:
            log.error("%s", error)
        listeners.leave()
        await signals.hold_signals()
        if self._stop.is_set():
            signals.keep_signal(signal.SIGTERM)
        return Handover(
            release=__version__,
            generation=self._upgrader.status.generation + 1,
            link_version=LINK_VERSION,
            revision=pool.revision,
            listeners=sockets,
            workers=workers,
            routes=routes,
            counters=dict(self._metrics.totals),
        )

    # --- signals ---

    def _handle_signals(self) -> None:
        handlers = {
            signal.SIGINT: self._on_stop,
            signal.SIGTERM: self._on_stop,
            signal.SIGHUP: self._on_hangup,
            signal.SIGUSR2: self._on_upgrade,
        }
        loop = asyncio.get_running_loop()
        for number in SUPERVISOR_SIGNALS:
            loop.add_signal_handler(number, handlers[number], number)
        signals.release_signals()

    def _on_stop(self, number: signal.Signals) -> None:
        # Once we were ready, or an older release's workers are, connections must not be cut.
        if self._health.begun and not self._stop.is_set():
            log.warning("%s received", number.name)
            self._health.drain()
            self._upgrader.end()
            self._stop.set()
        elif self._cut_short_by is None and self._main is not None:
            log.warning("%s received: exiting at once", number.name)
            self._cut_short_by = number
            self._main.cancel()

    def _on_hangup(self, number: signal.Signals = signal.SIGHUP) -> None:
        if self._read is None:
            self._on_stop(number)
        elif self._serving and self._reloader is not None:
            spawn(self._reloader.reload(), "reload")
        else:
            self._reload_pending = True

    def _on_upgrade(self, _: signal.Signals) -> None:
        spawn(self._upgrader.prepare_for_signal(), "upgrade")


async def _close_api(endpoints: list[Endpoint], service: RouteService, limit: float) -> None:
    """Finish open requests within `limit` seconds, accept no more, and close the store."""
    service.changes.close()
    limit = min(limit, 2 * CLOSE_LIMIT)
    await asyncio.gather(*(endpoint.close(limit) for endpoint in endpoints))
    await service.close()
