"""Operator requests to a running hubgate over the API, other than those about routes."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict

from aiohttp import web

from hubgate.control.reload import Outcome
from hubgate.control.upgrade.upgrader import Upgrader
from hubgate.control.web.pages import Pages, by_method
from hubgate.control.web.responses import REASON, UNLOGGED, Handler, plain

Reload = Callable[[], Awaitable[Outcome]]


def add_operations(
    pages: Pages, upgrader: Upgrader, reload: Reload | None, replicas: Handler
) -> None:
    """Add the pages here to the API's, and that of the `replicas`.

    Without files to read again there is nothing to reload.
    """
    if reload is not None:
        pages.add_operation("/api/reload", reload_page(reload))
    pages.add_operation("/api/upgrade", upgrade_page(upgrader))
    pages.add_operation("/api/replicas", replicas)


def reload_page(reload: Reload) -> Handler:
    """Return the page that reloads the settings: 200, or 422 with one line per mistake."""

    async def post(_: web.Request) -> web.Response:
        outcome = await reload()
        if outcome.mistakes:
            response = plain(422, "\n".join(outcome.mistakes))
            response[REASON] = "not reloaded"
            return response
        found = asdict(outcome)
        del found["mistakes"]
        return web.json_response(found)

    return by_method({"POST": post})


def upgrade_page(upgrader: Upgrader) -> Handler:
    """Return the page that switches to the newly installed release, and reports progress.

    POST returns 202 when it begins, 500 with the reason when it does not, 409 while one is running.
    """

    async def get(_: web.Request) -> web.Response:
        response = web.json_response(asdict(upgrader.status))
        response[UNLOGGED] = True  # a client waiting for an upgrade polls this
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

    return by_method({"GET": get, "POST": post})
