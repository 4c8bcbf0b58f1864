"""What other users write, and how they listen, does root no harm: they may do as they like."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from hubgate.cli import run_command
from hubgate.cli.api import discovery
from hubgate.cli.api.discovery import FoundProxy, find_proxy, other_proxies, own_proxies
from hubgate.cli.main import load
from hubgate.control.running_file import INSIDE, RunningFile, read_record
from hubgate.model import Address
from hubgate.settings import Settings
from hubgate.settings.token import own_token_path
from tests.certificates.made import make_files
from tests.cli.running import PATIENCE
from tests.cli.users import User, new_users
from tests.contract.ports import distinct_ports
from tests.control.test_running_file import BAD_URLS

pytestmark = pytest.mark.processes

GIVEN = {"HUBGATE_TOKEN": "given"}
Command = Callable[..., tuple[int, str]]

LURE = """
import http.server, json, os, sys
from pathlib import Path
from hubgate.control.running_file import INSIDE, file_name, network, started

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked with", self.headers["Authorization"], flush=True)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")
    def log_message(self, *_):
        pass

changed = json.loads(sys.argv[2])
pid = os.getpid()
record = {"version": 1, "pid": pid, "started": started(pid), "token": "planted",
          "certificate": None, "network": network()}
with http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler) as server:
    record |= {"api": [f"http://127.0.0.1:{server.server_port}"], **changed}
    folder = Path(os.environ["HOME"], ".local", "state", INSIDE)
    folder.mkdir(0o700, parents=True, exist_ok=True)
    (folder / file_name(pid)).touch(0o600)
    (folder / file_name(pid)).write_text(json.dumps(record))
    print(f"waits at {server.server_port}.", flush=True)
    server.serve_forever()
"""


@contextmanager
def lure(user: User, port: int = 0, **changed: object) -> Iterator[str]:
    """Have a user listen, and write a record with some of it `changed`; yields the URL."""
    log = user.home / "proxy.log"
    process = user.start("-c", LURE, str(port), json.dumps(changed))
    try:
        deadline = time.monotonic() + PATIENCE
        while "waits at" not in log.read_text():
            assert time.monotonic() < deadline
            assert process.poll() is None, log.read_text()
            time.sleep(0.02)
        number = log.read_text().partition("waits at ")[2].partition(".")[0]
        yield f"http://127.0.0.1:{number}"
    finally:
        process.kill()
        process.wait()


def asked(user: User) -> list[str]:
    """Return what `user` was sent."""
    lines = (user.home / "proxy.log").read_text().splitlines()
    return [line.removeprefix("asked with ") for line in lines if line.startswith("asked")]


def records(user: User) -> list[FoundProxy]:
    return [each for each in other_proxies() if each.uid == user.uid]


@pytest.fixture
def users(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[User]]:
    """Two users, and nobody else, who do or do not run hubgate on this machine."""
    with new_users(2) as users:
        seen, known = discovery._processes, {each.uid for each in users}
        monkeypatch.setattr(
            discovery, "_processes", lambda uid: [each for each in seen(uid) if each[1] in known]
        )
        yield users


@pytest.fixture
def proxyctl(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """Run a command as root; returns its exit code and what it said on stderr."""
    (port,) = distinct_ports(1)
    monkeypatch.setattr(discovery, "DEFAULT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "root"))

    def command(*args: str, **environ: str) -> tuple[int, str]:
        with monkeypatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            code = run_command.run(load(), args, "proxyctl", 2)
        return code, capsys.readouterr().err

    return command


def own_record(url: str) -> RunningFile:
    """Write a record of root's, as if this process listened there."""
    port = urlsplit(url).port or 0
    file = RunningFile(os.environ)
    file.begin(Settings(api_token="roots"), [Address("127.0.0.1", port)])
    return file


# --- what is believed ---


def test_a_record_of_a_place_where_its_user_listens_is_believed(
    users: list[User], proxyctl: Command
) -> None:
    with lure(users[0]) as url:
        code, said = proxyctl("list")
        (found,) = records(users[0])
        assert (found.record.api, asked(users[0])) == ((url,), ["token planted"])
        line = f"proxyctl: {url} is the API of user {users[0].uid} (process {found.record.pid})\n"
        assert (code, said) == (0, line)
        assert proxyctl("list", "--api-url", url) == (0, "")


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_record_that_cannot_be_ends_nothing(
    url: str, users: list[User], proxyctl: Command
) -> None:
    with lure(users[0], api=[url]):
        code, said = proxyctl("list")
        assert (code, said.count("\n")) == (1, 1)
        assert f"{discovery.DEFAULT_URL}: no API there" in said


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1:8001", "http://proxy.example.org:8001", "http+unix://%2F", "ftp://a:1"]
)
def test_nobody_leads_root_elsewhere(url: str, users: list[User]) -> None:
    with lure(users[0], api=[url]):
        assert records(users[0]) == []
    with lure(users[0], network="net:[1]"):
        assert records(users[0]) == []


def test_nobody_takes_another_ones_place(users: list[User], tmp_path: Path) -> None:
    evil, user = users
    path = tmp_path / "roots"
    with socket.socket(socket.AF_UNIX) as unix, socket.create_server(("127.0.0.1", 0)) as roots:
        unix.bind(str(path))
        places = [
            f"http+unix://{quote(str(path), safe='')}",
            f"http://127.0.0.1:{roots.getsockname()[1]}",
            f"http://localhost:{roots.getsockname()[1]}",
        ]
        with lure(evil, api=places):
            assert records(evil) == []
    (port,) = distinct_ports(1)
    url = f"http://127.0.0.1:{port}"
    with lure(evil, api=[url]), lure(user, port):
        for asked_for in (url, f"http://localhost:{port}"):
            found = find_proxy(asked_for, os.environ, others=True)
            assert found is not None
            assert found.uid == user.uid


def test_who_listens_beside_a_name_gets_no_token(users: list[User], proxyctl: Command) -> None:
    """`localhost` is two addresses, which may be two users'."""
    evil, user = users
    with lure(user) as url:
        port = urlsplit(url).port or 0
        code = f"import socket, time\nwith socket.create_server(('::1', {port}), family=10):\n"
        code += " print('waits', flush=True); time.sleep(99)"
        process = evil.start("-c", code)
        try:
            while "waits" not in (evil.home / "proxy.log").read_text():
                assert process.poll() is None
            other = f"http://localhost:{port}"
            assert find_proxy(url, os.environ, others=True) is not None
            assert find_proxy(other, os.environ, others=True) is None
            own_record(url)
            proxyctl("list", "--api-url", url)
            assert asked(user) == ["None"]  # it is another user's, whatever root's record says
        finally:
            process.kill()
            process.wait()


def test_a_setuid_program_does_not_speak_for_root(users: list[User], tmp_path: Path) -> None:
    """Its environment is from who started it, who may have a disk image with root's files in it."""
    home = tmp_path / "image"
    plant = f"""
import os, sys
os.setresuid({users[0].uid}, 0, 0)
from hubgate.control.running_file import RunningFile
from hubgate.model import Address
from hubgate.settings import Settings
RunningFile(os.environ).begin(Settings(api_token="t"), [Address("127.0.0.1", 1)])
print("written", flush=True)
sys.stdin.read()
"""
    environ = users[0].environment(XDG_STATE_HOME=str(home))
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-P", "-c", plant], env=environ, stdin=pipe, stdout=pipe
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        assert read_record(home / INSIDE, process.pid, 0) is not None
        assert home not in discovery._homes(process.pid, 0)
        process.communicate()


def test_a_service_with_sockets_from_root_is_found(users: list[User]) -> None:
    """As with systemd's: the socket is root's, and open in the process."""
    with socket.create_server(("127.0.0.1", 0)) as roots:
        url = f"http://127.0.0.1:{roots.getsockname()[1]}"
        with lure(users[0], api=[url]):
            assert records(users[0]) == []
            (pid,) = (each for each, uid in discovery._processes(None) if uid == users[0].uid)
            assert discovery._in_folder(folder(users[0]), pid, users[0].uid) is not None
        code = LURE.replace("sys.argv[1]", "0").replace("sys.argv[2]", "sys.argv[1]")
        process = subprocess.Popen(
            [users[0].python, "-P", "-c", code, json.dumps({"api": [url]})],
            env=users[0].environment(),
            user=users[0].uid,
            pass_fds=(roots.fileno(),),
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"waits at")
            assert [each.record.pid for each in records(users[0])] == [process.pid]
        finally:
            process.kill()
            process.communicate()


def folder(user: User) -> Path:
    return user.home / ".local" / "state" / INSIDE


# --- what is root's own ---


def test_ones_own_come_first(users: list[User], proxyctl: Command) -> None:
    with lure(users[0]) as other, socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        own_record(url)
        place, found = discovery.default_place(os.environ, others=True)
        assert (place, found is not None and found.is_own) == (url, True)
        discovery.DEFAULT_URL = other  # restored by monkeypatch
        assert discovery.default_place(os.environ, others=True)[0] == url


def test_a_token_that_was_given_goes_to_nobody_who_happens_to_listen(
    users: list[User], proxyctl: Command, tmp_path: Path
) -> None:
    evil = users[0]
    file = tmp_path / "token"
    file.write_text("given")
    ways: list[tuple[tuple[str, ...], dict[str, str]]] = [
        ((), GIVEN),
        ((), {"CONFIGPROXY_AUTH_TOKEN": "given"}),
        (("--token-file", str(file)), {}),
    ]
    with lure(evil) as url:
        for args, environ in ways:  # it is not where root would go
            assert "no API there" in proxyctl("list", *args, **environ)[1]
        discovery.DEFAULT_URL = url
        for args, environ in ways:
            code, said = proxyctl("list", *args, **environ)
            assert (code, said.count("\n")) == (1, 1)
            assert f"{url}: user {evil.uid} listens there, who is not sent the token in " in said
        assert asked(evil) == []
        assert proxyctl("list", "--api-url", url, **GIVEN) == (0, "")
        assert asked(evil) == ["token given"]


def test_a_token_that_hubgate_made_is_not_for_who_has_its_port_now(
    users: list[User], proxyctl: Command
) -> None:
    for user in (users[0], User(0, users[0].home, users[0].python)):
        with lure(user, network="net:[1]") as url:
            path = own_token_path(os.environ, Address("127.0.0.1", urlsplit(url).port or 0))
            assert path is not None
            path.parent.mkdir(0o700, parents=True, exist_ok=True)
            path.touch(0o600)
            path.write_text("made")
            assert proxyctl("list", "--api-url", url) == (0, "")
            assert asked(user) == ["token made" if user.uid == 0 else "None"]


def test_another_users_certificate_counts_only_with_that_users_token(
    users: list[User], proxyctl: Command
) -> None:
    user = users[0]
    made = make_files(user.home, hosts=("localhost",))
    for path in (made.cert, made.key):
        os.chown(path, user.uid, user.uid)
    port, api_port = distinct_ports(2)
    flags = ("--ip", "127.0.0.1", "--port", str(port), "--api-port", str(api_port))
    pair = ("--api-ssl-cert", made.cert, "--api-ssl-key", made.key)
    with user.running(*flags, *pair, CONFIGPROXY_AUTH_TOKEN="given") as proxy:
        url = ("--api-url", proxy.api_url)
        assert proxyctl("list", *url) == (0, "")
        code, said = proxyctl("list", *url, **GIVEN)
        assert code == 1
        assert "its certificate is not trusted" in said
        assert proxyctl("list", *url, "--ca", made.ca, **GIVEN)[1] == ""


def test_a_token_that_is_refused_is_named(users: list[User], proxyctl: Command) -> None:
    user = users[0]
    port, api_port = distinct_ports(2)
    flags = ("--ip", "127.0.0.1", "--port", str(port), "--api-port", str(api_port))
    with user.running(*flags, CONFIGPROXY_AUTH_TOKEN="secret") as proxy:
        (file,) = folder(user).iterdir()
        file.write_text(file.read_text().replace("secret", "wrong"))
        said = proxyctl("list", "--api-url", proxy.api_url)[1]
        pid = proxy.process.pid
        assert f"needs another token than that in the record of process {pid}; set" in said


# --- how long it takes ---


def test_a_folder_that_never_answers_holds_nobody_up(
    users: list[User], proxyctl: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "PATIENCE", 0.5)
    discovery._warn_of_end.cache_clear()

    def read(path: Path, pid: int, uid: int) -> object:
        if uid == users[0].uid:
            time.sleep(20)
        return read_record(path, pid, uid)

    monkeypatch.setattr(discovery, "read_record", read)
    with lure(users[0]):
        begun = time.monotonic()
        code, said = proxyctl("list")
        assert time.monotonic() - begun < 10
    assert code == 1
    first, second = said.splitlines()
    assert first.startswith("proxyctl: searched for running hubgates for 0.5 s, not to the end; ")
    assert "no API there" in second


def test_who_has_many_processes_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    monkeypatch.setattr(discovery, "_PROC", tmp_path)
    for pid, uid in ((1, 7), (2, 8), (3, 7), (4, 0), (5, 9), (6, 9), (7, 9)):
        (tmp_path / str(pid)).mkdir()
        os.chown(tmp_path / str(pid), uid, uid)
    (tmp_path / "self").mkdir()
    others = [(2, 8), (1, 7), (3, 7), (5, 9), (6, 9), (7, 9)]
    assert discovery._processes(None) == others
    assert discovery._processes(0) == [(4, 0)]


def test_only_root_looks_at_others(users: list[User], monkeypatch: pytest.MonkeyPatch) -> None:
    with lure(users[0]):
        assert records(users[0])
        monkeypatch.setattr(os, "geteuid", lambda: users[1].uid)
        assert other_proxies() == []
        assert own_proxies({"XDG_STATE_HOME": str(users[1].home)}) == []
