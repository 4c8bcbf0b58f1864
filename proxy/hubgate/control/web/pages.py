"""How a page is added to a port of the control plane: behind the guard, or without a token."""

from collections.abc import Mapping

from aiohttp import web

from hubgate.control.web.auth import caller_of
from hubgate.control.web.connection import prove
from hubgate.control.web.guard import Guard
from hubgate.control.web.responses import Handler, not_allowed
from hubgate.errors import OutOfScopeError


class Pages:
    """The pages of `app`, all behind `guard`; those added as open need no token."""

    def __init__(self, app: web.Application, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    def __repr__(self) -> str:
        return f"<Pages {len(self._app.router.resources())} behind {self._guard}>"

    def add(self, path: str, page: Handler) -> None:
        """Serve every method on `path` with `page`, once the guard has let the request pass."""
        guard = self._guard

        async def guarded(request: web.Request) -> web.StreamResponse:
            if (refused := await guard.refuse(request)) is not None:
                return refused
            prove(request)
            return await page(request)

        self._app.router.add_route("*", path, guarded)

    def add_operation(self, path: str, page: Handler) -> None:
        """Serve `path` as `add` does, with 403 to a token that is for a part of the routes only."""

        async def unscoped(request: web.Request) -> web.StreamResponse:
            scope = caller_of(request).scope
            if not scope.is_everything:
                raise OutOfScopeError(
                    f"this needs a token without a scope; the scope of this one is {scope}"
                )
            return await page(request)

        self.add(path, unscoped)

    def add_open(self, path: str, page: Handler) -> None:
        """Serve every method on `path` with `page`, to any client but other sites' web pages."""
        guard = self._guard

        async def without_token(request: web.Request) -> web.StreamResponse:
            refused = guard.refuse_page(request)
            return await page(request) if refused is None else refused

        self._app.router.add_route("*", path, without_token)


def by_method(methods: Mapping[str, Handler]) -> Handler:
    """Return a page that responds with 405 to any method not in `methods`."""

    async def page(request: web.Request) -> web.StreamResponse:
        method = methods.get(request.method)
        return not_allowed(*methods) if method is None else await method(request)

    return page
