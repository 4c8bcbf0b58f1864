"""`proxyctl check` and `proxyctl serve` agree: one table, the same verdicts, the same words."""

import os
import re
import socket
import sqlite3
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from hubgate.store.sqlite_file import APPLICATION_ID
from tests.certificates.made import make_dated, make_files
from tests.cli.running import DROP_IN, PROXYCTL, run, running
from tests.store.holder import as_ordinary_user, held

pytestmark = pytest.mark.processes

FREE = ("--port", "0", "--api-port", "0", "--api-open")
OPEN = "REST API is not authenticated."
TLS = ("--tls-cert", "dated.pem", "--tls-key", "dated-key.pem")
STORE = ("--store", "sqlite:routes.db")
PLACE = "give a path in an existing, writable folder"
ROUTE = """'/a', '{"target": "http://a"}', '{"strip_prefix": false, "headers": []}', 1"""
PID = f"{PLACE}, of a new file or one of yours"

Prepare = Callable[[Path], object]


def nothing(folder: Path) -> None:
    """Leave the folder empty."""


def folder(name: str, mode: int = 0o755) -> Prepare:
    def make(at: Path) -> None:
        (at / name).mkdir()
        (at / name).chmod(mode)

    return make


def file(name: str, text: str = "", mode: int = 0o644) -> Prepare:
    def make(at: Path) -> None:
        (at / name).write_text(text)
        (at / name).chmod(mode)

    return make


def link(at: Path) -> None:
    (at / "pid").symlink_to("elsewhere")


def dated(days: float) -> Prepare:
    return lambda at: make_dated(at, timedelta(days=-400), timedelta(days=days))


def database(*statements: str) -> Prepare:
    def make(at: Path) -> None:
        with sqlite3.connect(at / "routes.db") as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    return make


def of_ours(version: int, *rows: str) -> Prepare:
    table = (
        "CREATE TABLE routes (key TEXT PRIMARY KEY NOT NULL, data TEXT NOT NULL,"
        " options TEXT NOT NULL, last_activity REAL NOT NULL) WITHOUT ROWID"
    )
    marks = (f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {version}")
    return database(table, *marks, *(f"INSERT INTO routes VALUES ({row})" for row in rows))


def damaged(at: Path) -> None:
    """Cut a file of routes in its middle."""
    of_ours(1, *(f"'/{n}', '{{\"target\": \"http://a\"}}', '{{}}', 1" for n in range(500)))(at)
    path = at / "routes.db"
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xff" * (len(data) - 8192)
    path.write_bytes(data)


def mixed_pair(at: Path) -> None:
    make_files(at)
    make_dated(at, timedelta(days=-1), timedelta(days=90))


# What is there, the flags, and what both say of it, with the folder's path left out.
GOOD: dict[str, tuple[Prepare, Sequence[str], list[str]]] = {
    "nothing": (nothing, FREE, [OPEN]),
    "14 days": (dated(13.5), (*TLS, *FREE), [r"dated.pem: expires on \S+; renew it soon", OPEN]),
    "1 day": (dated(0.9), (*TLS, *FREE), [r"dated.pem: expires on \S+; renew it soon", OPEN]),
    "15 days": (dated(15), (*TLS, *FREE), [OPEN]),
    "expired": (dated(-1), (*TLS, *FREE), [r"dated.pem: expired on \S+; renew it", OPEN]),
    "an empty store": (file("routes.db"), (*STORE, *FREE), [OPEN]),
    "a store": (of_ours(1, ROUTE), (*STORE, *FREE), [OPEN]),
    "a store's folder to be made": (nothing, ("--store", "sqlite:a/b/c.db", *FREE), [OPEN]),
    "a store that others write": (
        file("routes.db", "", 0o666),
        (*STORE, *FREE),
        [
            OPEN,
            r"store: other users can change the routes, because they can write to routes.db; .*",
        ],
    ),
    "a pid file of ours": (file("pid", "17"), ("--pid-file", "pid", *FREE), [OPEN]),
    "a token that others read": (
        file("token", "s3cret"),
        ("--token-file", "token", *FREE[:-1]),
        [r"token: anyone on this machine can read the token; chmod 600 token"],
    ),
}
BAD: dict[str, tuple[Prepare, Sequence[str], str]] = {
    "a store that is a folder": (
        folder("routes.db"),
        STORE,
        r"store: routes.db: Is a directory; name a file in a writable folder",
    ),
    "a store that is a pipe": (
        lambda at: os.mkfifo(at / "routes.db"),
        STORE,
        r"store: routes.db: not a regular file; name a file in a writable folder",
    ),
    "a store in a file": (
        file("a"),
        ("--store", "sqlite:a/routes.db"),
        r"store: a/routes.db: Not a directory; name a file in a writable folder",
    ),
    "a store that is read-only": (
        file("routes.db", "", 0o444),
        STORE,
        r"store: routes.db: Permission denied; name a file in a writable folder",
    ),
    "a store in a read-only folder": (
        folder("a", 0o555),
        ("--store", "sqlite:a/routes.db"),
        r"store: a/routes.db: Permission denied; name a file in a writable folder",
    ),
    "a store in a folder to be made in a read-only folder": (
        folder("a", 0o555),
        ("--store", "sqlite:a/b/routes.db"),
        r"store: a/b/routes.db: Permission denied; name a file in a writable folder",
    ),
    "a store whose folder became read-only": (
        lambda at: (folder("a")(at), file("a/routes.db")(at), (at / "a").chmod(0o555)),
        ("--store", "sqlite:a/routes.db"),
        r"store: a/routes.db is read-only; make it and its folder writable",
    ),
    "a newer store": (
        of_ours(99),
        STORE,
        r"store: routes.db was written by a newer hubgate \(its format is 99, this one .*",
    ),
    "another program's store": (
        database("CREATE TABLE a (b)"),
        STORE,
        r"store: routes.db is another program's database; name another file",
    ),
    "a store that is text": (
        file("routes.db", "routes: " * 200),
        STORE,
        r"store: routes.db is not an SQLite database, or is badly damaged; .*",
    ),
    "a damaged store": (damaged, STORE, r"store: routes.db is damaged \(.*\); put a backup .*"),
    "a store with a route that is none": (
        of_ours(1, "'/a', '[]', '{}', 1"),
        STORE,
        r"store: routes.db is damaged \(route '/a': .*\); put a backup in its place, .*",
    ),
    "a pid file without its folder": (
        nothing,
        ("--pid-file", "none/pid"),
        rf"--pid-file none/pid: No such file or directory; {PID}",
    ),
    "a pid file that is a folder": (
        folder("pid"),
        ("--pid-file", "pid"),
        rf"--pid-file pid: Is a directory; {PID}",
    ),
    "a pid file that is a link": (
        link,
        ("--pid-file", "pid"),
        rf"--pid-file pid: is a link; {PID}",
    ),
    "a pid file in a file": (
        file("a"),
        ("--pid-file", "a/pid"),
        rf"--pid-file a/pid: Not a directory; {PID}",
    ),
    "a pid file in a read-only folder": (
        folder("a", 0o555),
        ("--pid-file", "a/pid"),
        rf"--pid-file a/pid: Permission denied; {PID}",
    ),
    "an access log without its folder": (
        nothing,
        ("--access-log", "none/a.log"),
        r"--access-log: none: no such folder; create it or give another",
    ),
    "an access log that is a folder": (
        folder("a.log"),
        ("--access-log", "a.log"),
        r"--access-log: a.log: is a folder; give a file in it",
    ),
    "an access log that is read-only": (
        file("a.log", "", 0o444),
        ("--access-log", "a.log"),
        r"--access-log: a.log: cannot be written: Permission denied; choose a writable file",
    ),
    "a socket without its folder": (
        nothing,
        ("--socket", "none/s"),
        rf"cannot listen on unix:none/s: No such file or directory; {PLACE}",
    ),
    "a socket in a read-only folder": (
        folder("a", 0o555),
        ("--api-socket", "a/s"),
        rf"cannot listen on unix:a/s: Permission denied; {PLACE}",
    ),
    "a socket that is a file": (
        file("s"),
        ("--metrics-socket", "s"),
        r"cannot listen on unix:s: the file there is not a socket; give another path or remove it",
    ),
    "a host that nobody knows": (
        nothing,
        ("--host", "none.invalid", "--no-ssl"),
        r"cannot listen on none.invalid:\d+: the host 'none.invalid' is not known; give an .*",
    ),
    "no certificate": (
        lambda at: (make_files(at), (at / "hub.pem").unlink()),
        ("--tls-cert", "hub.pem", "--tls-key", "hub-key.pem"),
        r"--tls-cert: hub.pem: no such file; `proxyctl certs` .*",
    ),
    "another certificate's key": (
        mixed_pair,
        ("--tls-cert", "hub.pem", "--tls-key", "dated-key.pem"),
        r"--tls-key: dated-key.pem: is not the key of hub.pem; give a pair made together",
    ),
    "no token file": (
        nothing,
        ("--token-file", "none"),
        r"--token-file: none: no such file; put the token there",
    ),
    "too many workers": (
        nothing,
        ("--workers", "257"),
        r"--workers: '257' is not a valid number of workers; write 1 to 256, or auto",
    ),
    "a folder for its own token that is a file": (
        lambda at: (folder("state")(at), file("state/hubgate")(at)),
        (),
        r"state/hubgate: is not a folder; the API's token cannot be kept in the folder .*; give .*",
    ),
    "a folder for its own token that is read-only": (
        folder("state", 0o555),
        (),
        r"state: Permission denied; the API's token cannot be kept in the folder .*; give .*",
    ),
    "an error in the file": (
        file("routes.yaml", "listen: {port: 22:22}\n"),
        (),
        r"routes.yaml, line 1: listen.port: '22:22' is not a valid port; write a whole number, .*",
    ),
}


def without(place: Path, lines: Sequence[str], mark: str) -> list[str]:
    """Return what follows `mark` in each of the lines that have it, with the folder left out."""
    found = [line.partition(mark)[2] for line in lines if mark in line]
    return [text.replace(f"{place}/", "") for text in found]


def contents(place: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(place.rglob("*"))
    }


@pytest.mark.parametrize("name", GOOD)
def test_what_check_allows_is_served(tmp_path: Path, name: str) -> None:
    prepare, flags, warnings = GOOD[name]
    prepare(tmp_path)
    (tmp_path / "state").mkdir()
    environ = {"XDG_STATE_HOME": f"{tmp_path}/state"}
    before = contents(tmp_path)
    checked = run(PROXYCTL, "check", *flags, cwd=tmp_path, env=environ)
    assert contents(tmp_path) == before
    said = without(tmp_path, checked.stderr.splitlines(), "warning: ")
    assert (checked.returncode, len(said)) == (0, len(checked.stderr.splitlines()))
    with running(tmp_path, PROXYCTL, "serve", *flags, env=environ) as proxy:
        assert proxy.api_url
        logged = without(tmp_path, proxy.log.splitlines(), "warning: ")
        assert proxy.stop() == 0
    assert sorted(logged) == sorted(said)
    assert len(said) == len(warnings)
    for line, pattern in zip(sorted(said), sorted(warnings), strict=True):
        assert re.fullmatch(pattern, line)


@pytest.mark.parametrize("name", BAD)
def test_what_check_refuses_is_not_served(tmp_path: Path, name: str) -> None:
    prepare, flags, pattern = BAD[name]
    prepare(tmp_path)
    # Where the port is the mistake, another one given would take its place.
    port = () if (tmp_path / "routes.yaml").exists() else ("--port", "0")
    port = () if "--socket" in flags else port
    api = () if "--api-socket" in flags else ("--api-port", "0")
    environ = {"XDG_STATE_HOME": f"{tmp_path}/state"}
    if not pattern.startswith(("state/", "state:")):
        environ["HUBGATE_TOKEN"] = "s3cret"
    if "--token-file" in flags:
        del environ["HUBGATE_TOKEN"]
    command = (*as_ordinary_user(), *PROXYCTL)
    before = contents(tmp_path)
    checked = run(command, "check", *port, *api, *flags, cwd=tmp_path, env=environ)
    assert contents(tmp_path) == before
    assert (checked.returncode, checked.stdout) == (1, "")
    said = without(tmp_path, checked.stderr.splitlines(), "error: ")
    served = run(command, "serve", *port, *api, *flags, cwd=tmp_path, env=environ)
    assert served.returncode == 1
    assert not re.search("Proxying|Proxy API at|Traceback", served.stderr)
    assert without(tmp_path, served.stderr.splitlines(), "proxyctl: ") == said
    assert len(said) == 1
    assert re.fullmatch(pattern, said[0])


def test_a_store_in_use_is_a_matter_of_the_moment(tmp_path: Path) -> None:
    """As a port in use is: a start waits for it, and `check` is for the hubgate that runs, too."""
    with held(tmp_path / "routes.db"):
        before = contents(tmp_path)
        checked = run(PROXYCTL, "check", *STORE, *FREE, cwd=tmp_path)
        assert contents(tmp_path) == before
        served = run(PROXYCTL, "serve", *STORE, *FREE, cwd=tmp_path)
    assert (checked.returncode, served.returncode) == (0, 1)
    (error,) = without(tmp_path, served.stderr.splitlines(), "proxyctl: ")
    assert error.startswith("store: routes.db is in use by another process, perhaps another hubg")
    assert error in without(tmp_path, checked.stderr.splitlines(), "warning: ")


def test_all_that_check_finds_is_told_at_once(tmp_path: Path) -> None:
    flags = ("--store", "sqlite:.", "--pid-file", "none/pid", "--socket", "none/s", "--api-open")
    checked = run(PROXYCTL, "check", *flags, cwd=tmp_path, env={"HUBGATE_PROT": "1"})
    assert checked.returncode == 1
    starts = [line.split()[:2] for line in checked.stderr.splitlines()]
    assert starts == [
        ["error:", "cannot"],
        ["error:", "--pid-file"],
        ["error:", "store:"],
        ["warning:", "HUBGATE_PROT"],
        ["warning:", "REST"],
    ]


def test_a_bad_pid_file_fails_before_any_port_is_opened(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for command, flag in ((PROXYCTL, "serve"), (DROP_IN, "--ip=127.0.0.1")):
            flags = (flag, "--port", port, "--api-port", "0", "--pid-file", "none/pid")
            said = run(command, *flags, cwd=tmp_path, env={"HUBGATE_TOKEN": "s3cret"})
            assert said.returncode == 1
            assert f"none/pid: No such file or directory; {PID}\n" in said.stderr
            assert port not in said.stderr
