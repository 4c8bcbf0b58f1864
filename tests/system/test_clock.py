"""A clock that is a day ahead for a moment: activity of then does not last until that day.

The time of day is that of the processes under test alone, read from a file by what Python imports
when it starts.
"""

import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.clock import ProcessClock
from tests.contract.polling import eventually
from tests.contract.target import Target
from tests.system.served import Served, serving

pytestmark = pytest.mark.processes

DAY = 86400.0


@pytest.fixture
def clock(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> ProcessClock:
    clock = ProcessClock(tmp_path_factory.mktemp("clock"))
    for name, value in clock.environment.items():
        monkeypatch.setenv(name, value)
    return clock


def get(port: int, path: str, token: str = "") -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Authorization": f"token {token}"} if token else {})
    response = connection.getresponse()
    assert response.status == 200
    body = response.read()
    connection.close()
    return body


def table(served: Served, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(get(served.api_port, f"/api/routes{query}", served.token))
    return found


def activity(served: Served) -> float:
    moment = table(served)["/a"]["last_activity"]
    return datetime.fromisoformat(moment).timestamp()


def inactive_since(served: Served, moment: float) -> set[str]:
    date = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return set(table(served, f"?inactive_since={urllib.parse.quote(date)}"))


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target()
    yield target
    target.stop()


@pytest.mark.parametrize("restarted", [False, True])
def test_activity_in_the_future_does_not_stick(
    tmp_path: Path, clock: ProcessClock, target: Target, restarted: bool
) -> None:
    flags = ("--store", f"sqlite:{tmp_path}/routes.db")
    with serving(tmp_path, *flags) as served:
        served.add("/a", target.url)
        clock.put(DAY)
        get(served.port, "/a")
        assert activity(served) > time.time() + DAY / 2
        if not restarted:
            clock.put(0.0)
            check_that_it_is_idle(served)
            begun = time.time()
            get(served.port, "/a")
            assert begun <= activity(served) + 0.001 <= time.time() + 0.002
    if restarted:
        clock.put(0.0)
        with serving(tmp_path, *flags) as served:
            check_that_it_is_idle(served)
            first = activity(served)
        # The store has been corrected as well: a route is not active because of a restart.
        with serving(tmp_path, *flags) as served:
            assert activity(served) == first


def check_that_it_is_idle(served: Served) -> None:
    shown = activity(served)
    assert shown <= time.time() + 0.001
    assert eventually(lambda: time.time() > shown + 0.1)
    assert activity(served) == shown
    assert inactive_since(served, shown + 0.05) == {"/a"}
