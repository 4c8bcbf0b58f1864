"""Large tables: streamed, complete, and never in the way of others."""

import asyncio
import logging
import time
from collections.abc import Iterator

import pytest

from hubgate.control.api import table_json
from hubgate.control.api.dates import format_moment
from hubgate.control.api.table_json import ROUTES_PER_SLICE
from hubgate.control.routes.live_table import LiveRoute
from hubgate.model import Route
from tests.clock import SetClock
from tests.control.serving import TARGET, Answer, ask, serving

LARGE = 40 * ROUTES_PER_SLICE


def fixed(count: int) -> list[Route]:
    return [Route(f"/user/{number}", TARGET) for number in range(count)]


@pytest.mark.parametrize(
    "count",
    [0, 1, ROUTES_PER_SLICE - 1, ROUTES_PER_SLICE, ROUTES_PER_SLICE + 1, 3 * ROUTES_PER_SLICE],
)
async def test_every_route_is_in_the_answer_whatever_the_slices(count: int) -> None:
    async with serving(fixed=fixed(count)) as api:
        answer = await api.ask("GET", "/api/routes")
        assert answer.headers["content-type"] == "application/json"
        assert list(answer.json) == [route.key for route in fixed(count)]
        assert all(row["target"] == TARGET for row in answer.json.values())


async def test_a_small_table_has_a_length_and_a_large_one_streams() -> None:
    async with serving(fixed=fixed(10)) as api:
        answer = await api.ask("GET", "/api/routes")
        assert answer.headers["content-length"] == str(len(answer.body))
    async with serving(fixed=fixed(LARGE)) as api:
        answer = await api.ask("GET", "/api/routes")
        assert answer.headers["transfer-encoding"] == "chunked"


async def test_other_requests_are_answered_while_a_large_table_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table_json, "ROUTES_PER_SLICE", 10)
    order: list[str] = []
    async with serving(fixed=fixed(LARGE)) as api, asyncio.TaskGroup() as tasks:
        shown = api.service.all()

        async def other() -> Answer:
            answer = await api.ask("POST", "/api/routes/new", {"target": TARGET})
            order.append("other")
            return answer

        def slowly() -> Iterator[LiveRoute]:
            for number, live in enumerate(shown):
                if number == 10:
                    tasks.create_task(other())
                yield live
            order.append("table")

        monkeypatch.setattr(api.service, "all", slowly)
        table = await api.ask("GET", "/api/routes")
        assert len(table.json) == LARGE
    assert order == ["other", "table"]


async def test_a_client_that_leaves_half_way_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    async with serving(fixed=fixed(10 * LARGE)) as api, asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port, limit=1024)
        writer.write(b"GET /api/routes HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readexactly(2000)
        writer.transport.abort()
        assert (await api.ask("GET", "/api/routes/user/1")).status == 200
    assert caplog.text == ""


async def test_an_old_client_gets_the_table_without_chunks() -> None:
    async with serving(fixed=fixed(LARGE)) as api, asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(b"GET /api/routes HTTP/1.0\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        assert b"chunked" not in head.lower()
        assert (body[:1], body[-2:]) == (b"{", b"}}")
        assert body.count(b"last_activity") == LARGE
        assert (await ask(api.port, "GET", "/")).status == 200


async def test_what_is_shown_is_what_was_posted_and_when_it_was_active() -> None:
    posted = {"target": TARGET, "user": '\u00e9"\\', "last_activity": "mine", "nested": {"a": [1]}}
    async with serving(fixed=[Route('/user/\u00e9"', TARGET, posted), Route("/b", TARGET)]) as api:
        table = (await api.ask("GET", "/api/routes")).json
        for key, row in table.items():
            live = api.service.get(key)
            assert row == {**live.route.data, "last_activity": format_moment(live.last_activity)}
        assert table['/user/\u00e9"']["nested"] == {"a": [1]}


@pytest.mark.parametrize("active", [0, 1, 3])
async def test_idle_ones_are_found_wherever_they_are_in_a_large_table(
    active: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SetClock(monkeypatch)
    async with serving(fixed=fixed(LARGE)) as api:
        keys = [f"/user/{number}" for number in range(LARGE)]
        ahead = time.time() + 1000
        clock.ahead = 2000.0
        api.service.record({key: ahead for key in keys if int(key[6:]) % 5000 >= active})
        answer = await api.ask("GET", f"/api/routes?inactiveSince={format_moment(ahead - 1)}")
        assert list(answer.json) == [key for key in keys if int(key[6:]) % 5000 < active]
