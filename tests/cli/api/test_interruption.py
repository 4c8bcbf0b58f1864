"""Ctrl-C while hubgate makes a change: whether it was made is not left open without a word."""

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import PATIENCE, PROXYCTL, TOKEN
from tests.environment import clean_environment

pytestmark = pytest.mark.processes

TARGET = "http://127.0.0.1:9"
TABLE = b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}'


class Silent:
    """An API that shows an empty table, takes a change, as far as it is to, and says nothing."""

    def __init__(self, takes_all: bool) -> None:
        self._takes_all = takes_all
        self._server = socket.socket()
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self._server.bind(("127.0.0.1", 0))
        self._server.listen()
        self._held: list[socket.socket] = []
        self.taken = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            try:
                connection = self._server.accept()[0]
            except OSError:
                return
            self._held.append(connection)
            head, _, body = self._read(connection, b"", b"\r\n\r\n").partition(b"\r\n\r\n")
            if head.startswith(b"GET"):
                connection.sendall(TABLE)
                connection.close()
                continue
            if self._takes_all and not head.startswith(b"DELETE"):
                self._read(connection, body, b"}")
            self.taken.set()

    def _read(self, connection: socket.socket, begun: bytes, end: bytes) -> bytes:
        while end not in begun:
            begun += connection.recv(65536)
        return begun

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        for each in (self._server, *self._held):
            each.close()


@pytest.fixture(params=[True], ids=["all"])
def api(request: pytest.FixtureRequest) -> Iterator[Silent]:
    silent = Silent(takes_all=request.param)
    yield silent
    silent.close()


def interrupted(api: Silent, *args: str) -> list[str]:
    """Interrupt a command once its change has been taken; return what it says."""
    process = subprocess.Popen(
        [*PROXYCTL, *args],
        env=clean_environment({**TOKEN, "HUBGATE_API_URL": api.url}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert api.taken.wait(PATIENCE)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, "")
    return error.split("\n")


def routes(tmp_path: Path, size: int = 0) -> str:
    path = tmp_path / "in.json"
    path.write_text(json.dumps({f"/{n}": {"target": TARGET, "x": "x" * size} for n in range(40)}))
    return str(path)


def test_an_import_that_was_sent_may_be_stored(api: Silent, tmp_path: Path) -> None:
    said = "proxyctl: interrupted: the routes may have been stored, all or none; --dry-run shows"
    assert interrupted(api, "import", routes(tmp_path))[0].startswith(said)


def test_one_that_only_asks_changes_nothing(api: Silent, tmp_path: Path) -> None:
    error = interrupted(api, "import", "--dry-run", routes(tmp_path))
    assert error[0] == "proxyctl: interrupted: nothing was changed"


@pytest.mark.parametrize("api", [False], ids=["some"], indirect=True)
def test_an_import_that_was_not_sent_is_not_stored(api: Silent, tmp_path: Path) -> None:
    error = interrupted(api, "import", routes(tmp_path, 1_000_000))
    assert error[0] == "proxyctl: interrupted: nothing was changed"


@pytest.mark.parametrize(
    ("args", "what"), [(("add", "/a", TARGET), "added"), (("remove", "/a"), "removed")]
)
def test_a_route_may_have_been_changed(api: Silent, args: tuple[str, ...], what: str) -> None:
    error = interrupted(api, *args)
    assert error[0] == f"proxyctl: interrupted: /a may have been {what}; see `proxyctl list`"
