"""Without a lease, a replica leaves the balancer only while another one is known to have one."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web

from hubgate.control.health import Health
from hubgate.control.replicas import lease_watch
from hubgate.control.replicas.lease_proof import add_lease
from hubgate.control.replicas.lease_watch import LeaseWatch
from hubgate.tasks import spawn
from tests.control.replicas.sharing import Member, asked
from tests.control.waiting import until

# More rounds than it takes to notice anything.
SOME_ROUNDS = 0.2


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_watch, "PAUSE", 0.01)


@asynccontextmanager
async def watching(member: Member) -> AsyncIterator[LeaseWatch]:
    watch = LeaseWatch(member)
    task = spawn(watch.run(), "watch")
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_one_that_is_cut_off_leaves_until_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    us, other = Member("us"), Member("other")
    async with asked(other) as url, watching(us) as watch:
        other.known_to(us, url)
        us.cut_off(3.0)
        await asyncio.sleep(SOME_ROUNDS)
        # Our lease holds still, so nothing is missing here.
        assert (watch.obstacle(), watch.degraded) == (None, False)
        us.cut_off(4.0)
        await until(lambda: watch.obstacle() == "lease")
        assert not watch.degraded
        await until(lambda: "not ready" in caplog.text)
        us.comes_back = True
        await until(lambda: watch.obstacle() is None)
        assert us.renewals > 0
    assert caplog.text.count("not ready: the store is away for 'us'") == 1
    assert caplog.text.count("is renewed again") == 1


async def test_if_the_store_is_away_for_all_nobody_leaves() -> None:
    us, other = Member("us"), Member("other")
    async with asked(other) as url, watching(us) as watch:
        other.known_to(us, url)
        # It has a lease still, renewed shortly before ours would have been.
        us.cut_off(3.5)
        other.renewed_ago = 3.6
        for _ in range(10):
            await asyncio.sleep(SOME_ROUNDS / 10)
            assert watch.obstacle() is None
        assert watch.degraded
        other.cut_off(4.0)
        await asyncio.sleep(SOME_ROUNDS)
        assert (watch.obstacle(), watch.degraded) == (None, True)


async def test_one_that_is_later_to_notice_that_the_store_is_back_does_not_leave() -> None:
    us, other = Member("us"), Member("other")
    async with asked(other) as url, watching(us) as watch:
        other.known_to(us, url)
        other.renewed_ago = 60.0
        us.cut_off(60)
        await until(lambda: watch.degraded)
        us.comes_back, other.renewed_ago = True, 0.1
        while us.failing_for:
            assert watch.obstacle() is None
            await asyncio.sleep(0)
        assert not watch.degraded


async def test_one_that_slept_past_its_lease_renews_it(caplog: pytest.LogCaptureFixture) -> None:
    us = Member("us")
    async with watching(us) as watch:
        us.renewed_ago, us.comes_back = 60.0, True  # and no renewal has failed
        await until(lambda: us.live)
        await asyncio.sleep(SOME_ROUNDS)
    assert (us.renewals, watch.degraded) == (1, False)
    assert "degraded" not in caplog.text


async def test_one_that_cannot_ask_stays() -> None:
    us, gone = Member("us"), Member("gone")
    stranger, draining = Member("stranger", secret="another table's"), Health(serves=True)
    ending = Member("ending")
    draining.drain()
    async with asked(stranger) as url, asked(ending, draining) as ends, watching(us) as watch:
        gone.known_to(us, "http://127.0.0.1:1", "no address", "http://[::1", "")
        Member("without address").known_to(us)
        stranger.known_to(us, url)
        # Its address is somebody else's by now.
        Member("moved").known_to(us, url)
        ending.known_to(us, ends)
        us.cut_off(60)
        await asyncio.sleep(SOME_ROUNDS)
        assert (watch.obstacle(), watch.degraded) == (None, True)


async def test_one_that_does_not_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_watch, "ANSWER_LIMIT", 0.3)
    us, silent, other = Member("us"), Member("silent"), Member("other")
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        async with asked(other) as url, watching(us) as watch:
            silent.known_to(us, f"http://127.0.0.1:{nobody.getsockname()[1]}")
            other.known_to(us, url)
            us.cut_off(60)
            await until(lambda: watch.obstacle() == "lease")


async def test_it_asks_by_unix_sockets_too(tmp_path: Path) -> None:
    us, other = Member("us"), Member("other")
    app, path = web.Application(), tmp_path / "api.sock"
    add_lease(app, other, Health(serves=True))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    async with watching(us) as watch:
        other.known_to(us, f"http+unix://{quote(str(path), safe='')}")
        us.cut_off(60)
        await until(lambda: watch.obstacle() == "lease")
    await runner.cleanup()


async def test_without_a_shared_store_there_is_nothing_to_lose() -> None:
    watch = LeaseWatch(None)
    await watch.run()
    assert (watch.obstacle(), watch.degraded) == (None, False)


async def test_health_says_so() -> None:
    health = Health(serves=True)
    health.leased = lambda: "lease"
    assert health.obstacle() == "lease"
    health.leased, health.degraded = lambda: None, lambda: True
    assert (health.obstacle(), health.word()) == (None, "degraded")


async def test_one_whose_name_another_has_is_not_ready_whoever_answers() -> None:
    us = Member("us")
    async with watching(us) as watch:
        us.replaced = True
        assert (watch.obstacle(), watch.degraded) == ("name", False)
        us.replaced = False
        assert watch.obstacle() is None
