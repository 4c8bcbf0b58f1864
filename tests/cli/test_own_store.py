"""Where `proxyctl serve` keeps routes if nobody names a store, and what it says of them."""

import json
import os
import re
import signal
import sqlite3
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import DROP_IN, PROXYCTL, TOKEN, Proxy, run, running
from tests.contract.ports import free_port
from tests.store.holder import as_ordinary_user, held

pytestmark = pytest.mark.processes

NOBODY_HOME = "http://127.0.0.1:9"
FILE = """
routes:
  /fixed: http://127.0.0.1:1
  /both: http://127.0.0.1:9
"""


class Home:
    """A user's state folder, and a hubgate with one API address under it, again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.port = free_port()
        self.env = {**TOKEN, "XDG_STATE_HOME": str(self.state)}
        self.flags = ("--port", "0", "--api-port", str(self.port))

    @property
    def file(self) -> Path:
        return self.state / "hubgate" / f"api-{self.port}.routes.db"

    @contextmanager
    def serving(self, *flags: str, wrapper: tuple[str, ...] = ()) -> Iterator[Proxy]:
        with running(
            self.folder, (*wrapper, *PROXYCTL), "serve", *self.flags, *flags, env=self.env
        ) as proxy:
            proxy.wait_for("Proxy API at ")
            yield proxy

    def call(self, method: str, path: str, data: Mapping[str, object] | None = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/routes{path}",
            None if data is None else json.dumps(data).encode(),
            {"Authorization": "token s3cret"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def add(self, path: str, **data: object) -> None:
        self.call("POST", path, {"target": NOBODY_HOME, **data})

    @property
    def routes(self) -> set[str]:
        return set(self.call("GET", ""))

    def check(self, *flags: str) -> str:
        done = run(PROXYCTL, "check", *self.flags, *flags, cwd=self.folder, env=self.env)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_route_added_by_hand_is_there_whatever_ends_hubgate(home: Home) -> None:
    with home.serving() as proxy:
        assert f"0 routes from {home.file}" in proxy.wait_for("(0 routes from .*)")
        home.add("/lab")
        proxy.stop(signal.SIGTERM)
    with home.serving() as proxy:
        proxy.wait_for(re.escape(f"1 route from {home.file}"))
        assert home.routes == {"/lab"}
        home.add("/more")
        proxy.stop(signal.SIGKILL)
    with home.serving():
        assert home.routes == {"/lab", "/more"}
        home.call("DELETE", "/lab")
    with home.serving():
        assert home.routes == {"/more"}


def test_a_hubs_routes_are_left_out_after_a_while(home: Home) -> None:
    with home.serving():
        home.add("/lab")
        home.add("/user/a", user="a", jupyterhub=True)
        home.add("/user/b", user="b", jupyterhub=True)
    with home.serving():
        assert home.routes == {"/lab", "/user/a", "/user/b"}
    with closing(sqlite3.connect(home.file)) as connection, connection:
        connection.execute("UPDATE seen SET moment = ?", (time.time() - 1500,))
    with home.serving() as proxy:
        proxy.wait_for("left out 2 routes of a hub, unseen for 25 minutes: it adds its own again")
        assert home.routes == {"/lab"}


def test_the_start_says_how_many_routes_came_from_where(home: Home) -> None:
    (home.folder / "routes.yaml").write_text(FILE)
    with home.serving():
        home.add("/lab")
        home.add("/both")
    line = f"2 routes from {home.folder}/routes.yaml, 2 from {home.file}"
    with home.serving() as proxy:
        proxy.wait_for(re.escape(f"{line} (1 of them also in {home.folder}/routes.yaml)"))
        assert home.routes == {"/fixed", "/both", "/lab"}
    with home.serving("--store", "memory:") as proxy:
        proxy.wait_for("2 routes from .*routes.yaml, routes of the API are kept in memory")
        assert home.routes == {"/fixed", "/both"}


def test_memory_is_memory_when_said(home: Home) -> None:
    with home.serving("--store", "memory:"):
        home.add("/lab")
    with home.serving("--store", "memory:"):
        assert home.routes == set()
    assert not home.file.exists()
    assert "store    memory:\n" in home.check("--store", "memory:")


def test_check_says_which_file_and_makes_none(home: Home) -> None:
    assert f"store    sqlite:{home.file}, as nobody named another\n" in home.check()
    assert not home.state.exists()
    with home.serving() as proxy:
        assert "is in use by another process" in home.check()
        proxy.stop()
    assert "warning" not in home.check()


def test_two_at_one_port_number_share_no_file(home: Home) -> None:
    with home.serving():
        home.add("/lab")
        with running(
            home.folder,
            PROXYCTL,
            *("serve", *home.flags, "--api-host", "127.0.0.2"),
            env=home.env,
        ) as other:
            other.wait_for("Proxy API at ")
            other.wait_for("warning: store: .* is in use by another process, .* kept in memory")
            other.wait_for("routes of the API are kept in memory")
            assert other.stop() == 0
        assert home.routes == {"/lab"}


@pytest.mark.skipif(sys.platform != "linux", reason="takes root's rights away")
def test_a_folder_that_cannot_be_written_is_a_warning(home: Home) -> None:
    home.state.mkdir(mode=0o500)
    wrapper = tuple(as_ordinary_user())
    done = run((*wrapper, *PROXYCTL), "check", *home.flags, cwd=home.folder, env=home.env)
    assert done.returncode == 0
    assert "\nstore    memory:\n" in done.stdout
    (line,) = done.stderr.splitlines()
    assert "Permission denied; routes are kept in memory, and lost when hubgate ends" in line
    with home.serving(wrapper=wrapper) as proxy:
        assert line.removeprefix("warning: ") in proxy.log
        home.add("/lab")
        assert home.routes == {"/lab"}


def test_a_file_that_another_holds_is_left_alone(home: Home) -> None:
    with home.serving():
        home.add("/lab")
    with held(home.file), home.serving() as proxy:
        done = run(PROXYCTL, "check", *home.flags, cwd=home.folder, env=home.env)
        (line,) = done.stderr.splitlines()
        assert "\nstore    memory:\n" in done.stdout
        assert proxy.wait_for(re.escape(line.removeprefix("warning: ")))
        proxy.wait_for("waiting for another process to release")
        proxy.wait_for("is in use by another process")
        assert home.routes == set()
        home.add("/other")
    with home.serving():
        assert home.routes == {"/lab"}


def test_without_a_home_it_is_memory_and_a_warning(home: Home, tmp_path: Path) -> None:
    home.env.pop("XDG_STATE_HOME")
    code = "import pwd; pwd.getpwuid = lambda _: exec('raise KeyError')"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(code)
    home.env |= {"HOME": "", "XDG_STATE_HOME": "", "PYTHONPATH": str(tmp_path / "site")}
    warning = "HOME: this user has no home folder for a file of routes; they are kept in memory"
    said = home.check()
    assert f"warning: {warning}" in said
    assert "store    memory:\n" in said
    assert "HOME" not in home.check("--store", "memory:")
    with home.serving() as proxy:
        assert warning in proxy.log
        home.add("/lab")
        assert home.routes == {"/lab"}


def test_a_port_that_the_kernel_chooses_has_no_file(home: Home) -> None:
    """No later start could know whose routes they are."""
    home.flags = ("--port", "0", "--api-port", "0")
    with running(home.folder, PROXYCTL, "serve", *home.flags, env=home.env) as proxy:
        proxy.wait_for("info: routes of the API are kept in memory")
    assert not list(home.state.rglob("*.routes.db"))
    assert "store    memory:\n" in home.check()


def test_the_drop_in_has_none(home: Home) -> None:
    env = {"CONFIGPROXY_AUTH_TOKEN": "s3cret", "XDG_STATE_HOME": str(home.state)}
    with running(home.folder, DROP_IN, *home.flags, env=env) as proxy:
        proxy.wait_for("Proxy API at ")
        home.add("/lab")
        assert proxy.stop() == 0
    assert not list(home.state.rglob("*.db"))
    assert os.listdir(home.state / "hubgate") == ["running"]
