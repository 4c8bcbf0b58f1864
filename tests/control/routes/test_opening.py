"""A newer release takes over while the shared store is away."""

import logging
from pathlib import Path

import pytest

from hubgate.control.routes.service import RouteService
from hubgate.errors import StoreUnavailableError
from hubgate.model import RedisLogin, ReplicaOptions
from hubgate.redis_address import parse_redis
from hubgate.store.redis.store import RedisStore
from tests.control.recording import RecordingWorkers
from tests.control.waiting import until
from tests.redis_server import redis_server
from tests.store.redis.following import route

pytestmark = pytest.mark.processes


def service_on(url: str, name: str = "a") -> RouteService:
    store = RedisStore(parse_redis(url), RedisLogin(), ReplicaOptions(name, settle=0.2, lease=1.5))
    return RouteService(store, RecordingWorkers())


async def test_it_serves_what_it_was_handed_until_the_store_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("hubgate.control.routes.opening.PATIENCE", 0.5)
    with redis_server(tmp_path / "redis", "--appendonly", "yes") as redis:
        before = service_on(redis.url)
        await before.open((), ())
        for key in ("/kept", "/removed"):
            await before.add(route(key))
        handed = before.hand_over()
        await before.close(leave=False)
        other = service_on(redis.url, "other")
        await other.open((), ())
        await other.remove("/removed")
        await other.add(route("/new"))
        redis.kill()

        after = service_on(redis.url)
        await after.open((), (), handed)
        assert "the routes of the release before are served" in caplog.text
        assert sorted(each.key for each in after.snapshot()) == ["/kept", "/removed"]
        with pytest.raises(StoreUnavailableError):
            await after.add(route("/refused"))

        redis.start()
        await until(lambda: sorted(each.key for each in after.snapshot()) == ["/kept", "/new"])
        await until(lambda: after.write_obstacle is None)
        await after.add(route("/again"))
        await until(lambda: "/again" in {each.key for each in other.snapshot()})
        for each in (after, other):
            await each.close()


async def test_a_start_without_the_store_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("hubgate.store.redis.store.START_LIMIT", 0.5)
    caplog.set_level(logging.WARNING)
    with redis_server(tmp_path / "redis") as redis:
        url = redis.url
    service = service_on(url)
    with pytest.raises(StoreUnavailableError, match=r"Connection refused, for .* check"):
        await service.open((), ())
    assert caplog.text.count("trying again") == 1
    await service.close()
