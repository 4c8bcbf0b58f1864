"""Whether this hubgate is alive, and ready for new connections: for balancers and containers.

The pages reveal nothing, so they need no token, and they are not behind the guard: a kubelet calls
them by the address of a pod, HAProxy without a name. No page of another site can read what they
say.
"""

import asyncio
import logging
from collections.abc import Callable
from enum import Enum

from aiohttp import web

from hubgate.control import notify
from hubgate.control.web.connection import prove
from hubgate.control.web.protocol import handler_args
from hubgate.control.web.responses import Handler, not_allowed, plain, unnoted

log = logging.getLogger("hubgate.supervisor")

LIVE, READY = "/_hubgate/live", "/_hubgate/ready"

WRITES = "writes"
"""The query of `READY` that asks whether routes can be changed, too."""


DEGRADED = "degraded"
"""What READY says with 200 where Redis is away for everybody, or nobody can be asked."""


class Readiness(Enum):
    """What READY says; it only ever moves down this list."""

    STARTING = "starting"
    SERVING = "ok"
    DRAINING = "draining"


class Health:
    """What the health pages say.

    `serving` is asked for what the workers lack, `leased` why others should be turned to, and
    `writing` for what keeps changes of routes from being stored: one word, None for nothing. They
    are asked only while we serve. `degraded` is whether we go on without the others who share our
    store, and say so.
    """

    def __init__(self, serves: bool = False) -> None:
        """Begin as STARTING, or SERVING if an older release's workers do already."""
        self.serving: Callable[[], str | None] = lambda: None
        self.leased: Callable[[], str | None] = lambda: None
        self.degraded: Callable[[], bool] = lambda: False
        self.writing: Callable[[], str | None] = lambda: None
        self._readiness = Readiness.SERVING if serves else Readiness.STARTING

    def __repr__(self) -> str:
        return f"<Health {self.obstacle() or 'ready'}>"

    @property
    def begun(self) -> bool:
        """Whether we have been ready."""
        return self._readiness is not Readiness.STARTING

    def serve(self) -> None:
        """Every worker accepts connections, with the table from the store."""
        if self._readiness is Readiness.STARTING:
            self._readiness = Readiness.SERVING

    def drain(self) -> None:
        """We are about to end: from now on nobody new should come."""
        self._readiness = Readiness.DRAINING

    def obstacle(self, writes: bool = False) -> str | None:
        """Return in one word why we are not ready, also for changes if `writes`; None if we are."""
        if self._readiness is not Readiness.SERVING:
            return str(self._readiness.value)
        return self.serving() or self.leased() or (self.writing() if writes else None)

    def word(self) -> str:
        """Return what READY says while we are ready."""
        return DEGRADED if self.degraded() else str(Readiness.SERVING.value)


async def serve_on(seconds: float, failure: asyncio.Future[None]) -> None:
    """Tell systemd that we end, then serve as ever while balancers notice that we are not ready.

    That is for `seconds`, or until something fails.
    """
    notify.stopping()
    if seconds:
        log.warning(
            "not ready any more; the public ports close in %g seconds, and a second signal ends"
            " hubgate at once",
            seconds,
        )
        await asyncio.wait({failure}, timeout=seconds)


def add_health(app: web.Application, health: Health) -> None:
    """Add the two pages to `app`; its log and its metrics leave out what is asked every second."""

    async def live(_: web.Request) -> web.Response:
        return unnoted(200, Readiness.SERVING.value)

    async def ready(request: web.Request) -> web.Response:
        obstacle = health.obstacle(WRITES in request.query)
        return unnoted(503 if obstacle else 200, obstacle or health.word())

    for path, page in ((LIVE, live), (READY, ready)):
        app.router.add_route("*", path, _read_only(page))


def build_health_app(health: Health) -> web.Application:
    """Return the application of a port for the health pages alone; any other path is a 404."""

    async def nothing(_: web.Request) -> web.Response:
        return plain(404, "Not Found")

    app = web.Application(handler_args=handler_args())
    add_health(app, health)
    app.on_response_prepare.append(_prove)
    # (?s) so that a path with %0A has the same answer.
    app.router.add_route("*", "/{rest:(?s:.*)}", nothing)
    return app


def _read_only(page: Handler) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return not_allowed("GET", "HEAD")
        return await page(request)

    return answer


async def _prove(request: web.Request, response: web.StreamResponse) -> None:
    """On a port of their own, whoever asks for these pages is who the port is for."""
    if response.status != 404:
        prove(request)
