"""`GET /api/replicas`: everybody who shares the store, and in what they differ from this one."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from aiohttp import web

from hubgate.control.api.dates import format_moment
from hubgate.control.replicas.replication import Replication
from hubgate.control.replicas.self_description import differences
from hubgate.control.routes.service import RouteService
from hubgate.control.web.pages import by_method
from hubgate.control.web.responses import Handler
from hubgate.errors import StoreError
from hubgate.store.members import Replica


def replicas_page(replication: Replication, service: RouteService) -> Handler:
    """Return the page: what the store says, or what it said when it last answered."""

    async def get(_: web.Request) -> web.Response:
        if replication.members is not None and not replication.members.failing_for:
            with suppress(StoreError):
                await replication.members.renew()
        ours = await asyncio.to_thread(replication.own_description)
        members, now = replication.members, time.time()
        if members is None:
            number = service.changes.revision.number
            alone = Replica(replication.name, "", True, now, ("", number), ours)
            known_at, rows = now, [_row(alone, ours)]
        else:
            known_at = members.known_at
            rows = [_row(each, ours) for each in replication.replicas()]
        return web.json_response(
            {
                "name": replication.name,
                "store": service.write_obstacle or "ok",
                "known_at": format_moment(known_at),
                "replicas": rows,
            }
        )

    return by_method({"GET": get})


def _row(replica: Replica, ours: Mapping[str, Any]) -> dict[str, Any]:
    """Return a replica as the API shows it; what it has not told of itself is null or empty."""
    about, started = replica.about, replica.about.get("started")
    return {
        "name": replica.name,
        "release": about.get("release"),
        "live": replica.live,
        "revision": None if replica.serving is None else replica.serving[1],
        "started": format_moment(started) if isinstance(started, int | float) else None,
        "last_seen": format_moment(replica.seen),
        "public": about.get("public", []),
        "api": about.get("api", []),
        "differs": differences(ours, about),
    }
