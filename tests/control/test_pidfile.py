"""The pid file: ours while we run, and whose it is afterwards."""

import gc
import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from hubgate.control.pidfile import PidFile, check_pid_file
from hubgate.errors import ConfigError


def test_it_has_our_id_and_goes_with_us(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with PidFile(str(path)):
        assert path.read_text() == str(os.getpid())
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


def test_one_that_a_successor_has_written_stays(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with PidFile(str(path)):
        path.write_text("1")
    assert path.read_text() == "1"


def test_checking_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    check_pid_file(str(path))
    assert not path.exists()
    path.write_text("1")
    check_pid_file(str(path))
    assert path.read_text() == "1"
    check_pid_file(None)


def test_without_a_path_there_is_none() -> None:
    with PidFile(None):
        pass


def test_a_path_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"^--pid-file: /\S+: No such file"),
        PidFile(f"{tmp_path}/no/pid"),
    ):
        pass


async def test_it_stays_for_a_release_that_takes_over_in_this_process(tmp_path: Path) -> None:
    """Collecting what was never closed must not run it: the next release has the file by then."""
    path = tmp_path / "pid"
    async with AsyncExitStack() as stack:
        stack.enter_context(PidFile(str(path)))
        stack.pop_all()
    gc.collect()
    assert path.read_text() == str(os.getpid())


# --- what others have put there --------------------------------------------------------------


def victim_of(tmp_path: Path) -> Path:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    return victim


def refused(path: Path, why: str) -> None:
    with pytest.raises(ConfigError, match=rf"^--pid-file: /\S+: {why}; give a"), PidFile(str(path)):
        pass
    with pytest.raises(ConfigError, match=rf"^/\S+: {why}; give a"):
        check_pid_file(str(path))


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_is_not_followed(tmp_path: Path, exists: bool) -> None:
    victim, path = victim_of(tmp_path), tmp_path / "pid"
    if not exists:
        victim.unlink()
    path.symlink_to(victim)
    refused(path, "is a link")
    assert path.is_symlink()
    assert victim.exists() is exists
    assert not exists or victim.read_text() == "precious"


def test_a_second_name_of_another_file_is_not_written_to(tmp_path: Path) -> None:
    victim, path = victim_of(tmp_path), tmp_path / "pid"
    path.hardlink_to(victim)
    refused(path, "has a second hard link")
    assert victim.read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_users_file_is_not_written_to(tmp_path: Path) -> None:
    path = victim_of(tmp_path)
    os.chown(path, 65534, 65534)
    refused(path, "belongs to another user")
    assert path.read_text() == "precious"


def test_nobody_is_waited_for_at_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    os.mkfifo(path)
    refused(path, "is not a regular file")


def test_a_file_of_ours_keeps_its_mode_and_nothing_else(tmp_path: Path) -> None:
    path = victim_of(tmp_path)
    path.write_text("1234567890\n")
    path.chmod(0o644)
    inode = path.stat().st_ino
    with PidFile(str(path)):
        assert path.read_text() == str(os.getpid())
        assert (path.stat().st_mode & 0o777, path.stat().st_ino) == (0o644, inode)
    assert not path.exists()


@pytest.mark.parametrize("text", ["s3cret", "17 18", "1" * 21, " " * 65, "17\0", "routes:\n"])
def test_a_file_of_something_else_is_not_written_to(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    refused(path, "is a file of something else, not of a pid")
    assert path.read_text() == text


@pytest.mark.parametrize("text", ["", "17", "17\n", " 17\n\n"])
def test_a_file_of_a_pid_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pid"
    path.write_text(text)
    with PidFile(str(path)):
        assert path.read_text() == str(os.getpid())


def test_a_link_that_has_taken_its_place_stays(tmp_path: Path) -> None:
    path, other = tmp_path / "pid", tmp_path / "other"
    with PidFile(str(path)):
        path.rename(other)
        path.symlink_to(other)
    assert path.is_symlink()
    assert other.exists()
