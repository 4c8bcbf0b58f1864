"""The pages for balancers: what they say, to whom, and what notes that they were asked."""

import logging

import pytest

from hubgate.control.health import Health, build_health_app
from hubgate.errors import StoreUnavailableError
from tests.control.serving import Answer, ask, serve, serving

LIVE, READY = "/_hubgate/live", "/_hubgate/ready"


def words(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body.decode().strip()


def test_it_is_ready_between_its_start_and_its_drain() -> None:
    health = Health()
    assert health.obstacle() == "starting"
    health.serve()
    assert health.obstacle() is None
    health.drain()
    assert health.obstacle() == "draining"
    health.serve()
    assert health.obstacle() == "draining"


def test_after_an_upgrade_the_old_workers_serve_from_the_start() -> None:
    assert Health(serves=True).obstacle() is None


def test_what_is_missing_counts_while_it_serves() -> None:
    health = Health()
    health.serving, health.writing = lambda: "worker", lambda: "store"
    assert health.obstacle() == "starting"
    health.serve()
    assert health.obstacle() == "worker"
    health.serving = lambda: None
    assert health.obstacle() is None
    assert health.obstacle(writes=True) == "store"


async def test_a_port_of_its_own_has_these_pages_only() -> None:
    health = Health()
    async with serve(build_health_app(health)) as port:
        assert words(await ask(port, "GET", LIVE)) == (200, "ok")
        starting = await ask(port, "GET", READY)
        assert words(starting) == (503, "starting")
        assert starting.headers["retry-after"] == "1"
        assert starting.headers["cache-control"] == "no-store"
        health.serve()
        assert words(await ask(port, "GET", READY)) == (200, "ok")
        assert words(await ask(port, "GET", f"{READY}?writes")) == (200, "ok")
        health.drain()
        assert words(await ask(port, "GET", READY)) == (503, "draining")
        assert words(await ask(port, "GET", LIVE)) == (200, "ok")
        for path in ("/", "/_hubgate", f"{READY}/more", "/api/routes", "/metrics"):
            assert (await ask(port, "GET", path)).status == 404


async def test_they_are_read_only() -> None:
    async with serve(build_health_app(Health(serves=True))) as port:
        head = await ask(port, "HEAD", READY)
        assert (head.status, head.body) == (200, b"")
        for method in ("POST", "DELETE", "PUT"):
            answer = await ask(port, method, READY)
            assert answer.status == 405
            assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "fields",
    [{}, {"Host": "hub.example.org"}, {"Host": "10.1.2.3"}, {"Sec-Fetch-Site": "cross-site"}],
)
@pytest.mark.parametrize("token", [None, "s3cret"])
async def test_on_the_apis_port_they_need_no_token_and_no_name(
    token: str | None, fields: dict[str, str]
) -> None:
    async with serving(token) as api:
        for path in (LIVE, READY):
            assert words(await ask(api.port, "GET", path, None, fields)) == (200, "ok")
        assert (await ask(api.port, "GET", "/_hubgate/other", None, fields)).status >= 403


async def test_whether_routes_can_be_changed_is_told_if_asked() -> None:
    async with serving() as api:
        api.store.failing = StoreUnavailableError("the disk is full")
        assert words(await ask(api.port, "GET", READY)) == (200, "ok")
        assert words(await ask(api.port, "GET", f"{READY}?writes")) == (503, "store")
        assert words(await ask(api.port, "GET", f"{READY}?writes=1")) == (503, "store")


async def test_nothing_notes_that_they_were_asked(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving("s3cret") as api:
        api.health.drain()
        for path in (LIVE, READY):
            await ask(api.port, "GET", path)
        assert not [name for name in api.metrics.totals if name.startswith("requests_api")]
    assert not [record for record in caplog.records if record.name == "hubgate.api"]
