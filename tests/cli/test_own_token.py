"""The token that `proxyctl serve` makes for itself, and that other commands find."""

import http.client
import json
import multiprocessing
import os
import re
import signal
import socket
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hubgate.cli.own_token import own_token_for, with_own_token, with_planned_token
from hubgate.cli.serve import MADE_BEFORE
from hubgate.control.file_watch import CLOCK_LAG, LOOK_ANYWAY
from hubgate.errors import ConfigError
from hubgate.model import Address, ServerTLS
from hubgate.settings import Settings
from tests.cli.running import PROXYCTL, TOKEN, Proxy, run, running
from tests.contract.ports import distinct_ports

PLAIN = Settings(api=(Address("127.0.0.1", 8001),))


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / "state")}


def file_in(home: dict[str, str], name: str = "8001") -> Path:
    return Path(home["XDG_STATE_HOME"], "hubgate", f"api-{name}.token")


def test_it_is_made_once_and_kept(home: dict[str, str]) -> None:
    made = with_own_token(PLAIN, home)
    assert made.api_token_file == file_in(home)
    assert made.api_token
    assert len(made.api_token) == 64
    assert file_in(home).read_text() == f"{made.api_token}\n"
    assert with_own_token(PLAIN, home) == made
    assert [path.name for path in file_in(home).parent.iterdir()] == ["api-8001.token"]


def test_nobody_else_can_read_it_whatever_the_umask(home: dict[str, str]) -> None:
    before = os.umask(0)
    try:
        with_own_token(PLAIN, home)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (file_in(home), file_in(home).parent)]
    assert modes == [0o600, 0o700]


def test_each_port_has_its_own(home: dict[str, str]) -> None:
    other = replace(PLAIN, api=(Address("127.0.0.1", 8002),))
    assert with_own_token(PLAIN, home).api_token != with_own_token(other, home).api_token


@pytest.mark.parametrize(
    "settings",
    [
        replace(PLAIN, api_open=True),
        replace(PLAIN, api_token="given"),
        replace(PLAIN, api_tls=ServerTLS("c", "k", request_cert=True, reject_unauthorized=True)),
    ],
)
def test_none_is_made_where_none_is_needed(settings: Settings, home: dict[str, str]) -> None:
    assert with_own_token(settings, home) == with_planned_token(settings, home) == settings
    assert not file_in(home).exists()


def test_planning_writes_nothing(home: dict[str, str]) -> None:
    planned = with_planned_token(PLAIN, home)
    assert planned.api_token
    assert planned.api_token_file == file_in(home)
    assert not file_in(home).parent.exists()
    made = with_own_token(PLAIN, home)
    assert with_planned_token(PLAIN, home) == made


def _make(home: dict[str, str]) -> str | None:
    return with_own_token(PLAIN, home).api_token


def test_many_that_start_at_once_have_the_same(home: dict[str, str]) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        found = pool.map(_make, [home] * 16, chunksize=1)
    assert len(set(found)) == 1
    assert [path.name for path in file_in(home).parent.iterdir()] == ["api-8001.token"]


def test_an_unusable_file_is_not_replaced(home: dict[str, str]) -> None:
    with_own_token(PLAIN, home)
    file_in(home).chmod(0o644)
    before = file_in(home).read_text()
    for call in (with_own_token, with_planned_token):
        with pytest.raises(ConfigError, match="is open to other users"):
            call(PLAIN, home)
    with pytest.raises(ConfigError, match="is open to other users"):
        own_token_for("http://127.0.0.1:8001", home)
    assert file_in(home).read_text() == before


def _as_file(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("")


def _as_link(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir(parents=True)
    folder.symlink_to("elsewhere")


def _below_a_file(folder: Path) -> None:
    folder.parent.write_text("")


@pytest.mark.parametrize(
    ("harm", "above", "what"),
    [
        (_as_file, 0, "is not a folder"),
        (_as_link, 0, "is a link"),
        (_below_a_file, 1, "is not a folder"),
    ],
)
@pytest.mark.parametrize("call", [with_own_token, with_planned_token])
def test_a_folder_that_cannot_be_used_is_one_line(
    call: Callable[[Settings, dict[str, str]], Settings],
    harm: Callable[[Path], None],
    above: int,
    what: str,
    home: dict[str, str],
) -> None:
    folder = file_in(home).parent
    harm(folder)
    with pytest.raises(ConfigError) as raised:
        call(PLAIN, home)
    (line,) = raised.value.lines
    assert line == (
        f"{(folder, folder.parent)[above]}: {what}; the API's token cannot be kept in the folder"
        f" {folder}; give --token-file or HUBGATE_TOKEN, or --api-open if anyone on this machine"
        " may use the API"
    )


@pytest.mark.parametrize("harm", [_as_file, _as_link])
def test_planning_says_what_making_would(
    harm: Callable[[Path], None], home: dict[str, str]
) -> None:
    harm(file_in(home).parent)
    lines = []
    for call in (with_own_token, with_planned_token):
        with pytest.raises(ConfigError) as raised:
            call(PLAIN, home)
        lines += raised.value.lines
    assert len(set(lines)) == 1


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    for call in (with_own_token, with_planned_token):
        with pytest.raises(ConfigError, match=r"^HOME: .* set XDG_STATE_HOME .*, or give --token"):
            call(PLAIN, {})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
@pytest.mark.parametrize("call", [with_own_token, with_planned_token])
def test_a_folder_of_another_user_is_one_line(
    call: Callable[[Settings, dict[str, str]], Settings], home: dict[str, str]
) -> None:
    folder = file_in(home).parent
    folder.mkdir(parents=True)
    os.chown(folder, 12345, 12345)
    with pytest.raises(ConfigError, match=f"^{folder}: belongs to another user; "):
        call(PLAIN, home)


def test_proxyctl_names_a_folder_that_is_none(home: dict[str, str]) -> None:
    _as_file(file_in(home).parent)
    with pytest.raises(ConfigError, match=f"^{file_in(home).parent}: is not a folder; "):
        own_token_for("http://127.0.0.1:8001", home)


def test_only_an_api_on_this_machine_gets_it(home: dict[str, str]) -> None:
    token = with_own_token(PLAIN, home).api_token
    for url in ("http://127.0.0.1:8001", "http://localhost:8001/", "https://[::1]:8001/base"):
        assert own_token_for(url, home) == token
    for url in (
        "http://127.0.0.1:8002",
        "http://127.0.0.1",
        "http://10.0.0.1:8001",
        "http://proxy:8001",
        "http://127.0.0.1.example.org:8001",
        "http+unix://%2Frun%2Fapi.sock",
    ):
        assert own_token_for(url, home) is None
    at_socket = replace(PLAIN, api=(Address(path="/run/api.sock"),))
    token = with_own_token(at_socket, home).api_token
    assert own_token_for("http+unix://%2Frun%2Fapi.sock", home) == token


# --- for real ---


def serve(port: int, *flags: str) -> tuple[str, ...]:
    return ("serve", "--port", "0", "--api-port", str(port), *flags)


def status(proxy: Proxy, token: str | None = None) -> int:
    connection = http.client.HTTPConnection(urlsplit(proxy.api_url).netloc, timeout=30)
    try:
        fields = {} if token is None else {"Authorization": f"token {token}"}
        connection.request("GET", "/api/routes", headers=fields)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.processes
def test_proxyctl_finds_it_and_nobody_else_comes_in(tmp_path: Path, home: dict[str, str]) -> None:
    (port,) = distinct_ports(1)
    file = file_in(home, str(port))
    environ = {**home, "HUBGATE_API_URL": f"http://localhost:{port}"}
    for start in range(2):
        with running(tmp_path, PROXYCTL, *serve(port), env=home) as proxy:
            assert status(proxy) == 403
            assert proxy.wait_for(r"The API's token is in (\S+)") == str(file)
            token = file.read_text().strip()
            assert status(proxy, token) == 200
            assert token not in proxy.log
            assert "not authenticated" not in proxy.log
            for args in (("add", f"/{start}", "http://b"), ("list",), ("reload",), ("upgrade",)):
                done = run(PROXYCTL, *args, env=environ)
                assert (done.returncode, done.stderr) == (0, "")
            assert file.read_text().strip() == token
            assert status(proxy) == 403


@pytest.mark.processes
def test_another_token_in_its_file_counts_at_once(tmp_path: Path, home: dict[str, str]) -> None:
    (port,) = distinct_ports(1)
    with running(tmp_path, PROXYCTL, *serve(port), env=home) as proxy:
        assert status(proxy) == 403
        fresh = file_in(home, str(port)).with_suffix(".new")
        fresh.touch(0o600)
        fresh.write_text("another")
        os.replace(fresh, file_in(home, str(port)))
        assert proxy.wait_for("reloaded: the API's token")
        assert status(proxy, "another") == 200


@pytest.mark.processes
def test_one_that_cannot_be_used_is_told_and_replaced_once_it_is_removed(
    tmp_path: Path, home: dict[str, str]
) -> None:
    (port,) = distinct_ports(1)
    file = file_in(home, str(port))
    with running(tmp_path, PROXYCTL, *serve(port), env=home) as proxy:
        environ = {**home, "HUBGATE_API_URL": proxy.api_url}
        before = file.read_text().strip()
        mistake = (
            f"{file}: is open to other users, who may know the token; remove it, and"
            " `proxyctl serve` makes another token, also while it runs\n"
        )
        file.chmod(0o644)
        # What runs has told `proxyctl` the token that it goes on with.
        assert run(PROXYCTL, "list", env=environ).stderr == ""
        assert proxy.wait_for(re.escape(f"the running settings stay: {mistake}"))
        assert status(proxy, before) == 200
        file.unlink()
        assert proxy.wait_for(re.escape(f"{file} was gone: there is a new token in it"))
        assert proxy.wait_for("reloaded: the API's token")
        assert file.read_text().strip() != before
        assert (status(proxy, before), status(proxy, file.read_text().strip())) == (403, 200)
        assert run(PROXYCTL, "list", env=environ).returncode == 0
        file.unlink()
        os.kill(proxy.process.pid, signal.SIGHUP)
        assert proxy.wait_for(r"(?s)(reloaded: the API's token.*){2}")
        assert run(PROXYCTL, "reload", env=environ).stdout == "reloaded: nothing has changed\n"
    assert proxy.log.count("reloaded: ") == 3
    assert proxy.log.count("is open to other users") == 1


@pytest.mark.processes
def test_it_stays_with_the_port_that_only_a_restart_changes(
    tmp_path: Path, home: dict[str, str]
) -> None:
    port, other = distinct_ports(2)
    routes = tmp_path / "routes.yaml"
    routes.write_text(f"listen: {{port: 0}}\napi: {{port: {port}}}\n")
    with running(tmp_path, PROXYCTL, "serve", env=home) as proxy:
        environ = {**home, "HUBGATE_API_URL": proxy.api_url}
        token = file_in(home, str(port)).read_text().strip()
        routes.write_text(f"listen: {{port: 0}}\napi: {{port: {other}}}\n")
        done = run(PROXYCTL, "reload", env=environ)
        assert (done.returncode, "api" in done.stdout + done.stderr) == (0, True)
        assert status(proxy, token) == 200
        assert not file_in(home, str(other)).exists()
        file_in(home, str(port)).unlink()
        assert proxy.wait_for("reloaded: the API's token")
        assert status(proxy, file_in(home, str(port)).read_text().strip()) == 200


@pytest.mark.processes
def test_a_first_start_reloads_nothing(tmp_path: Path, home: dict[str, str]) -> None:
    (port,) = distinct_ports(1)
    with running(tmp_path, PROXYCTL, *serve(port), env=home) as proxy:
        assert proxy.api_url
        # It would say so before it looks at what has changed by then.
        time.sleep(2 * LOOK_ANYWAY)
        file_in(home, str(port)).write_text("another")
        assert proxy.wait_for("reloaded: the API's token")
        assert proxy.log.count("reloaded: ") == 1
    assert MADE_BEFORE > CLOCK_LAG


@pytest.mark.processes
def test_an_api_open_to_this_machine_is_asked_for(tmp_path: Path, home: dict[str, str]) -> None:
    with running(tmp_path, PROXYCTL, *serve(0, "--api-open"), env=home) as proxy:
        assert status(proxy) == 200
        assert "warning: REST API is not authenticated." in proxy.log
    assert not file_in(home, "0").exists()
    with running(tmp_path, PROXYCTL, *serve(0), env={**home, **TOKEN}) as proxy:
        assert status(proxy, TOKEN["HUBGATE_TOKEN"]) == 200
    assert not file_in(home, "0").exists()


@pytest.mark.processes
def test_without_a_place_for_it_nothing_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(PROXYCTL, *serve(0), cwd=tmp_path, env={"XDG_STATE_HOME": str(tmp_path / "file")})
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert (
        f"{tmp_path / 'file'}: is not a folder; the API's token cannot be kept in the folder"
        in done.stderr
    )


@pytest.mark.processes
def test_a_check_says_where_it_would_be(tmp_path: Path, home: dict[str, str]) -> None:
    done = run(PROXYCTL, "check", cwd=tmp_path, env=home)
    assert done.returncode == 0
    assert "api      http://127.0.0.1:8001, guarded\n" in done.stdout
    assert f"token    {file_in(home)}\n" in done.stdout
    assert not file_in(home).parent.exists()


@pytest.mark.processes
@pytest.mark.parametrize("level", ["info", "warn"])
def test_where_it_is_is_logged_as_settings_say(
    level: str, tmp_path: Path, home: dict[str, str]
) -> None:
    (tmp_path / "routes.yaml").write_text(f"log_format: json\nlog_level: {level}\n")
    (port,) = distinct_ports(1)
    with running(tmp_path, PROXYCTL, *serve(port), env=home) as proxy:
        deadline = time.monotonic() + 30
        while not answers(port):
            assert time.monotonic() < deadline, proxy.log
            time.sleep(0.05)
    messages = [json.loads(line)["message"] for line in proxy.log.splitlines()]
    assert any(text.startswith("The API's token is in") for text in messages) is (level == "info")


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=30).close()
    except OSError:
        return False
    return True
