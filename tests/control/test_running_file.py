"""What a running hubgate leaves for `proxyctl`, and what is made of such files."""

import asyncio
import errno
import json
import logging
import os
import stat
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from hubgate.control.running_file import (
    INSIDE,
    RunningFile,
    file_name,
    pids_in,
    read_record,
    started,
)
from hubgate.control.supervisor import Supervisor
from hubgate.model import Address, ServerTLS
from hubgate.settings import Settings
from tests.certificates.made import make_files

ME = os.getpid()
PLAIN = Settings(api_token="s3cret")
PORT = Address("127.0.0.1", 8001)
BAD_URLS = (
    *("", "http://", "http://[", "http://[::1", "http://127.0.0.1", "http://127.0.0.1:"),
    *(
        "http://127.0.0.1:99999",
        "http://127.0.0.1:abc",
        "http://127.0.0.1:0",
        "http://127.0.0.1:-1",
    ),
    *("http://127.0.0.1:1/", "http://127.0.0.1:1/a", "http://127.0.0.1:1?a", "http://127.0.0.1:1#"),
    *("http://a@127.0.0.1:1", "HTTP://127.0.0.1:1", " http://127.0.0.1:1", "http://127.0.0.1:1\n"),
    *("http://\u0661:1", "http://\ud800:1", "http://a b:1", "http://\x1b[2J:1", "http://a\0:1"),
    *("ftp://127.0.0.1:1", "ws://127.0.0.1:1", "127.0.0.1:1", "//127.0.0.1:1", "file:///etc"),
    *("http+unix://", "http+unix://%00", "http+unix://\ud800", "http+unix://%2Fa%00", "unix:///a"),
    *("http+unix://a", "http+unix://%2Fa%FF", "http+unix://%2Fa/b", "http+unix://" + "%2Fa" * 99),
)
NO_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nb3du\n-----END CERTIFICATE-----\n"


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
    file.update(PLAIN)  # a reload that a stop overtakes
    assert list(folder_in(home).iterdir()) == []


def test_nothing_with_a_token_is_left_of_one_that_could_not_be_written(
    home: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(json, "dump", full)
        RunningFile(home).begin(PLAIN, [PORT])
    assert list(folder_in(home).iterdir()) == []
    # Of one that was killed while it wrote, nothing is left after the next start.
    with subprocess.Popen(["true"]) as ended:
        pass
    left = [f"{file_name(pid)}.0badb007" for pid in (ended.pid, ME)]
    elsewhere = ["7-0badb007.running.0badb007", "8-0badb007.running.0badb007"]
    writing = f"{file_name(os.getppid())}.0badb007"
    for name in (*left, *elsewhere, writing):
        (folder_in(home) / name).touch(0o600)
    os.utime(folder_in(home) / elsewhere[0], (time.time() - 7200,) * 2)
    RunningFile(home).begin(PLAIN, [PORT])
    names = {path.name for path in folder_in(home).iterdir()}
    assert names == {file_name(ME), elsewhere[1], writing}


async def test_a_hubgate_that_runs_for_long_refreshes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine, or container, removes what nobody has written to for a month."""
    monkeypatch.setattr("hubgate.control.supervisor.REFRESHED", 0.01)
    told: list[Settings] = []
    hubgate = Mock(settings=PLAIN, _running_file=Mock(update=told.append))
    with suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await Supervisor._refresh_running_file(hubgate)
    assert told[:2] == [PLAIN, PLAIN]


def test_of_the_certificates_only_the_servers_own_is_in_it(
    home: dict[str, str], tmp_path: Path
) -> None:
    made = make_files(tmp_path)
    own = Path(made.cert).read_text()
    chain = tmp_path / "chain.pem"
    key = "-----BEGIN PRIVATE KEY-----\nkey\n-----END PRIVATE KEY-----\n"
    # What people write around it is in any language.
    chain.write_text(f"# für den Hub\n{key}{own}{Path(made.ca).read_text()}", encoding="latin-1")
    tls = ServerTLS(str(chain), str(chain))
    RunningFile(home).begin(replace(PLAIN, api_tls=tls), [PORT])
    record = read_record(folder_in(home), ME, os.geteuid())
    assert record is not None
    assert record.certificate == own
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
    [
        _open,
        _link,
        _second_name,
        _fifo,
        *map(_text, ["{", "[]", '{"pid": 1}', "\0", "1" * 5000, "[" * 100_000]),
    ],
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
    "changed",
    [
        *({"pid": each} for each in ("1", True, None, ME + 0.0)),
        *({"started": each} for each in (5, None, "", "-1")),
        *({"version": each} for each in (2, None)),
        *({"network": each} for each in (5, [])),
        *({"token": each} for each in (1, "", "a b", "a\nb", "ключ", "\ud800", ["a"])),
        *({"certificate": each} for each in (1, "", "ключ", NO_CERTIFICATE, 2 * NO_CERTIFICATE)),
        *({"api": each} for each in (None, 1, "http://127.0.0.1:1", [], [1], [[]], [None])),
        *({"api": ["http://127.0.0.1:1", each]} for each in BAD_URLS),
        {"api": [f"http://127.0.0.1:{port}" for port in range(1, 200)]},
    ],
)
def test_a_record_of_another_shape_is_ignored(
    changed: dict[str, object], home: dict[str, str]
) -> None:
    RunningFile(home).begin(PLAIN, [PORT])
    write(folder_in(home), ME, **changed)
    assert read_record(folder_in(home), ME, os.geteuid()) is None


def test_a_damaged_one_is_in_nobodys_way(home: dict[str, str]) -> None:
    RunningFile(home).begin(PLAIN, [PORT])
    for url in BAD_URLS:
        write(folder_in(home), os.getppid(), pid=os.getppid(), api=[url])
        RunningFile(home).begin(PLAIN, [PORT])
        assert not (folder_in(home) / file_name(os.getppid())).exists()
    (folder_in(home) / file_name(os.getppid())).mkdir()
    (folder_in(home) / f"{file_name(ME)}.0badb007").mkdir()
    RunningFile(home).begin(replace(PLAIN, api_token="another"), [PORT])
    record = read_record(folder_in(home), ME, os.geteuid())
    assert record is not None
    assert record.token == "another"


def test_one_that_cannot_be_read_is_ignored(
    home: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    RunningFile(home).begin(PLAIN, [PORT])
    with monkeypatch.context() as patch:
        patch.setattr(os, "read", broken)
        assert read_record(folder_in(home), ME, os.geteuid()) is None


def test_an_address_that_no_url_can_name_is_left_out(home: dict[str, str]) -> None:
    socket = Address(path=os.fsdecode(b"/run/\xff"))
    RunningFile(home).begin(PLAIN, [Address("fe80::1%eth0", 1), PORT, socket])
    record = read_record(folder_in(home), ME, os.geteuid())
    assert record is not None
    assert record.api == ("http://127.0.0.1:8001",)


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
