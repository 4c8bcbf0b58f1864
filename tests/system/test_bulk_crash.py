"""Killed amid single and bulk changes: what was acknowledged is there, and no change is half done.

HUBGATE_CRASH_ROUNDS sets how many rounds there are: a few by default, 20 before a release.
"""

import contextlib
import http.client
import json
import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.processes import kill
from tests.system.served import Served, serving

ROUNDS = int(os.environ.get("HUBGATE_CRASH_ROUNDS", "3"))
CLIENTS = 8
AT_ONCE = 500
STORE = ("--store", "sqlite:routes.db", "--log-level", "error", "--workers", "2")
TARGET = "http://127.0.0.1:9"

Numbers = dict[str, int]
"""What one client has written: a number by key. Nobody else writes these keys."""


class Writer:
    """One client, with keys of its own: what it was told is there, and what may be there."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.known: Numbers = {}
        self.doubtful: Numbers | None = None  # the table if the unanswered change was made
        self.answers = 0
        self._chance = random.Random(name)
        self._number = 0

    def churn(self, served: Served) -> None:
        """Change routes until the proxy is gone."""
        connection = http.client.HTTPConnection("127.0.0.1", served.api_port, timeout=30)
        with contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                self.doubtful, send = self._next()
                send(connection, {"Authorization": f"Bearer {served.token}"})
                self.known, self.doubtful = self.doubtful, None
                self.answers += 1
        connection.close()

    def check(self, found: Numbers) -> None:
        """Fail unless the table is what the client was told, or that with its unanswered change."""
        mine = {key: number for key, number in found.items() if key.startswith(f"/{self.name}/")}
        if mine != self.known:
            assert mine == self.doubtful, _differences(mine, self.known, self.doubtful)
        self.known, self.doubtful = mine, None

    def _next(self) -> tuple[Numbers, Callable[[http.client.HTTPConnection, dict[str, str]], None]]:
        self._number += 1
        after = dict(self.known)
        dice = self._chance.random()
        if dice < 0.3:
            key = self._key()
            after[key] = self._number
            return after, _sender("POST", key, _data(self._number), 201)
        if dice < 0.5 and after:
            key = self._chance.choice([*after])
            del after[key]
            return after, _sender("DELETE", key, None, 204)
        patch: dict[str, object] = {}
        for _ in range(AT_ONCE):
            key = self._key()
            if key in after and self._chance.random() < 0.3:
                del after[key]
                patch[key] = None
            elif patch.get(key, 1) is not None:
                after[key] = self._number
                patch[key] = _data(self._number)
        return after, _sender("PATCH", "", patch, 200)

    def _key(self) -> str:
        return f"/{self.name}/{self._chance.randrange(1500)}"


class Replacer(Writer):
    """Replaces the whole table, its own part of it, as it was when it looked."""

    def _next(self) -> tuple[Numbers, Callable[[http.client.HTTPConnection, dict[str, str]], None]]:
        self._number += 1
        after = {self._key(): self._number for _ in range(AT_ONCE)}

        def send(connection: http.client.HTTPConnection, fields: dict[str, str]) -> None:
            while True:
                connection.request("GET", "/api/routes", headers=fields)
                response = connection.getresponse()
                table, tag = json.loads(response.read()), str(response.headers["ETag"])
                mine = f"/{self.name}/"
                others = {key: data for key, data in table.items() if not key.startswith(mine)}
                wanted = {**others, **{key: _data(number) for key, number in after.items()}}
                body = json.dumps(wanted)
                connection.request("PUT", "/api/routes", body, {**fields, "If-Match": tag})
                response = connection.getresponse()
                response.read()
                if response.status != 412:
                    assert response.status == 200
                    return

        return after, send


def _sender(
    method: str, key: str, content: object, expected: int
) -> Callable[[http.client.HTTPConnection, dict[str, str]], None]:
    def send(connection: http.client.HTTPConnection, fields: dict[str, str]) -> None:
        body = None if content is None else json.dumps(content)
        connection.request(method, f"/api/routes{key}", body, fields)
        response = connection.getresponse()
        response.read()
        assert response.status == expected

    return send


def _data(number: int) -> dict[str, object]:
    return {"target": TARGET, "number": number}


def _differences(mine: Numbers, known: Numbers, doubtful: Numbers | None) -> str:
    def count(other: Numbers | None) -> int:
        return len(set(mine.items()) ^ set((other or {}).items()))

    return f"{count(known)} differ from what was answered, {count(doubtful)} from the one after it"


def table(served: Served) -> Numbers:
    """Return the number of every route."""
    connection = http.client.HTTPConnection("127.0.0.1", served.api_port, timeout=60)
    with contextlib.closing(connection):
        connection.request(
            "GET", "/api/routes", headers={"Authorization": f"Bearer {served.token}"}
        )
        routes = json.loads(connection.getresponse().read())
        return {key: data["number"] for key, data in routes.items()}


@pytest.mark.timeout(120 + 60 * ROUNDS)
def test_no_acknowledged_change_is_lost_and_none_is_half_done(tmp_path: Path) -> None:
    # Few replace the whole table: each makes the others' look at it vain.
    writers = [
        *(Writer(f"w{number}") for number in range(CLIENTS - 2)),
        Replacer("r0"),
        Replacer("r1"),
    ]
    unanswered = 0
    for _ in range(ROUNDS):
        with serving(tmp_path, *STORE) as served:
            found = table(served)
            for writer in writers:
                writer.check(found)
            with ThreadPoolExecutor(CLIENTS) as pool:
                churning = [pool.submit(writer.churn, served) for writer in writers]
                before = sum(writer.answers for writer in writers)
                deadline = time.monotonic() + 30
                while sum(writer.answers for writer in writers) < before + CLIENTS:
                    assert time.monotonic() < deadline
                    threading.Event().wait(0.05)
                threading.Event().wait(random.uniform(0, 1.0))
                if random.random() < 0.5:  # a worker first: changes go on without it
                    kill(served.workers[:1])
                    threading.Event().wait(random.uniform(0, 0.3))
                served.process.kill()
                for each in churning:
                    each.result()
            unanswered += sum(writer.doubtful is not None for writer in writers)
    with serving(tmp_path, *STORE) as served:
        found = table(served)
        for writer in writers:
            writer.check(found)
    assert unanswered  # or it was not killed amid anything
