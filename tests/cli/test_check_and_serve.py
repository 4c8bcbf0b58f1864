"""`proxyctl check` and `proxyctl serve` agree: one table, the same verdicts, the same words."""

import re
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.running import DROP_IN, PROXYCTL, run, running
from tests.cli.verdicts import BAD, FREE, GOOD, PID, ROUTE, STORE, of_ours
from tests.store.holder import as_ordinary_user, held

pytestmark = pytest.mark.processes


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
    (tmp_path / "state").mkdir(exist_ok=True)
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
        ["error:", "--socket:"],
        ["error:", "--pid-file:"],
        ["error:", "--store:"],
        ["warning:", "HUBGATE_PROT"],
        ["warning:", "REST"],
    ]


MANY = """\
workers: none
pid_file: none/pid
listen: {host: 0.0.0.0, port: 8001}
store: sqlite:.
api:
  socket: none/s
metrics: {host: 192.0.2.1,
  port: 8001}
log_level: loud
"""


def test_all_come_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    """Whatever kind they are, from `check` and from `serve`, with one line each."""
    (tmp_path / "routes.yaml").write_text(MANY)
    environ = {"HUBGATE_TOKEN": "s3cret", "HUBGATE_NO_X": "1", "HUBGATE_API_OPEN": "maybe"}
    said = []
    for command, mark in (("check", "error: "), ("serve", "proxyctl: ")):
        done = run(PROXYCTL, command, cwd=tmp_path, env=environ)
        assert done.returncode == 1
        said.append(without(tmp_path, done.stderr.splitlines(), mark))
    assert said[0] == said[1]
    assert [line.removeprefix("routes.yaml, ").split(": ")[:2] for line in said[0]] == [
        ["line 1", "workers"],
        ["line 2", "pid_file"],
        ["line 3", "listen.host"],
        ["line 4", "store"],
        ["line 6", "api.socket"],
        ["line 7", "metrics.host"],
        ["line 8", "metrics.port"],
        ["line 9", "log_level"],
        ["HUBGATE_API_OPEN", "'maybe' is neither on nor off; write 1 or 0"],
    ]


def test_few_open_files_are_a_mistake_in_both(tmp_path: Path) -> None:
    for command, mark in (("check", "error: "), ("serve", "proxyctl: ")):
        few = ("prlimit", "--nofile=20:20", *PROXYCTL)
        done = run(few, command, *FREE, cwd=tmp_path)
        (line,) = without(tmp_path, done.stderr.splitlines(), mark)
        assert line.startswith("open files: 20 are allowed, and 32 are needed to start;")
        assert done.returncode == 1


def test_no_room_for_a_copy_of_the_store_is_no_mistake_in_it(tmp_path: Path) -> None:
    of_ours(1, ROUTE)(tmp_path)
    # Files of this process and those it starts may have no bytes.
    command = ("prlimit", "--fsize=0", *PROXYCTL)
    done = run(command, "check", *STORE, *FREE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "store" in line]
    assert line.startswith(
        f"warning: store: {tmp_path}/routes.db was not tried, for want of a copy"
    )


def test_a_bad_pid_file_fails_before_any_port_is_opened(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for command, flag in ((PROXYCTL, "serve"), (DROP_IN, "--ip=127.0.0.1")):
            flags = (flag, "--port", port, "--api-port", "0", "--pid-file", "none/pid")
            said = run(command, *flags, cwd=tmp_path, env={"HUBGATE_TOKEN": "s3cret"})
            assert said.returncode == 1
            assert f"none/pid: No such file or directory; {PID}\n" in said.stderr
            assert port not in said.stderr
