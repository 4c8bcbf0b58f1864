"""Where what one release hands to the next is kept."""

import os
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

from hubgate.control.upgrade.memory_file import memory_file
from hubgate.errors import UpgradeError


def test_it_needs_no_folder_where_files_can_be_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(os, "memfd_create"):
        pytest.skip("no files in memory here")
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    with memory_file("test") as file:
        file.write(b"x")


def test_without_memory_it_is_on_the_disk_or_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def forbidden(name: str) -> NoReturn:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "memfd_create", forbidden, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with memory_file("test") as file:
        file.write(b"x")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(UpgradeError, match="no temporary file for the test: No such file"):
        memory_file("test")
