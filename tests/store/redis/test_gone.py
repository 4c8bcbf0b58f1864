"""Removals that Redis does not know: they are handed in beside the changes, and hold for all."""

import secrets
import time
from collections.abc import Collection, Mapping
from typing import Any

import pytest
import redis as client

from hubgate.store.redis import handing_in
from hubgate.store.redis.handing_in import HandingIn
from hubgate.store.redis.held import Held
from hubgate.store.redis.keys import gone_name
from tests.control.waiting import until
from tests.redis_server import RedisServer
from tests.store.redis.conftest import Start
from tests.store.redis.following import (
    AHEAD,
    PATIENCE,
    Following,
    fell_back,
    restart,
    snapshot,
    versions,
)

pytestmark = pytest.mark.processes


@pytest.fixture(autouse=True)
def remembers_few_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubgate.store.redis.held.RECENT_ROUTES", 3)


def held_by(each: Following) -> Held:
    return each.store._held


NINE = [f"/{number}" for number in range(9)]


async def test_removals_that_are_handed_in_are_known_to_all(
    server: RedisServer, follow: Start
) -> None:
    sleeper, (more,) = await fell_back(server, follow, (NINE, []))
    # Redis has never had this one.
    held_by(more).table.gone[gone_name("/never")] = AHEAD
    more.resume()
    await until(lambda: gone_name("/never") in held_by(sleeper).table.gone)
    await sleeper.put("/never")
    assert versions(server)["/never"] > AHEAD


async def test_many_are_handed_in_in_parts(
    server: RedisServer, follow: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handing_in, "_PART", 5)
    sleeper, (more,) = await fell_back(server, follow, (NINE, []))
    names = [secrets.token_hex(10) for _ in range(23)]
    held_by(more).table.gone |= {name: AHEAD + at for at, name in enumerate(names)}
    write, sizes = HandingIn._write, []

    async def counting(self: HandingIn, held: Held, meta: Any, changes: Any, gone: Any) -> Any:
        sizes.append((len(changes), len(gone)))
        return await write(self, held, meta, changes, gone)

    monkeypatch.setattr(HandingIn, "_write", counting)
    more.resume()
    for each in (sleeper, more):
        await each.has("/stays", "/meanwhile", *NINE)
        await until(lambda each=each: held_by(each).table.gone.keys() >= {*names})
    assert sizes == [(5, 5), (4, 5), (0, 5), (0, 5), (0, 3)]


async def test_one_that_another_hands_in_meanwhile_goes(
    server: RedisServer, follow: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper, (less, more) = await fell_back(server, follow, (["/a"], []), ([], ["/a"]))
    held_by(more).recent.begin(more.store.point[1])  # it knows the table, and no changes
    unknown = HandingIn._unknown

    async def slow(
        self: HandingIn, gone: Mapping[str, int], told: Collection[str]
    ) -> dict[str, int]:
        found = await unknown(self, gone, told)
        assert gone_name("/a") in found
        less.resume()
        await less.has("/stays", "/meanwhile", "/a")
        return found

    monkeypatch.setattr(HandingIn, "_unknown", slow)
    more.resume()
    await until(lambda: "/meanwhile" in more.table and not more.store.write_obstacle, PATIENCE)
    await less.put("/last")
    for each in (sleeper, less, more):
        await each.has("/stays", "/meanwhile", "/last")
    with client.Redis(port=server.port) as redis:
        assert redis.zscore("hubgate:gone", gone_name("/a")) is not None


async def test_what_was_taken_from_another_table_is_not_taken_for_removed(
    server: RedisServer, follow: Start
) -> None:
    one, more = await follow("a").start(), await follow("more").start()
    await one.put("/base")
    await more.has("/base")
    data = snapshot(server)
    for number in range(3):  # each a history: theirs are later ones than what begins with that data
        restart(server, snapshot(server))
        await one.put("/one", target=f"http://{number}")
    await more.has("/base", "/one")
    await until(lambda: more.store.point == one.store.point)
    await one.pause()
    with client.Redis(port=server.port) as redis:
        redis.hset("hubgate:meta", "version", AHEAD)
    for number in range(5):  # more than it remembers, and later than what comes
        written = await more.put(f"/{number}")
    await until(lambda: more.store.point[1] >= written.revision)
    await more.pause()
    restart(server, data)
    other = await follow("other").start()
    await other.put("/other")
    other.store.note_activity({"/base": time.time()})
    await other.store._activity.write()
    active = other.store._held.activity["/base"]
    await other.close()
    restart(server, snapshot(server))
    one.resume()  # it knows more than Redis has, and gets what is new to it
    await one.has("/base", "/one", "/other")
    with client.Redis(port=server.port) as redis:
        assert abs(float(redis.hget("hubgate:activity", "/base")) - active) < 0.1
    more.resume()
    for each in (one, more):
        await each.has("/base", "/one", "/other", *(f"/{number}" for number in range(5)))
