"""What is remembered of changes is bounded, and beyond the bounds whole tables are compared."""

from itertools import pairwise

import pytest
import redis as client

from tests.control.waiting import until
from tests.redis_server import RedisServer
from tests.store.redis.conftest import Start
from tests.store.redis.following import Following, restart, snapshot

pytestmark = pytest.mark.processes

LOG_BYTES = 100_000


def small_log(monkeypatch: pytest.MonkeyPatch, size: int = LOG_BYTES) -> None:
    monkeypatch.setattr("hubgate.store.redis.table_write.LOG_BYTES", size)


def logged(server: RedisServer) -> list[tuple[int, int]]:
    """Return the revision and the bytes of each entry of the log."""
    with client.Redis(port=server.port) as redis:
        return [
            (int(name.split(b"-")[0]), sum(len(k) + len(v) for k, v in fields.items()))
            for name, fields in redis.xrange("hubgate:log")
        ]


async def test_the_log_is_bounded_in_bytes(
    server: RedisServer, follow: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_log(monkeypatch)
    one, other = await follow("a").start(), await follow("b").start()
    keys = [f"/{number}" for number in range(100)]
    for number in range(30):
        await one.put(*keys, target=f"http://{number}")
    entries = logged(server)
    # A part of fifty, and what Redis packs together, may be more.
    assert LOG_BYTES * 0.8 < sum(size for _, size in entries) < LOG_BYTES * 1.2
    assert [revision for revision, _ in entries] == [*range(entries[0][0], 31)]
    for number in range(1000):
        await one.put("/small", target=f"http://{number}")
    entries = logged(server)
    assert sum(size for _, size in entries) < LOG_BYTES * 1.2
    assert len(entries) > 600, "small ones are more"
    await other.has(*keys, "/small")
    await until(lambda: other.table["/small"] == "http://999")


async def test_a_change_larger_than_the_log_is_kept_alone(
    server: RedisServer, follow: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_log(monkeypatch, 5000)
    one, other = await follow("a").start(), await follow("b").start()
    for number in range(300):
        await one.put("/small", target=f"http://{number}")
    keys = [f"/{number}" for number in range(400)]
    await one.put(*keys)
    entries = logged(server)
    assert entries[-1][0] == 301
    assert entries[-1][1] > 5000
    assert sum(size for _, size in entries[:-1]) < 5000, "what Redis packs together"
    await other.has("/small", *keys)
    for number in range(100):
        await one.put("/small", target=f"http://{number}")
    await until(lambda: other.table["/small"] == "http://99")
    assert sum(size for _, size in logged(server)) < 10000


async def test_a_new_history_counts_anew(
    server: RedisServer, follow: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_log(monkeypatch)
    one = await follow("a").start()
    keys = [f"/{number}" for number in range(100)]
    for number in range(30):
        await one.put(*keys, target=f"http://{number}")
    restart(server, snapshot(server))
    await one.put("/a")
    assert server.ask("HEXISTS hubgate:meta marks").startswith(b":0")
    for number in range(30):
        await one.put(*keys, target=f"http://x{number}")
    entries = logged(server)
    assert LOG_BYTES * 0.8 < sum(size for _, size in entries) < LOG_BYTES * 1.2
    assert all(after == before + 1 for (before, _), (after, _) in pairwise(entries))


async def behind(server: RedisServer, follow: Start) -> tuple[Following, Following]:
    """Return one that knows only of 40 routes, and one that changed more than it remembers.

    It had added /new0 to /new29, changed /old0 and removed /old1 to /old29.
    """
    sleeper, more = await follow("sleeper").start(), await follow("more").start()
    old = [f"/old{number}" for number in range(40)]
    await sleeper.put(*old)
    for each in (sleeper, more):
        await each.has(*old)
    await sleeper.pause()
    data = snapshot(server)
    await more.put("/old0", target="http://late")
    for number in range(1, 30):
        await more.delete(f"/old{number}")
    for number in range(30):
        written = await more.put(f"/new{number}")
    await until(lambda: more.store.point[1] >= written.revision)
    await more.pause()
    restart(server, data)
    sleeper.resume()
    return sleeper, more


LATE = ["/old0", *(f"/old{n}" for n in range(30, 40)), *(f"/new{n}" for n in range(30))]


async def test_more_than_is_remembered_is_handed_in(
    server: RedisServer,
    follow: Start,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("hubgate.store.redis.held.RECENT_ROUTES", 5)
    sleeper, more = await behind(server, follow)
    await sleeper.put("/meanwhile")
    await sleeper.put("/new7", "/old8", target="http://newer")
    await sleeper.delete("/old35")
    more.resume()
    right = {*LATE, "/meanwhile", "/old8"} - {"/old35"}
    for each in (sleeper, more):
        await each.has(*right)
    assert sleeper.table == more.table
    assert more.table["/new7"] == more.table["/old8"] == "http://newer"
    assert more.table["/old0"] == "http://late"
    assert "comparing the tables" in caplog.text
    assert "handed in what it had lost: 58 put or removed" in caplog.text
    assert "may be back" not in caplog.text


async def test_what_another_handed_in_that_we_had_removed_goes(
    server: RedisServer, follow: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubgate.store.redis.held.RECENT_ROUTES", 5)
    sleeper, less, more = [await follow(name).start() for name in ("sleeper", "less", "more")]
    await sleeper.put("/stays")
    await sleeper.pause()
    data = snapshot(server)
    written = await more.put("/a", "/b")
    await until(lambda: less.store.point[1] >= written.revision)
    await less.pause()
    await more.put("/b", target="http://late")
    await more.delete("/a")
    for number in range(10):
        written = await more.put(f"/{number}")
    await until(lambda: more.store.point[1] >= written.revision)
    await more.pause()
    restart(server, data)
    sleeper.resume()
    await sleeper.put("/meanwhile")
    less.resume()
    await less.has("/stays", "/meanwhile", "/a", "/b")
    more.resume()
    for each in (sleeper, less, more):
        await each.has("/stays", "/meanwhile", "/b", *(f"/{number}" for number in range(10)))
    assert sleeper.table["/b"] == "http://late"


async def test_of_older_removals_routes_may_be_back_and_it_says_so(
    server: RedisServer,
    follow: Start,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("hubgate.store.redis.held.RECENT_ROUTES", 5)
    for module in ("keys", "table_write", "handing_in"):
        monkeypatch.setattr(f"hubgate.store.redis.{module}.GONE", 5)
    sleeper, more = await behind(server, follow)
    await sleeper.put("/new7", target="http://newer")
    await sleeper.put("/new8", target="http://newer")
    await sleeper.delete("/new8")
    for number in range(5):
        await sleeper.put(f"/meanwhile{number}")
        await sleeper.delete(f"/meanwhile{number}")
    more.resume()
    for each in (sleeper, more):
        await each.has(*LATE)
    await until(lambda: more.table["/new7"] == "http://newer")  # its value says when it was put
    assert "routes may be back that were removed meanwhile" in caplog.text


async def test_what_is_removed_and_forgotten_does_not_come_back_with_older_data(
    server: RedisServer, follow: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("keys", "table_write", "handing_in"):
        monkeypatch.setattr(f"hubgate.store.redis.{module}.GONE", 5)
    replicas = [await follow(name).start() for name in "abc"]
    await replicas[0].put("/stays", *(f"/{number}" for number in range(30)))
    data = snapshot(server)
    for number in range(30):
        await replicas[number % 3].delete(f"/{number}")
    for each in replicas:
        await each.has("/stays")
    restart(server, data)
    await replicas[0].put("/late")
    for each in replicas:
        await each.has("/stays", "/late")
