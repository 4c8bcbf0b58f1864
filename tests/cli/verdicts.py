"""What is there, the flags, and what both `proxyctl check` and `proxyctl serve` say of it."""

import os
import sqlite3
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from hubgate.store.sqlite_file import APPLICATION_ID
from tests.certificates.made import make_dated, make_files

FREE = ("--port", "0", "--api-port", "0", "--api-open")
OPEN = "REST API is not authenticated."
TLS = ("--tls-cert", "dated.pem", "--tls-key", "dated-key.pem")
STORE = ("--store", "sqlite:routes.db")
PLACE = "give a path in an existing, writable folder"
ROUTE = """'/a', '{"target": "http://a"}', '{"strip_prefix": false, "headers": []}', 1"""
PID = f"{PLACE}, of a new file or one with a pid"

Prepare = Callable[[Path], object]


def nothing(folder: Path) -> None:
    """Leave the folder empty."""


def folder(name: str, mode: int = 0o755) -> Prepare:
    def make(at: Path) -> None:
        (at / name).mkdir(parents=True)
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
    "settings of a shared store, without one": (
        file("routes.yaml", "redis: {ca: ca.pem}\nreplicas: {name: proxy-1, wait: 2}\n"),
        FREE,
        [
            OPEN,
            r"redis.ca, replicas.name, replicas.wait: without effect, as nobody named a store;"
            r" write store: redis://HOST:PORT/0",
        ],
    ),
    "settings of a shared store, with another": (
        file("routes.yaml", "replicas: {name: proxy-1}\n"),
        ("--store", "memory:", *FREE),
        [OPEN, r"replicas.name: without effect, as the store is memory:; write store: .*"],
    ),
    "a pid file of ours": (file("pid", "17"), ("--pid-file", "pid", *FREE), [OPEN]),
    "a token that others read": (
        file("token", "s3cret"),
        ("--token-file", "token", *FREE[:-1]),
        [r"token: anyone on this machine can read the token; chmod 600 token"],
    ),
    "a state folder that others enter": (
        folder("state/hubgate", 0o777),
        FREE[:-1],
        [r"state/hubgate was open to other users \(mode 0777\): it has mode 0700 from now on"],
    ),
}
BAD: dict[str, tuple[Prepare, Sequence[str], str]] = {
    "a store that is a folder": (
        folder("routes.db"),
        STORE,
        r"--store: routes.db: Is a directory; name a file in a writable folder",
    ),
    "a store that is a pipe": (
        lambda at: os.mkfifo(at / "routes.db"),
        STORE,
        r"--store: routes.db: not a regular file; name a file in a writable folder",
    ),
    "a store in a file": (
        file("a"),
        ("--store", "sqlite:a/routes.db"),
        r"--store: a/routes.db: Not a directory; name a file in a writable folder",
    ),
    "a store that is read-only": (
        file("routes.db", "", 0o444),
        STORE,
        r"--store: routes.db: Permission denied; name a file in a writable folder",
    ),
    "a store in a read-only folder": (
        folder("a", 0o555),
        ("--store", "sqlite:a/routes.db"),
        r"--store: a/routes.db: Permission denied; name a file in a writable folder",
    ),
    "a store in a folder to be made in a read-only folder": (
        folder("a", 0o555),
        ("--store", "sqlite:a/b/routes.db"),
        r"--store: a/b/routes.db: Permission denied; name a file in a writable folder",
    ),
    "a store whose folder became read-only": (
        lambda at: (folder("a")(at), file("a/routes.db")(at), (at / "a").chmod(0o555)),
        ("--store", "sqlite:a/routes.db"),
        r"--store: a/routes.db is read-only; make it and its folder writable",
    ),
    "a newer store": (
        of_ours(99),
        STORE,
        r"--store: routes.db was written by a newer hubgate \(its format is 99, this one .*",
    ),
    "another program's store": (
        database("CREATE TABLE a (b)"),
        STORE,
        r"--store: routes.db is another program's database; name another file",
    ),
    "a store that is text": (
        file("routes.db", "routes: " * 200),
        STORE,
        r"--store: routes.db is not an SQLite database, or is badly damaged; .*",
    ),
    "a damaged store": (damaged, STORE, r"--store: routes.db is damaged \(.*\); put a backup .*"),
    "a store with a route that is none": (
        of_ours(1, "'/a', '[]', '{}', 1"),
        STORE,
        r"--store: routes.db is damaged \(route '/a': .*\); put a backup in its place, .*",
    ),
    "a replica without a name": (
        file("routes.yaml", "listen: {port: 0}\nreplicas: {name: ''}\n"),
        (),
        r"routes.yaml, line 2: replicas.name: '' is not a replica's name; write a word such as"
        r" proxy-1, or leave it out",
    ),
    "a pid file without its folder": (
        nothing,
        ("--pid-file", "none/pid"),
        rf"--pid-file: none/pid: No such file or directory; {PID}",
    ),
    "a pid file that is a folder": (
        folder("pid"),
        ("--pid-file", "pid"),
        rf"--pid-file: pid: Is a directory; {PID}",
    ),
    "a pid file that is a link": (
        link,
        ("--pid-file", "pid"),
        rf"--pid-file: pid: is a link; {PID}",
    ),
    "a pid file in a file": (
        file("a"),
        ("--pid-file", "a/pid"),
        rf"--pid-file: a/pid: Not a directory; {PID}",
    ),
    "a pid file in a read-only folder": (
        folder("a", 0o555),
        ("--pid-file", "a/pid"),
        rf"--pid-file: a/pid: Permission denied; {PID}",
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
        rf"--socket: cannot listen on unix:none/s: No such file or directory; {PLACE}",
    ),
    "a socket in a read-only folder": (
        folder("a", 0o555),
        ("--api-socket", "a/s"),
        rf"--api-socket: cannot listen on unix:a/s: Permission denied; {PLACE}",
    ),
    "a socket that is a file": (
        file("s"),
        ("--metrics-socket", "s"),
        r"--metrics-socket: cannot listen on unix:s: the file there is not a socket; give .*",
    ),
    "a host that nobody knows": (
        nothing,
        ("--host", "none.invalid", "--no-ssl"),
        r"--host: cannot listen on none.invalid:\d+: the host 'none.invalid' is not known; .*",
    ),
    "a host that this machine lacks": (
        nothing,
        ("--api-host", "192.0.2.1"),
        r"--api-host: cannot listen on 192.0.2.1:\d+: this machine has no such address; give .*",
    ),
    "a port that only root may have": (
        nothing,
        ("--metrics-port", "80"),
        r"--metrics-port: cannot listen on 127.0.0.1:80: no permission for port 80; choose .*",
    ),
    "a pid file that is the file of settings": (
        file("routes.yaml", "listen: {port: 0}\npid_file: ./routes.yaml\n"),
        (),
        r"routes.yaml, line 2: pid_file: ./routes.yaml is in use as the file of settings; give .*",
    ),
    "a pid file that is something else": (
        file("notes", "remember the milk"),
        ("--pid-file", "notes"),
        rf"--pid-file: notes: is a file of something else, not of a pid; {PID}",
    ),
    "an access log that is the store": (
        nothing,
        (*STORE, "--access-log", "./routes.db"),
        r"--access-log: ./routes.db is in use as --store; give one of them another path",
    ),
    "one socket twice": (
        nothing,
        ("--socket", "a.sock", "--api-socket", "./a.sock"),
        r"--api-socket: a.sock is in use as --socket; give one of them another path",
    ),
    "a journal that cannot be read": (
        lambda at: (of_ours(1, ROUTE)(at), file("routes.db-wal", "x", 0o000)(at)),
        STORE,
        r"--store: routes.db-wal: Permission denied; name a file in a writable folder",
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
    "a folder for its own token that is there and read-only": (
        folder("state/hubgate", 0o555),
        (),
        r"state/hubgate: Permission denied; the API's token cannot be kept in the folder .*; .*",
    ),
    "a file that is a link to nothing": (
        lambda at: (at / "routes.yaml").symlink_to("none"),
        (),
        r"routes.yaml: no such file; create it or give another",
    ),
    "an error in the file": (
        file("routes.yaml", "listen: {port: 22:22}\n"),
        (),
        r"routes.yaml, line 1: listen.port: '22:22' is not a valid port; write a whole number, .*",
    ),
}
