"""Files of ours alone: nobody else can read them, nor have us read or write theirs."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hubgate.store.private_folder import PrivateFolder


@pytest.fixture
def folder(tmp_path: Path) -> PrivateFolder:
    return PrivateFolder(tmp_path / "state" / "hubgate")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write(folder: PrivateFolder, name: str, content: bytes = b"x") -> Path:
    fd = folder.create(name)
    os.write(fd, content)
    os.close(fd)
    return folder.path / name


def test_folders_and_files_are_for_us_alone_whatever_the_umask(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; os.umask(0);"
        "from hubgate.store.private_folder import PrivateFolder as F;"
        "F(Path(sys.argv[1])).create('a')"
    )
    folder = tmp_path / "a" / "b" / "c"
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
    assert [mode(tmp_path / "a"), mode(tmp_path / "a" / "b"), mode(folder)] == [0o700] * 3
    assert mode(folder / "a") == 0o600


def test_an_open_folder_of_ours_is_shut_which_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.chmod(0o777)
    for _ in range(2):
        PrivateFolder(tmp_path).close()
    assert mode(tmp_path) == 0o700
    assert caplog.messages == [
        f"{tmp_path} was open to other users (mode 0777): it has mode 0700 from now on"
    ]


def test_a_link_in_the_folders_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "hubgate").symlink_to("elsewhere")
    with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
        PrivateFolder(tmp_path / "hubgate")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_the_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(OSError, match="belongs to another user"):
        PrivateFolder(tmp_path)


def test_what_is_there_is_never_written_over(folder: PrivateFolder, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (folder.path / "a").symlink_to(victim)
    with pytest.raises(FileExistsError):
        folder.create("a")
    write(folder, "b")
    folder.rename("b", "a")
    assert victim.read_text() == "precious"
    assert not (folder.path / "a").is_symlink()


def test_a_file_of_ours_is_opened_and_a_missing_one_is_none(folder: PrivateFolder) -> None:
    write(folder, "a", b"text")
    fd = folder.open("a")
    assert fd is not None
    assert os.read(fd, 10) == b"text"
    os.close(fd)
    assert folder.open("b") is None
    assert folder.identity("b") is None
    folder.remove("b")


@pytest.mark.parametrize("kind", ["link", "second name", "open to others", "fifo", "folder"])
def test_what_others_may_have_put_there_is_not_read(folder: PrivateFolder, kind: str) -> None:
    path = write(folder, "real")
    match kind:
        case "link":
            (folder.path / "a").symlink_to(path)
        case "second name":
            os.link(path, folder.path / "a")
        case "open to others":
            path.rename(folder.path / "a").chmod(0o640)
        case "fifo":
            os.mkfifo(folder.path / "a", 0o600)
        case "folder":
            (folder.path / "a").mkdir(0o700)
    with pytest.raises(OSError, match=r"links|second hard link|other users|not a regular file"):
        folder.open("a")


def test_files_that_nobody_wrote_to_for_long_are_found(folder: PrivateFolder) -> None:
    old = write(folder, "old")
    write(folder, "new")
    ahead = write(folder, "ahead")
    os.utime(ahead, (0, time.time() + 100))
    (folder.path / "link").symlink_to("nowhere")
    os.utime(old, (0, time.time() - 100))
    assert sorted(folder.older_than(60)) == ["ahead", "old"]


def test_a_second_name_replaces_nothing(folder: PrivateFolder) -> None:
    write(folder, "new", b"new")
    folder.link("new", "name")
    assert (folder.path / "name").read_bytes() == b"new"
    write(folder, "newer", b"newer")
    with pytest.raises(FileExistsError):
        folder.link("newer", "name")
    assert (folder.path / "name").read_bytes() == b"new"
