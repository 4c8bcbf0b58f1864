"""Whatever stands in a file's place, reading it ends, and says in words why it could not be."""

import fcntl
import os
import socket
import threading
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
    assert read_file(tmp_path / "p") == b""  # nobody writes
    reader, end = os.pipe()
    os.write(end, b"token")
    os.close(end)
    assert read_file(f"/dev/fd/{reader}") == b"token"
    os.close(reader)
    assert why_not(tmp_path / "p", once=False) == "it is a pipe or a device, not a file"


def test_a_pipe_that_does_not_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_reading, "PATIENCE", 0.05)
    os.mkfifo(tmp_path / "p")
    keep = os.open(tmp_path / "p", os.O_RDWR)
    assert why_not(tmp_path / "p") == "no end of it came in 0.05 s"
    os.close(keep)


def test_a_pipe_is_waited_for_whatever_its_number(tmp_path: Path) -> None:
    reader, end = os.pipe()
    with files_allowed(2048):
        high = fcntl.fcntl(reader, fcntl.F_DUPFD, 1500)
        writer = threading.Timer(0.2, lambda: (os.write(end, b"token"), os.close(end)))
        writer.start()
        os.set_blocking(high, False)
        assert file_reading._content(high, "it", 64) == b"token"
        writer.join()
        os.close(high)
    os.close(reader)
