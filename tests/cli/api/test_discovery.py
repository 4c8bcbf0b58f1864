"""`proxyctl` finds the running hubgate and its token for whoever may have them, and nobody else."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import click
import pytest

from hubgate.cli.api.discovery import _environment, default_place, own_proxies, serves
from hubgate.control.running_file import INSIDE, RunningFile, RunningRecord
from hubgate.model import Address
from hubgate.settings import Settings
from tests.cli.running import DROP_IN, PROXYCTL, run, running
from tests.cli.users import new_users
from tests.contract.ports import distinct_ports

SECRET = {"CONFIGPROXY_AUTH_TOKEN": "r4nd0m"}


def state_in(folder: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(folder / "state")}


def dropin(*more: str) -> tuple[str, ...]:
    port, api_port = distinct_ports(2)
    return ("--ip", "127.0.0.1", "--port", str(port), "--api-port", str(api_port), *more)


def files(folder: Path) -> list[Path]:
    return list((folder / "state" / INSIDE).glob("*.running"))


# --- which is meant ---


@pytest.mark.parametrize(
    ("own", "asked"),
    [
        ("http://127.0.0.1:8001", "http://localhost:8001"),
        ("http://localhost:8001", "http://127.0.0.1:8001"),
        ("http://[::1]:8001", "http://localhost:8001/"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("https://localhost:443", "https://127.0.0.1/"),
        ("https://proxy:8001", "https://PROXY:8001/base"),
        ("http+unix://%2Frun%2Fa.sock", "unix+http://%2frun%2F.%2Fa.sock"),
    ],
)
def test_one_place_in_two_spellings(own: str, asked: str) -> None:
    assert serves(RunningRecord(1, "", (own,)), asked)


@pytest.mark.parametrize(
    "asked",
    [
        "http://127.0.0.1:8002",
        "http://127.0.0.1",
        "https://127.0.0.1:8001",
        "http://127.0.0.2:8001",
        "http://[::1]:8001",
        "http://proxy:8001",
        "http+unix://%2Frun%2Fa.sock",
    ],
)
def test_two_places(asked: str) -> None:
    assert not serves(RunningRecord(1, "", ("http://127.0.0.1:8001",)), asked)


# --- where it is looked for ---

PLANT = """
import os, sys
from hubgate.control.running_file import RunningFile
from hubgate.model import Address
from hubgate.settings import Settings
RunningFile({"XDG_STATE_HOME": sys.argv[1]}).begin(
    Settings(api_token="planted"), [Address("127.0.0.1", int(port)) for port in sys.argv[2:]])
print("written", flush=True)
sys.stdin.read()
"""


@contextmanager
def planted(home: Path, *ports: int, **environ: str) -> Iterator[int]:
    """Run a process that has a record in the state folder `home`; yields its pid."""
    command = (sys.executable, "-P", "-c", PLANT, str(home), *map(str, ports))
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environ, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        yield process.pid
        process.communicate()


def found(home: Path) -> list[int]:
    return [each.record.pid for each in own_proxies({"XDG_STATE_HOME": str(home)})]


def test_ones_own_folder_comes_first(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    with (
        planted(other, 1, XDG_STATE_HOME=str(other)) as first,
        planted(own, 1) as mine,
        planted(other, 1, HOME="/none", XDG_STATE_HOME=str(other)) as last,
    ):
        assert found(own)[0] == mine
        assert {first, last} <= {*found(own)}
        assert found(other)[:2] == sorted((first, last))


def test_a_process_that_hides_its_environment_is_looked_for_in_its_accounts_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubgate.cli.api.discovery._account_home", lambda _: str(tmp_path))
    with planted(tmp_path / ".local" / "state") as nothing_listens:
        assert nothing_listens not in found(tmp_path / "own")
    with planted(tmp_path / ".local" / "state", 1) as pid:
        assert pid in found(tmp_path / "own")


def test_of_an_environment_without_end_only_the_beginning_is_read(tmp_path: Path) -> None:
    filler = {f"FILLER_{number}": "x" * 100_000 for number in range(10)}
    environ = {"XDG_STATE_HOME": "/a", **filler, "HOME": "/b"}
    with planted(tmp_path, **environ) as pid:
        assert dict(_environment(pid, os.geteuid())) == {b"XDG_STATE_HOME": b"/a"}


@pytest.mark.parametrize("unix", [False, True])
def test_ports_of_another_network_namespace_are_not_ours(
    tmp_path: Path, unix: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if unix:  # which is a file, in whatever network
        addresses = [Address(path="/run/a"), Address("127.0.0.1", 1)]
        RunningFile(state_in(tmp_path)).begin(Settings(api_token="t"), addresses)
    else:
        RunningFile(state_in(tmp_path)).begin(Settings(api_token="t"), [Address("127.0.0.1", 1)])
    assert os.getpid() in found(tmp_path / "state")
    monkeypatch.setattr("hubgate.cli.api.discovery.network", lambda: "net:[1]")
    (urls,) = [each.record.api for each in own_proxies(state_in(tmp_path))] or [()]
    assert urls == (("http+unix://%2Frun%2Fa",) if unix else ())


def test_of_many_a_few_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubgate.cli.api.discovery._found_in_time", lambda _: [])
    with ExitStack() as stack:
        pids = [stack.enter_context(planted(tmp_path / "state", 1)) for _ in range(7)]
        with pytest.raises(click.ClickException) as raised:
            default_place(state_in(tmp_path), others=False)
    shown = ", ".join(f"http://127.0.0.1:1 (process {pid})" for pid in sorted(pids)[:5])
    line = f"several hubgates are running: {shown} and 2 more; give --api-url"
    assert raised.value.message == line


# --- a token that nobody was told ---


@pytest.mark.processes
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_token_of_a_hubs_proxy_is_found(tmp_path: Path, name: str) -> None:
    with running(tmp_path, DROP_IN, *dropin(), env=SECRET | state_in(tmp_path)) as proxy:
        url = f"http://{name}:{urlsplit(proxy.api_url).port}"
        # Without the state folder of the proxy: it is in the environment of its process.
        for args in (("add", "/a", "http://b"), ("list",), ("get", "/a"), ("upgrade",), ("list",)):
            done = run(PROXYCTL, *args, "--api-url", url)
            assert (done.returncode, done.stderr) == (0, "")
        assert "/a" in done.stdout
        assert "r4nd0m" not in proxy.log
        assert len(files(tmp_path)) == 1
        assert proxy.stop() == 0
    assert files(tmp_path) == []


@pytest.mark.processes
def test_what_is_given_wins(tmp_path: Path) -> None:
    with running(tmp_path, DROP_IN, *dropin(), env=SECRET | state_in(tmp_path)) as proxy:
        wrong = tmp_path / "wrong"
        wrong.write_text("wrong")
        url = ("--api-url", proxy.api_url)
        refused = (
            run(PROXYCTL, "list", *url, "--token-file", str(wrong)),
            run(PROXYCTL, "list", *url, env={"HUBGATE_TOKEN": "wrong"}),
        )
        for done in refused:
            assert (done.returncode, done.stderr.count("\n")) == (1, 1)
            assert "needs another token" in done.stderr


@pytest.mark.processes
def test_a_token_that_a_reload_changes_is_followed(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first")
    flags = ("serve", "--port", "0", "--api-port", "0", "--token-file", "token")
    with running(tmp_path, PROXYCTL, *flags, env=state_in(tmp_path)) as proxy:
        for token in ("first", "second"):
            (tmp_path / "token").write_text(token)
            for args in (("reload",), ("list",)):
                done = run(PROXYCTL, *args, "--api-url", proxy.api_url)
                assert (done.returncode, done.stderr) == (0, "")
            assert token in files(tmp_path)[0].read_text()


@pytest.mark.processes
def test_one_that_is_told_to_stop_is_not_found_while_it_drains(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as target,
        running(tmp_path, DROP_IN, *dropin(), env=SECRET | state_in(tmp_path)) as proxy,
    ):
        url = f"http://127.0.0.1:{target.getsockname()[1]}"
        assert run(PROXYCTL, "add", "/", url, "--api-url", proxy.api_url).returncode == 0
        where = urlsplit(proxy.url)
        with socket.create_connection((where.hostname or "", where.port or 0)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
            with target.accept()[0]:  # who never answers
                proxy.process.terminate()
                proxy.wait_for("draining")
                until_gone(tmp_path)
                assert proxy.process.poll() is None
                proxy.process.terminate()


def until_gone(folder: Path) -> None:
    deadline = time.monotonic() + 5
    while files(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert files(folder) == []


@pytest.mark.processes
def test_one_that_was_killed_is_not_found_and_the_next_one_is(tmp_path: Path) -> None:
    place, env = dropin(), SECRET | state_in(tmp_path)
    with running(tmp_path, DROP_IN, *place, env=env) as proxy:
        url = proxy.api_url
        proxy.stop(signal.SIGKILL)
    (stale,) = files(tmp_path)
    done = run(PROXYCTL, "list", "--api-url", url, env=state_in(tmp_path))
    assert "no API there" in done.stderr
    env = {"CONFIGPROXY_AUTH_TOKEN": "fresh", **state_in(tmp_path)}
    with running(tmp_path, DROP_IN, *place, env=env) as proxy:
        assert run(PROXYCTL, "list", "--api-url", proxy.api_url).returncode == 0
        assert stale not in files(tmp_path)


@pytest.mark.processes
def test_over_tls_its_own_certificate_is_what_counts(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        assert run(PROXYCTL, "certs", "--dir", folder, cwd=tmp_path).returncode == 0
    pair = ("--api-ssl-cert", "one/hub.pem", "--api-ssl-key", "one/hub-key.pem")
    with running(tmp_path, DROP_IN, *dropin(*pair), env=SECRET | state_in(tmp_path)) as proxy:
        url = ("--api-url", proxy.api_url)
        assert proxy.api_url.startswith("https:")
        done = run(PROXYCTL, "list", *url)
        assert (done.returncode, done.stderr) == (0, "")
        other = str(tmp_path / "other" / "ca.pem")
        assert "is not trusted" in run(PROXYCTL, "list", *url, "--ca", other).stderr
        (file,) = files(tmp_path)
        record = json.loads(file.read_text())
        record["certificate"] = (tmp_path / "other" / "hub.pem").read_text()
        file.write_text(json.dumps(record))
        assert "is not trusted" in run(PROXYCTL, "list", *url).stderr


@pytest.mark.processes
def test_a_folder_that_cannot_be_written_costs_a_line(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with running(tmp_path, DROP_IN, *dropin(), env=SECRET | state_in(tmp_path)) as proxy:
        assert proxy.wait_for("info: proxyctl has to be told the API's address and token: ")
        url = ("--api-url", proxy.api_url)
        assert "needs a token" in run(PROXYCTL, "list", *url).stderr
        assert run(PROXYCTL, "list", *url, env=SECRET).returncode == 0


# --- users: of each, only its own processes' files count ---


@pytest.mark.processes
def test_the_only_one_is_meant_and_of_several_each_is_named() -> None:
    with new_users(2) as (user, stranger), ExitStack() as stack:
        first = stack.enter_context(user.running(*dropin(), **SECRET))
        done = user.run("add", "/here", "http://b")
        assert (done.returncode, done.stderr) == (0, "")
        assert "/here" in user.run("list").stdout
        # Neither the files nor the token are for others.
        done = stranger.run("list", "--api-url", first.api_url)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "needs a token" in done.stderr
        assert stranger.run("list").returncode == 1
        # Root has both; the process says where its home is.
        done = run(PROXYCTL, "list", "--api-url", first.api_url)
        assert (done.returncode, done.stderr) == (0, "")

        urls = {first.process.pid: first.api_url}
        second = stack.enter_context(user.running(*dropin(), **SECRET))
        urls[second.process.pid] = second.api_url
        done = user.run("list")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert done.stderr.startswith("proxyctl: several hubgates are running: ")
        for pid, url in urls.items():
            assert f"{url} (process {pid})" in done.stderr
            assert user.run("list", "--api-url", url).returncode == 0


@pytest.mark.processes
def test_a_proxy_on_a_unix_socket_is_found_without_being_named() -> None:
    with new_users(1) as (user,):
        flags = ("--socket", f"{user.home}/public", "--api-socket", f"{user.home}/api")
        with user.running(*flags, **SECRET):
            assert user.run("list").returncode == 0
            url = f"http+unix://{quote(f'{user.home}/api', safe='')}"
            assert run(PROXYCTL, "list", "--api-url", url).returncode == 0
