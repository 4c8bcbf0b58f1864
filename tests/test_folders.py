"""Whether a file can be created in a folder; `tests/cli/test_check_and_serve.py` compares."""

import errno
from pathlib import Path

import pytest

from hubgate.folders import creation_error, folder_error


def test_a_folder_that_can_be_written(tmp_path: Path) -> None:
    assert folder_error(tmp_path) is None
    assert creation_error(tmp_path) is None
    assert creation_error(tmp_path / "a" / "b") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("inside", ["", "b", "b/c"])
def test_a_file_is_none(tmp_path: Path, inside: str) -> None:
    (tmp_path / "a").touch()
    error = creation_error(tmp_path / "a" / inside)
    assert error is not None
    assert (error.errno, error.strerror) == (errno.ENOTDIR, "Not a directory")


def test_one_that_is_missing(tmp_path: Path) -> None:
    assert isinstance(folder_error(tmp_path / "a"), FileNotFoundError)
    (tmp_path / "link").symlink_to("none")
    assert isinstance(creation_error(tmp_path / "link"), FileNotFoundError)
