"""An upgrade of one of two hubgates that share a Redis, while the other is given routes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from hubgate.tasks import spawn
from tests.control.serving import Answer, ask
from tests.redis_server import redis_server
from tests.system.served import Served, serving
from tests.system.upgrading import upgrade
from tests.system.wrk import page_target

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

MISSING = "hubgate-missing-replicas"


async def call(served: Served, method: str, path: str, body: object = None) -> Answer:
    """Call the API of one."""
    sent = None if body is None else json.dumps(body).encode()
    fields = {"Authorization": f"token {served.token}"}
    return await ask(served.api_port, method, path, sent, fields)


@asynccontextmanager
async def two(folder: Path) -> AsyncIterator[tuple[Served, Served]]:
    """Run two hubgates on a Redis of their own."""
    async with AsyncExitStack() as stack:
        redis = await asyncio.to_thread(stack.enter_context, redis_server(folder / "redis"))
        started = []
        for name in ("one", "other"):
            place = folder / name
            place.mkdir()
            (place / "routes.yaml").write_text(
                # Less than an upgrade takes: it is waited for nevertheless.
                f"store: {redis.url}\nreplicas: {{name: {name}, wait: 0.3, lease: 60}}\n"
            )
            started.append(await asyncio.to_thread(stack.enter_context, serving(place)))
        yield started[0], started[1]


async def shown(served: Served) -> dict[str, tuple[bool, str]]:
    """Return by name whether each replica is live, and when it began."""
    answer = await call(served, "GET", "/api/replicas")
    return {each["name"]: (each["live"], each["started"]) for each in answer.json["replicas"]}


async def test_it_keeps_its_name_and_its_lease(tmp_path: Path) -> None:
    missing: list[str] = []
    lost: list[tuple[str, int]] = []
    ended = asyncio.Event()
    async with page_target() as target, two(tmp_path) as (one, other):

        async def add_and_follow() -> None:
            number = 0
            while not ended.is_set():
                number += 1
                path = f"/user/{number}"
                added = await call(other, "POST", f"/api/routes{path}", {"target": target})
                assert added.status == 201, added
                missing.append(added.headers.get(MISSING, ""))
                found = await ask(one.port, "GET", path)
                if found.status != 200:
                    lost.append((path, found.status))

        async def watch() -> None:
            while not ended.is_set():
                found = await shown(other)
                assert sorted(found) == ["one", "other"]
                assert all(live for live, _ in found.values()), found
                await asyncio.sleep(0.1)

        before = await shown(other)
        busy = [spawn(add_and_follow(), "adds"), spawn(watch(), "watch")]
        for _ in range(2):
            code, said = await upgrade(one)
            assert code == 0, said
        ended.set()
        await asyncio.gather(*busy)
        after = await shown(other)

    assert lost == []
    assert set(missing) == {""}
    assert after.keys() == before.keys()
    assert after["one"][1] > before["one"][1]
    assert after["other"] == before["other"]
