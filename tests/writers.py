"""Clients that change routes, each with keys of its own, and know what must be there afterwards."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from hubgate.tasks import spawn
from tests.cluster import Replica, Reply

Numbers = dict[str, int]
"""What a client has written: a number by key. Nobody else writes these keys."""

TARGET = "http://127.0.0.1:9"

AT_ONCE = 500
"""Routes of a large change."""

Next = tuple[Numbers, str, str, object]
"""The table after a change, and the change: method, path and data."""


class Writer:
    """One client: what it was told is there, and what may be there if it was not answered."""

    token: str | None = None

    def __init__(self, name: str, keys: int = 100) -> None:
        self.name = name
        self.known: Numbers = {}
        self.doubtful: Numbers | None = None  # the table if the unanswered change was made
        self.answers = 0
        self._keys = keys
        self._chance = random.Random(name)
        self._number = 0

    async def churn(self, replica: Replica, ended: asyncio.Event, *, stubborn: bool) -> None:
        """Change routes until `ended`, or the replica is gone; a `stubborn` one tries again."""
        while not ended.is_set():
            after, method, path, data = self._next()
            while not await self._change(replica, after, (method, path, data)):
                if not stubborn:
                    return
                await asyncio.sleep(0.1)

    async def _change(
        self, replica: Replica, after: Numbers, change: tuple[str, str, object]
    ) -> bool:
        """Make a change; return whether it was answered, and not by a 503."""
        method, path, data = change
        again, self.doubtful = self.doubtful is not None, after
        try:
            reply = await replica.ask(method, path, data, self.token)
        except (OSError, EOFError):
            return False
        if reply.status == 503:
            return False
        assert reply.status < 300 or (again and reply.status == 404), (change, reply)
        self.known, self.doubtful = after, None
        self.answers += 1
        return True

    def fits(self, found: Mapping[str, int]) -> bool:
        """Return whether it is what the client was told, or that with its unanswered change."""
        return self._mine(found) in (self.known, self.doubtful)

    def check(self, found: Mapping[str, int]) -> None:
        """Fail unless the table fits; go on with what is there."""
        mine = self._mine(found)
        assert self.fits(found), _differences(mine, self.known, self.doubtful)
        self.known, self.doubtful = mine, None

    def _mine(self, found: Mapping[str, int]) -> Numbers:
        return {key: number for key, number in found.items() if key.startswith(f"/{self.name}/")}

    def _next(self) -> Next:
        self._number += 1
        after = dict(self.known)
        if after and self._chance.random() < 0.4:
            key = self._chance.choice([*after])
            del after[key]
            return after, "DELETE", f"/api/routes{key}", None
        key = self._key()
        after[key] = self._number
        return after, "POST", f"/api/routes{key}", self._data()

    def _key(self) -> str:
        return f"/{self.name}/{self._chance.randrange(self._keys)}"

    def _data(self) -> dict[str, object]:
        return {"target": TARGET, "number": self._number}


class Patcher(Writer):
    """One that adds and removes some 500 routes at a time, and single ones in between."""

    def __init__(self, name: str) -> None:
        super().__init__(name, 3 * AT_ONCE)

    def _next(self) -> Next:
        if self._chance.random() < 0.3:
            return super()._next()
        self._number += 1
        after, patch = dict(self.known), {}
        for key in {self._key() for _ in range(AT_ONCE)}:
            if key in after and self._chance.random() < 0.3:
                del after[key]
                patch[key] = None
            else:
                after[key] = self._number
                patch[key] = self._data()
        return after, "PATCH", "/api/routes", patch


class Replacer(Writer):
    """One with a token for its own keys, which replaces all of them, some 500, at a time."""

    def __init__(self, name: str) -> None:
        super().__init__(name, 3 * AT_ONCE)
        self.token = f"{name}-secret-of-thirty-two-letters-x"

    def give_token(self, replica: Replica) -> dict[str, str]:
        """Write the token to a file of the replica; return its entry in the settings."""
        replica.folder.mkdir(exist_ok=True)
        file = replica.folder / f"{self.name}.token"
        file.write_text(self.token or "")
        file.chmod(0o600)
        return {"name": self.name, "file": file.name, "scope": f"/{self.name}/"}

    def _next(self) -> Next:
        self._number += 1
        after = {self._key(): self._number for _ in range(AT_ONCE)}
        return after, "PUT", "/api/routes", {key: self._data() for key in after}


def crowd(clients: int) -> list[Writer]:
    """Return clients of every kind, with keys of their own."""
    singles = [Writer(f"w{number}") for number in range(clients - 4)]
    return [*singles, Patcher("p0"), Patcher("p1"), Replacer("r0"), Replacer("r1")]


def admit(replica: Replica, writers: Iterable[Writer]) -> None:
    """Give a replica that has not been started yet the tokens that they need."""
    tokens = [each.give_token(replica) for each in writers if isinstance(each, Replacer)]
    replica.settings = {**replica.settings, "api": {"tokens": tokens}}


def _differences(mine: Numbers, known: Numbers, doubtful: Numbers | None) -> str:
    differing = {
        key: (mine.get(key), known.get(key), (doubtful or {}).get(key))
        for key, _ in set(mine.items()) ^ set(known.items())
    }
    return f"found, acknowledged, or unanswered: {differing}"


def numbers(reply: Reply) -> Numbers:
    """Return the number of every route of the API's table that has one."""
    assert reply.status == 200, reply
    table = json.loads(reply.body)
    return {key: data["number"] for key, data in table.items() if "number" in data}


@asynccontextmanager
async def writing(replicas: Iterable[Replica], each: int = 2) -> AsyncIterator[list[Writer]]:
    """Have so many clients of each replica change routes until all they wanted is acknowledged."""
    ended = asyncio.Event()
    writers, tasks = [], []
    for replica in replicas:
        for number in range(each):
            writers.append(Writer(f"{replica.name}{number}"))
            churning = writers[-1].churn(replica, ended, stubborn=True)
            tasks.append(spawn(churning, writers[-1].name))
    try:
        yield writers
    finally:
        ended.set()
        async with asyncio.timeout(60):
            await asyncio.gather(*tasks)


async def more(writers: Sequence[Writer], count: int = 5) -> None:
    """Wait until each client has had so many more answers."""
    goals = [writer.answers + count for writer in writers]
    async with asyncio.timeout(60):
        while any(  # noqa: ASYNC110
            writer.answers < goal for writer, goal in zip(writers, goals, strict=True)
        ):
            await asyncio.sleep(0.02)


async def all_there(writers: Sequence[Writer], replicas: Iterable[Replica]) -> None:
    """Fail unless each replica has, within five seconds, exactly what the clients were told."""
    wanted: Numbers = {}
    for writer in writers:
        assert writer.doubtful is None
        wanted |= writer.known
    for replica in replicas:
        found: Numbers = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                while found != wanted:
                    found = numbers(await replica.ask("GET", "/api/routes"))
                    await asyncio.sleep(0.1)
        assert found == wanted, (replica.name, _differences(found, wanted, None))
