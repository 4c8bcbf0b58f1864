"""`proxyctl serve --store sqlite:…`: what was acknowledged outlives the process."""

import contextlib
import http.client
import json
import random
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.contract.polling import eventually
from tests.contract.ports import free_ports
from tests.contract.target import Target
from tests.environment import clean_environment
from tests.system.served import PROXYCTL, Served, serving

FILE = "state/routes.db"
STORE = ("--store", f"sqlite:{FILE}", "--log-level", "warn")
NOBODY_HOME = "http://127.0.0.1:9"
CLIENTS = 8


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target()
    yield target
    target.stop()


def table(served: Served) -> dict[str, dict[str, Any]]:
    """Return the route table as the API shows it."""
    connection = http.client.HTTPConnection("127.0.0.1", served.api_port, timeout=30)
    with contextlib.closing(connection):
        headers = {"Authorization": f"Bearer {served.token}"}
        connection.request("GET", "/api/routes", headers=headers)
        shown: dict[str, dict[str, Any]] = json.loads(connection.getresponse().read())
        return shown


def public(served: Served, path: str) -> int:
    """Return the status that the public port answers."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().status


class Client:
    """Changes routes over one kept connection, as the hub does."""

    def __init__(self, served: Served) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", served.api_port, timeout=30)
        self._headers = {"Authorization": f"Bearer {served.token}"}

    def put(self, key: str, **data: object) -> int:
        return self._call("POST", key, json.dumps({"target": NOBODY_HOME, **data}))

    def delete(self, key: str) -> int:
        return self._call("DELETE", key, None)

    def close(self) -> None:
        self._connection.close()

    def _call(self, method: str, key: str, body: str | None) -> int:
        self._connection.request(method, f"/api/routes{key}", body, self._headers)
        response = self._connection.getresponse()
        response.read()
        return response.status


@dataclass
class Ledger:
    """What one client was told: its routes that must be there, and what nobody can know."""

    present: dict[str, int] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    doubtful: str | None = None


def churn(served: Served, name: str, ledger: Ledger, busy: Callable[[], object]) -> None:
    """Add, replace and remove routes until the proxy is gone, noting what was acknowledged."""
    client = Client(served)
    chance = random.Random(name)
    with contextlib.suppress(OSError, http.client.HTTPException):
        for number in range(1_000_000):
            key = f"/user/{name}-{chance.randrange(40)}"
            ledger.doubtful = key
            if key in ledger.present and chance.random() < 0.4:
                assert client.delete(key) == 204
                del ledger.present[key]
                ledger.absent.add(key)
            else:
                assert client.put(key, number=number) == 201
                ledger.present[key] = number
                ledger.absent.discard(key)
            ledger.doubtful = None
            busy()
    client.close()


@pytest.mark.timeout(300)
def test_killed_between_posts_it_has_all_it_acknowledged(tmp_path: Path) -> None:
    ledgers = [Ledger() for _ in range(CLIENTS)]
    for kill in range(3):
        with serving(tmp_path, *STORE, "--workers", "2") as served:
            changes = threading.Semaphore(0)
            with ThreadPoolExecutor(CLIENTS) as pool:
                churning = [
                    pool.submit(churn, served, f"{kill}-{number}", ledger, changes.release)
                    for number, ledger in enumerate(ledgers)
                ]
                for _ in range(150 + random.randrange(50)):
                    assert changes.acquire(timeout=60)
                served.process.kill()
                for each in churning:
                    each.result()
        with serving(tmp_path, *STORE) as served:
            found = table(served)
            for ledger in ledgers:
                check(ledger, found)
                settle(ledger, found)
            gone = [key for ledger in ledgers for key in ledger.absent]
            assert gone
            assert {served.call("GET", f"/api/routes{key}") for key in gone} == {404}


def check(ledger: Ledger, found: dict[str, dict[str, Any]]) -> None:
    """Fail unless the table is what the client was told, its last unanswered change apart."""
    for key, number in ledger.present.items():
        if key != ledger.doubtful:
            assert found[key]["number"] == number
    assert not (ledger.absent - {ledger.doubtful}) & found.keys()


def settle(ledger: Ledger, found: dict[str, dict[str, Any]]) -> None:
    """Take for granted what became of the unanswered change."""
    key, ledger.doubtful = ledger.doubtful, None
    if key is None:
        return
    ledger.present.pop(key, None)
    ledger.absent.discard(key)
    if key in found:
        ledger.present[key] = found[key]["number"]
    else:
        ledger.absent.add(key)


@pytest.mark.timeout(300)
def test_a_thousand_routes_added_at_once_are_served_after_a_restart(
    tmp_path: Path, target: Target
) -> None:
    keys = [f"/user/{number}" for number in range(1000)]
    with serving(tmp_path, *STORE) as served:

        def add(share: int) -> set[int]:
            with contextlib.closing(Client(served)) as client:
                mine = keys[share::CLIENTS]
                return {client.put(key, target=target.url, user=key[6:]) for key in mine}

        with ThreadPoolExecutor(CLIENTS) as pool:
            assert list(pool.map(add, range(CLIENTS))) == [{201}] * CLIENTS
        before = table(served)
    with serving(tmp_path, *STORE) as served:
        after = table(served)
        assert public(served, "/user/999/tree") == 200
    assert set(after) == set(keys)
    assert [without_activity(after[key]) for key in keys] == [
        without_activity(before[key]) for key in keys
    ]


def without_activity(shown: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in shown.items() if key != "last_activity"}


def test_a_restart_is_no_activity_and_use_before_it_is(tmp_path: Path, target: Target) -> None:
    with serving(tmp_path, *STORE) as served:
        served.add("/idle", target.url)
        served.add("/used", target.url)
        added = table(served)
        assert public(served, "/used") == 200
        assert eventually(
            lambda: table(served)["/used"]["last_activity"] > added["/used"]["last_activity"]
        )
        used = table(served)
    with serving(tmp_path, *STORE) as served:
        after = table(served)
    assert after["/used"] == used["/used"]
    assert after["/idle"] == added["/idle"]


def test_a_second_hubgate_on_the_file_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with serving(tmp_path, *STORE) as served:
        served.add("/a", NOBODY_HOME)
        second = serve_in_vain(tmp_path, f"sqlite:{FILE}")
        assert second.returncode == 1
        waiting, line = second.stderr.splitlines()
        assert "waiting for another process to release" in waiting
        assert line.startswith(f"proxyctl: store: {tmp_path / FILE} is in use by another process")
        served.add("/b", NOBODY_HOME)
    with serving(tmp_path, *STORE) as served:
        assert set(table(served)) == {"/a", "/b"}


def test_a_file_of_something_else_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text("routes: {}\n")
    ended = serve_in_vain(tmp_path, "sqlite:routes.yaml")
    assert ended.returncode == 1
    line = f"proxyctl: --store: {tmp_path / 'routes.yaml'} is in use as the file of settings;"
    assert ended.stderr.startswith(line)


def test_text_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("remember the milk\n")
    ended = serve_in_vain(tmp_path, "sqlite:notes")
    assert ended.returncode == 1
    assert ended.stderr == (
        f"proxyctl: --store: {tmp_path / 'notes'} is not an SQLite database, or is badly"
        " damaged; name another file or move it away\n"
    )


def serve_in_vain(folder: Path, store: str) -> subprocess.CompletedProcess[str]:
    """Run `proxyctl serve` on a store it cannot have, to its end."""
    port, api_port = free_ports()
    return subprocess.run(
        [PROXYCTL, "serve", "--port", str(port), "--api-port", str(api_port), "--store", store],
        cwd=folder,
        env=clean_environment({"HUBGATE_TOKEN": "secret"}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are Linux's")
def test_what_the_disk_refuses_is_503_and_reaches_nobody(tmp_path: Path) -> None:
    with serving(tmp_path, *STORE) as served:
        served.add("/kept", NOBODY_HOME)
        for _ in range(20):  # the log must not be what reaches the limit
            served.add("/kept", NOBODY_HOME)
        size = (tmp_path / f"{FILE}-wal").stat().st_size
        unlimited = resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (size, -1))
        body: dict[str, object] = {"target": NOBODY_HOME, "new": True}
        for method, path in (("POST", "/new"), ("POST", "/kept"), ("DELETE", "/kept")):
            assert served.call(method, f"/api/routes{path}", body) == 503
        assert set(table(served)) == {"/kept"}
        assert "new" not in table(served)["/kept"]
        assert [public(served, path) for path in ("/new", "/kept")] == [404, 503]
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, unlimited)
        served.add("/later", NOBODY_HOME)
    with serving(tmp_path, *STORE) as served:
        assert set(table(served)) == {"/kept", "/later"}
