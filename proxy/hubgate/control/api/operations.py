"""What an operator asks of a running hubgate over the API, beside its routes."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict

from aiohttp import web

from hubgate.control.reload import Outcome
from hubgate.control.upgrade.upgrader import Upgrader
from hubgate.control.web.auth import TokenGuard
from hubgate.control.web.refusal import Refusals
from hubgate.control.web.responses import REASON, UNLOGGED, Handler, not_allowed, plain

Methods = Mapping[str, Handler]


class Operations:
    """Pages of the API that only the bearer of its token may use."""

    def __init__(self, guard: TokenGuard) -> None:
        self._guard = guard
        self._refusals = Refusals()

    def __repr__(self) -> str:
        return f"<Operations {self._guard}>"

    def add(self, app: web.Application, path: str, methods: Methods) -> None:
        """Have `app` answer `path`; another method than `methods` is answered by 405."""

        async def answer(request: web.Request) -> web.StreamResponse:
            reason = self._guard.refusal(request.headers.get("Authorization"))
            if reason is not None:
                return await self._refusals.answer(request, reason)
            method = methods.get(request.method)
            return not_allowed(*methods) if method is None else await method(request)

        app.router.add_route("*", path, answer)


def reload_page(reload: Callable[[], Awaitable[Outcome]]) -> Methods:
    """Return the page that reads the settings again: 200, or 422 with a line for each mistake."""

    async def post(_: web.Request) -> web.Response:
        outcome = await reload()
        if outcome.mistakes:
            response = plain(422, "\n".join(outcome.mistakes))
            response[REASON] = "not reloaded"
            return response
        found = asdict(outcome)
        del found["mistakes"]
        return web.json_response(found)

    return {"POST": post}


def upgrade_page(upgrader: Upgrader) -> Methods:
    """Return the page that goes over to the newly installed release, and says how far that is.

    POST answers 202 when it begins, 500 with the reason why it does not, 409 while one goes on.
    """

    async def get(_: web.Request) -> web.Response:
        response = web.json_response(asdict(upgrader.status))
        response[UNLOGGED] = True  # whoever waits for an upgrade asks again and again
        return response

    async def post(_: web.Request) -> web.Response:
        before = upgrader.status
        new = await upgrader.prepare()
        found = {
            "version": before.version,
            "generation": before.generation,
            "new_version": new.release,
        }
        return web.json_response(found, status=202)

    return {"GET": get, "POST": post}
