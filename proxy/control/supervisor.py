"""The supervisor: opens the sockets, keeps the workers, serves the API, and ends it all well."""

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from time import perf_counter

from proxy.control.api import build_api
from proxy.control.auth import TokenGuard
from proxy.control.descriptors import raise_descriptor_limit
from proxy.control.endpoint import Endpoint
from proxy.control.listeners import Listeners
from proxy.control.metrics import Metrics
from proxy.control.metrics_app import build_metrics_app
from proxy.control.operations import Operations, reload_page
from proxy.control.pidfile import pid_file
from proxy.control.reload import Parts, Reloader, watched_files
from proxy.control.routes import RouteService
from proxy.control.watch import versions
from proxy.control.workers import WorkerPool
from proxy.errors import HubgateError, RouteNotFoundError
from proxy.model import Report
from proxy.settings import Settings
from proxy.store import open_store
from proxy.store.base import RouteStore
from proxy.store.recovery import RecoveryStore
from proxy.tasks import spawn

log = logging.getLogger("hubgate.supervisor")


class Supervisor:
    """One running hubgate. `reload` reads the settings again, None where no file was read.

    `listeners` are open already; it closes them.
    """

    def __init__(
        self, settings: Settings, reload: Callable[[], Settings] | None, listeners: Listeners
    ) -> None:
        self._settings = settings
        self._read = reload
        self._listeners = listeners
        # As early as this: a file may change while the workers start.
        self._known = versions(watched_files(settings))
        self._guard = TokenGuard(settings.api_token)
        self._metrics = Metrics()
        self._reloader: Reloader | None = None
        self._store: RouteStore = open_store(settings.store, settings.recovery_file)
        self._main: asyncio.Task[int] | None = None
        self._stop = asyncio.Event()
        self._serving = False
        self._cut_by: signal.Signals | None = None

    def __repr__(self) -> str:
        state = "serving" if self._serving else "starting"
        return f"<Supervisor {'ending' if self._stop.is_set() or self._cut_by else state}>"

    async def run(self) -> int:
        """Serve until told to stop; return the exit code: 0, or 1 when something broke.

        SIGINT and SIGTERM drain and end it; a second one ends it at once, with 128 and its
        number as the code. Raises HubgateError when it cannot start, all undone.
        """
        self._main = asyncio.current_task()
        self._handle_signals()
        raise_descriptor_limit()
        try:
            async with AsyncExitStack() as stack:
                await self._run(stack)
        except asyncio.CancelledError:
            if self._cut_by is None:
                raise
            return 128 + self._cut_by if self._stop.is_set() else 0
        except HubgateError as error:
            if not self._serving:
                raise
            log.error("%s", error)
            return 1
        except Exception:
            log.exception("hubgate ends: this is a fault in it")
            return 1
        return 0

    # --- its phases, in order ---

    async def _run(self, stack: AsyncExitStack) -> None:
        listeners = self._listeners
        stack.callback(listeners.close)
        sockets = [listeners.of_worker(index) for index in range(self._settings.workers)]
        pool = WorkerPool(self._settings.worker, sockets)
        service = await self._open_service(pool, stack)
        endpoints = self._build_endpoints(listeners, service, pool)
        stack.push_async_callback(pool.stop)
        await pool.start(service.snapshot, _Reports(service, self._metrics))
        for endpoint in endpoints:
            stack.push_async_callback(endpoint.close)
            await endpoint.start()
        self._announce(listeners, service)
        stack.enter_context(pid_file(self._settings.pid_file))
        await self._serve(pool)
        await self._drain(listeners, endpoints, pool, service)

    async def _open_service(self, pool: WorkerPool, stack: AsyncExitStack) -> RouteService:
        service = RouteService(self._store, pool)
        stack.push_async_callback(service.close)
        stack.push_async_callback(self._forget_routes)
        await service.open(self._settings.fixed_routes, self._settings.initial_routes)
        return service

    def _build_endpoints(
        self, listeners: Listeners, service: RouteService, pool: WorkerPool
    ) -> list[Endpoint]:
        settings = self._settings
        api = build_api(service, settings, pool, self._metrics, self._guard)
        endpoints = [Endpoint(api, listeners.api, settings.api_tls)]
        if listeners.metrics:
            metrics = build_metrics_app(service, pool, self._metrics)
            endpoints.append(Endpoint(metrics, listeners.metrics))
        read = self._read or (lambda: settings)
        parts = Parts(service, pool, endpoints, self._guard)
        self._reloader = Reloader(settings, read, parts, self._known)
        operations = Operations(self._guard)
        if watched_files(settings):
            operations.add(api, "/api/reload", reload_page(self._reloader.reload))
        return endpoints

    def _announce(self, listeners: Listeners, service: RouteService) -> None:
        scheme = "https" if self._settings.worker.tls else "http"
        try:
            target = service.get("/").route.target
        except RouteNotFoundError:
            target = "(no default)"
        for listener in listeners.public:
            log.info("Proxying %s://%s to %s", scheme, listener.address, target)
        for listener in listeners.redirect:
            log.info("Redirecting http://%s to https", listener.address)
        scheme = "https" if self._settings.api_tls else "http"
        for listener in listeners.api:
            log.info("Proxy API at %s://%s/api/routes", scheme, listener.address)
        for listener in listeners.metrics:
            log.info("Serve metrics at http://%s/metrics", listener.address)

    async def _serve(self, pool: WorkerPool) -> None:
        """Wait for the end, reloading meanwhile. Raises what went wrong in the pool."""
        assert self._reloader is not None
        self._serving = True
        following = spawn(self._reloader.follow(), "follow files")
        stopped = spawn(self._stop.wait(), "stop signal")
        failure = pool.failure
        try:
            await asyncio.wait({stopped, failure}, return_when=asyncio.FIRST_COMPLETED)
            if failure.done():
                failure.result()
        finally:
            stopped.cancel()
            following.cancel()
            await asyncio.wait({following})
            # While we still have the API's port: its next owner may have the same file.
            await self._forget_routes()

    async def _forget_routes(self) -> None:
        """Have no successor find the routes after an end that somebody asked for, as with CHP."""
        asked_for = self._stop.is_set() or self._cut_by is not None
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
        # Ports and store are given up first, so that a successor can have them while we drain.
        listeners.close_public()
        try:
            # A store that cannot be released must not cut anybody's request short.
            ended = await asyncio.gather(
                pool.drain(limit), _close_api(endpoints, service), return_exceptions=True
            )
            for error in filter(None, ended):
                raise error
        finally:
            await pool.stop()

    # --- signals ---

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)

    def _on_stop(self, number: signal.Signals) -> None:
        if self._serving and not self._stop.is_set():
            log.warning("%s received", number.name)
            self._stop.set()
        elif self._cut_by is None and self._main is not None:
            log.warning("%s received: ending at once", number.name)
            self._cut_by = number
            self._main.cancel()

    def _on_hangup(self) -> None:
        if self._read is None:
            self._on_stop(signal.SIGHUP)
        elif self._reloader is not None:
            spawn(self._reloader.reload(), "reload")


async def _close_api(endpoints: list[Endpoint], service: RouteService) -> None:
    """Answer what was asked, then nothing more, and release the store."""
    await asyncio.gather(*(endpoint.close() for endpoint in endpoints))
    await service.close()


class _Reports:
    """Sends each part of a worker's report where it belongs."""

    def __init__(self, service: RouteService, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics

    def add(self, worker: int, report: Report) -> None:
        begun = perf_counter()
        self._service.record(report.activity)
        updated = len(report.activity)
        self._metrics.observe("last_activity_updating", perf_counter() - begun, updated)
        self._metrics.add(worker, report)

    def forget(self, worker: int) -> None:
        self._metrics.forget(worker)
