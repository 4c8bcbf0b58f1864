"""Whatever stands in a file's place, reading it ends, and says in words why it could not be."""

import fcntl
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from hubgate import file_reading
from hubgate.file_reading import read_file
from tests.processes import files_allowed


def why_not(path: str | Path, **options: bool) -> str:
    with pytest.raises(OSError, match=r"\[Errno") as refused:
        read_file(path, 64 * 1024, **options)
    assert refused.value.filename == str(path) or refused.value.strerror
    return refused.value.strerror or ""


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0\xff" * 32768)
    assert read_file(tmp_path / "a", 65536) == b"\0\xff" * 32768
    assert read_file(os.devnull) == b""


def test_what_is_too_large_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert why_not(tmp_path / "sparse") == "it is larger than 64 KiB"
    assert why_not("/dev/zero") == "it is larger than 64 KiB"
    with pytest.raises(OSError, match="16 MiB"):
        read_file("/dev/zero")


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    assert why_not(tmp_path) == "Is a directory"
    assert why_not("a\0b") == "its name contains a NUL character"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        assert why_not(tmp_path / "s")
    assert why_not(os.devnull, once=False) == "it is a pipe or a device, not a file"


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p")
    for content in (b"token", b""):
        reader, end = os.pipe()
        os.write(end, content)
        os.close(end)
        began = time.monotonic()
        assert read_file(f"/dev/fd/{reader}") == content
        assert time.monotonic() - began < file_reading.PATIENCE, "waited for whoever has gone"
        os.close(reader)
    assert why_not(tmp_path / "p", once=False) == "it is a pipe or a device, not a file"


@pytest.mark.parametrize("content", [b"token", b""])
def test_whoever_writes_to_a_pipe_may_come_later(tmp_path: Path, content: bytes) -> None:
    os.mkfifo(tmp_path / "p")
    # It opens its end when ours is open, then takes its time.
    writer = [
        "/bin/sh",
        "-c",
        'exec >"$0"; sleep 0.3; printf %s "$1"',
        str(tmp_path / "p"),
        content,
    ]
    with subprocess.Popen(writer):
        assert read_file(tmp_path / "p") == content


def test_a_pipe_that_nobody_writes_to_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_reading, "PATIENCE", 0.05)
    os.mkfifo(tmp_path / "p")
    assert why_not(tmp_path / "p") == "nobody wrote to it in 0.05 s"


def test_a_pipe_that_does_not_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_reading, "PATIENCE", 0.05)
    os.mkfifo(tmp_path / "p")
    keep = os.open(tmp_path / "p", os.O_RDWR)
    os.write(keep, b"begun")
    assert why_not(tmp_path / "p") == "no end of it came in 0.05 s"
    os.close(keep)


def test_a_pipe_is_waited_for_whatever_its_number(tmp_path: Path) -> None:
    reader, end = os.pipe()
    with files_allowed(2048):
        high = fcntl.fcntl(reader, fcntl.F_DUPFD, 1500)
        writer = threading.Timer(0.2, lambda: (os.write(end, b"token"), os.close(end)))
        writer.start()
        os.set_blocking(high, False)
        assert file_reading._content(high, "it", 64, time.monotonic() + 30) == b"token"
        writer.join()
        os.close(high)
    os.close(reader)
