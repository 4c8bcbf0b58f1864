"""GET /api/watch over a real port: events, where it goes on, and how it ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from hubgate.control.api import watch
from hubgate.model import Route
from hubgate.routing.scope import Scope
from hubgate.settings.values import ApiToken
from tests.control.serving import TARGET, Api, ask, serving

BODY = {"target": TARGET}
PATIENCE = 20.0


@dataclass(frozen=True)
class Event:
    name: str
    id: str
    data: Any


class Watching:
    """A watcher's connection, read by hand."""

    def __init__(self, reader: asyncio.StreamReader, status: int) -> None:
        self.status = status
        self._reader = reader
        self._text = b""

    async def event(self) -> Event | None:
        """Return the next event, None at the end; comments are passed over."""
        fields: dict[str, list[str]] = {}
        while (line := await self.line()) is not None:
            name, _, value = line.partition(":")
            if line:
                fields.setdefault(name, []).append(value.strip())
            elif "data" in fields:
                data = json.loads("\n".join(fields["data"]))
                return Event(fields["event"][0], fields.get("id", [""])[0], data)
            else:
                fields = {}
        return None

    async def line(self) -> str | None:
        """Return the next line of the body."""
        async with asyncio.timeout(PATIENCE):
            while b"\n" not in self._text:
                size = int(await self._reader.readline() or b"0", 16)
                if not size:
                    return None
                self._text += (await self._reader.readexactly(size + 2))[:-2]
        line, _, self._text = self._text.partition(b"\n")
        return line.decode()


@asynccontextmanager
async def watching(
    api: Api, query: str = "", fields: Mapping[str, str] | None = None
) -> AsyncIterator[Watching]:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port, limit=2**20)
    sent = {"Host": f"127.0.0.1:{api.port}", **(fields or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    writer.write(f"GET /api/watch{query} HTTP/1.1\r\n{lines}\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    try:
        yield Watching(reader, int(head.split()[1]))
    finally:
        writer.close()


async def add(api: Api, *keys: str) -> None:
    for key in keys:
        assert (await api.ask("POST", f"/api/routes{key}", BODY)).status == 201


async def test_the_table_comes_first_and_then_each_change() -> None:
    async with serving(fixed=[Route("/f", TARGET, dict(BODY))]) as api:
        await add(api, "/a")
        async with watching(api) as stream:
            first = await stream.event()
            assert first == Event(
                "table", str(api.service.changes.revision), {"/f": BODY, "/a": BODY}
            )
            await add(api, "/b")
            revision = str(api.service.changes.revision)
            change = {"put": {"/b": BODY}, "delete": []}
            assert await stream.event() == Event("change", revision, change)
            patch = json.dumps({"/a": None, "/c": BODY, "/d": BODY}).encode()
            await ask(api.port, "PATCH", "/api/routes", patch)
            revision = str(api.service.changes.revision)
            change = {"put": {"/c": BODY, "/d": BODY}, "delete": ["/a"]}
            assert await stream.event() == Event("change", revision, change)


async def test_activity_is_not_a_change() -> None:
    async with serving() as api:
        await add(api, "/a")
        async with watching(api) as stream:
            await stream.event()
            await add(api, "/a")
            await add(api, "/b")
            event = await stream.event()
            assert event is not None
            assert event.data["put"].keys() == {"/b"}


@pytest.mark.parametrize("way", ["header", "query", "both"])
async def test_who_comes_back_gets_what_was_missed(way: str) -> None:
    async with serving() as api:
        await add(api, "/a")
        seen = str(api.service.changes.revision)
        await add(api, "/b", "/c")
        fields = {} if way == "query" else {"Last-Event-ID": seen}
        query = "" if way == "header" else f"?since={seen if way == 'query' else 'old.1'}"
        async with watching(api, query, fields) as stream:
            events = [await stream.event() for _ in range(2)]
            assert [event and [*event.data["put"]] for event in events] == [["/b"], ["/c"]]
            assert [event and event.id for event in events][-1] == str(api.service.changes.revision)


@pytest.mark.parametrize("since", ["other.1", "x", "1"])
async def test_who_knows_another_table_gets_this_one(since: str) -> None:
    async with serving() as api:
        await add(api, "/a")
        async with watching(api, f"?since={since}") as stream:
            event = await stream.event()
            assert event == Event("reset", str(api.service.changes.revision), {"/a": BODY})


async def test_after_a_large_change_the_table_comes_again() -> None:
    async with serving() as api, watching(api) as stream:
        await stream.event()
        body = json.dumps({f"/{number}": BODY for number in range(1500)}).encode()
        await ask(api.port, "PUT", "/api/routes", body, {"If-Match": "*"})
        event = await stream.event()
        assert event is not None
        assert (event.name, len(event.data)) == ("reset", 1500)
        await add(api, "/a")
        event = await stream.event()
        assert event is not None
        assert (event.name, [*event.data["put"]]) == ("change", ["/a"])


async def test_comments_show_that_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SILENCE", 0.01)
    async with serving() as api, watching(api) as stream:
        await stream.event()
        assert [await stream.line() for _ in range(4)] == [":", "", ":", ""]


async def test_who_is_too_slow_is_told_and_can_come_back() -> None:
    async with serving() as api:
        log = api.service.changes
        log._kept = 2
        async with watching(api) as stream:
            await stream.event()
            seen = log.revision
            for number in range(4):  # all before it has its turn
                log.note([Route(f"/{number}", TARGET, dict(BODY))], [])
            event = await stream.event()
            assert event is not None
            assert (event.name, "too slowly" in event.data["reason"]) == ("end", True)
            assert await stream.event() is None
        async with watching(api, f"?since={seen}") as stream:
            event = await stream.event()
            assert event is not None
            assert event.name == "reset"


async def test_it_ends_when_hubgate_does_and_nobody_may_begin() -> None:
    async with serving() as api:
        async with watching(api) as stream:
            await stream.event()
            api.service.changes.close()
            event = await stream.event()
            assert event is not None
            assert event.name == "end"
            assert await stream.event() is None
        answer = await api.ask("GET", "/api/watch")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")


async def test_there_is_a_limit_which_those_who_left_do_not_count_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "MOST", 1)
    async with serving() as api:
        async with watching(api) as stream:
            await stream.event()
            assert (await api.ask("GET", "/api/watch")).status == 503
        async with asyncio.timeout(PATIENCE):
            while True:
                async with watching(api) as again:
                    if again.status == 200:
                        break


async def test_a_scope_without_changes_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others' changes come faster than a comment would."""
    monkeypatch.setattr(watch, "SILENCE", 0.2)
    scope = Scope("", "/hub-b")
    async with serving() as api:
        api.guard.replace("main", [], [ApiToken("hub", Path("hub.token"), "s3cret", scope)])
        fields = {"Authorization": "token s3cret"}
        async with watching(api, fields=fields) as stream, asyncio.TaskGroup() as group:
            assert await stream.event()

            async def busy() -> None:
                for number in count():
                    await api.service.add(Route(f"/other/{number}", TARGET, {"target": TARGET}))
                    await asyncio.sleep(0.02)

            others = group.create_task(busy())
            lines = [await stream.line() for _ in range(4)]
            others.cancel()
    assert lines == [":", "", ":", ""]


async def test_a_reload_that_gives_the_token_another_scope_is_followed() -> None:
    def token(scope: str) -> list[ApiToken]:
        return [ApiToken("hub", Path("hub.token"), "s3cret", Scope("", scope))]

    async with serving(named=token("/a")) as api:
        for key in ("/a/x", "/b/x"):
            await api.service.add(Route(key, TARGET, dict(BODY)))
        async with watching(api, fields={"Authorization": "token s3cret"}) as stream:
            begun = await stream.event()
            assert begun is not None
            assert begun.data.keys() == {"/a/x"}
            api.guard.replace(None, (), token("/b"))
            await api.service.add(Route("/a/y", TARGET, dict(BODY)))
            reset = await stream.event()
            assert reset is not None
            assert (reset.name, reset.data.keys()) == ("reset", {"/b/x"})


async def test_it_needs_the_token_for_as_long_as_it_lasts() -> None:
    async with serving(token="s3cret") as api:
        assert (await api.ask("GET", "/api/watch")).status == 403
        async with watching(api, fields={"Authorization": "token s3cret"}) as stream:
            await stream.event()
            api.guard.replace("another", (), ())
            api.service.changes.note([Route("/secret", TARGET, dict(BODY))], [])
            event = await stream.event()
            assert event is not None
            assert (event.name, "token" in event.data["reason"]) == ("end", True)


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD"])
async def test_other_methods_are_405(method: str) -> None:
    async with serving() as api:
        assert (await api.ask(method, "/api/watch", {})).status == 405
