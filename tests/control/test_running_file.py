"""What a running hubgate leaves for `proxyctl`, and what is made of such files."""

import json
import logging
import os
import stat
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hubgate.control.running_file import (
    INSIDE,
    RunningFile,
    file_name,
    pids_in,
    read_record,
    started,
)
from hubgate.model import Address, ServerTLS
from hubgate.settings import Settings

ME = os.getpid()
PLAIN = Settings(api_token="s3cret")
PORT = Address("127.0.0.1", 8001)


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / "state")}


def folder_in(home: dict[str, str]) -> Path:
    return Path(home["XDG_STATE_HOME"]) / INSIDE


def test_it_says_where_and_with_what_and_to_nobody_else(home: dict[str, str]) -> None:
    before = os.umask(0)
    try:
        RunningFile(home).begin(PLAIN, [PORT])
    finally:
        os.umask(before)
    record = read_record(folder_in(home), ME, os.geteuid())
    assert record is not None
    assert (record.pid, record.api, record.token) == (ME, ("http://127.0.0.1:8001",), "s3cret")
    assert "s3cret" not in repr(record)
    file = folder_in(home) / file_name(ME)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (file, file.parent)] == [0o600, 0o700]
    assert list(folder_in(home).iterdir()) == [file]


@pytest.mark.parametrize(
    ("address", "urls"),
    [
        (Address("", 1), ("http://127.0.0.1:1", "http://[::1]:1")),
        (Address("0.0.0.0", 1), ("http://127.0.0.1:1",)),
        (Address("::1", 1), ("http://[::1]:1",)),
        (Address("proxy.example.org", 1), ("http://proxy.example.org:1",)),
        (Address(path="/run/a b.sock"), ("http+unix://%2Frun%2Fa%20b.sock",)),
    ],
)
def test_addresses(address: Address, urls: tuple[str, ...], home: dict[str, str]) -> None:
    RunningFile(home).begin(PLAIN, [address])
    record = read_record(folder_in(home), ME, os.geteuid())
    assert record is not None
    assert record.api == urls


def test_a_reload_changes_it_and_the_end_removes_it(home: dict[str, str]) -> None:
    file = RunningFile(home)
    file.remove()
    file.begin(PLAIN, [PORT])
    file.update(replace(PLAIN, api_token="another"))
    record = read_record(folder_in(home), ME, os.geteuid())
    assert record is not None
    assert (record.api, record.token) == (("http://127.0.0.1:8001",), "another")
    file.remove()
    file.remove()
    assert list(folder_in(home).iterdir()) == []


def test_of_the_certificates_only_the_servers_own_is_in_it(
    home: dict[str, str], tmp_path: Path
) -> None:
    own, other = "BEGIN CERTIFICATE-----\nb3du\n-----END", "BEGIN CERTIFICATE-----\nY2E=\n-----END"
    chain = tmp_path / "chain.pem"
    chain.write_text(
        f"-----BEGIN PRIVATE KEY-----\nkey\n-----{own} CERTIFICATE-----\n-----{other} C"
    )
    tls = ServerTLS(str(chain), str(chain))
    RunningFile(home).begin(replace(PLAIN, api_tls=tls), [PORT])
    record = read_record(folder_in(home), ME, os.geteuid())
    assert record is not None
    assert record.certificate == f"-----{own} CERTIFICATE-----\n"
    assert record.api == ("https://127.0.0.1:8001",)


def test_what_was_killed_is_ignored_and_removed_by_the_next(home: dict[str, str]) -> None:
    RunningFile(home).begin(PLAIN, [PORT])
    folder = folder_in(home)
    with subprocess.Popen(["true"]) as ended:
        pass
    write(folder, ended.pid, pid=ended.pid)
    # Its pid is another process's by now.
    write(folder, os.getppid(), pid=os.getppid(), started="1")
    earlier = folder / "7-0badb007.running"
    earlier.touch(0o600)
    kept = folder / "8-0badb007.running"
    kept.touch(0o600)
    os.utime(earlier, (0, 0))
    os.utime(kept, (time.time() - 86400,) * 2)
    assert set(pids_in(folder)) == {ME, ended.pid, os.getppid()}
    for pid in (ended.pid, os.getppid()):
        assert read_record(folder, pid, os.geteuid()) is None
    RunningFile(home).begin(PLAIN, [PORT])
    assert {path.name for path in folder.iterdir()} == {file_name(ME), kept.name}


def write(folder: Path, process: int, /, **changed: object) -> Path:
    """Put a record of a process there, with some of it changed."""
    file = folder / file_name(process)
    data = json.loads((folder / file_name(ME)).read_text()) | changed
    file.touch(0o600)
    file.write_text(json.dumps(data))
    return file


def _open(file: Path) -> None:
    file.chmod(0o640)


def _link(file: Path) -> None:
    file.rename(file.with_suffix(".real"))
    file.symlink_to(file.with_suffix(".real"))


def _second_name(file: Path) -> None:
    os.link(file, file.with_suffix(".second"))


def _fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


def _text(text: str) -> Callable[[Path], None]:
    return lambda file: file.write_text(text) and None


@pytest.mark.parametrize(
    "harm",
    [_open, _link, _second_name, _fifo, *map(_text, ["{", "[]", '{"pid": 1}', "\0", "1" * 5000])],
)
def test_what_nobody_of_ours_has_written_is_ignored(
    harm: Callable[[Path], None], home: dict[str, str]
) -> None:
    RunningFile(home).begin(PLAIN, [PORT])
    assert read_record(folder_in(home), ME, os.geteuid()) is not None
    assert read_record(folder_in(home), ME, os.geteuid() + 1) is None
    harm(folder_in(home) / file_name(ME))
    assert read_record(folder_in(home), ME, os.geteuid()) is None


@pytest.mark.parametrize(
    "changed", [{"token": 1}, {"api": [1]}, {"api": None}, {"pid": "1"}, {"started": 5}]
)
def test_a_record_of_another_shape_is_ignored(
    changed: dict[str, object], home: dict[str, str]
) -> None:
    RunningFile(home).begin(PLAIN, [PORT])
    write(folder_in(home), ME, **changed)
    assert read_record(folder_in(home), ME, os.geteuid()) is None


@pytest.mark.parametrize("state", ["file", ""])
def test_a_place_that_cannot_be_used_is_one_line(
    state: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "file").touch()
    if not state:
        monkeypatch.setattr("hubgate.control.running_file.state_home", lambda _: None)
    file = RunningFile({"XDG_STATE_HOME": str(tmp_path / "file")})
    file.begin(PLAIN, [PORT])
    file.update(PLAIN)
    file.remove()
    (record,) = caplog.records
    assert record.levelname == "INFO"
    assert record.getMessage().startswith("proxyctl has to be told the API's address and token: ")


def test_a_process_is_told_from_another_by_its_start() -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        assert started(other.pid)
        assert int(started(other.pid) or 0) >= int(started(ME) or 0)
        other.kill()
    assert started(other.pid) is None
