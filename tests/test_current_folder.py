"""Relative paths mean the same once the current folder is gone."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubgate.control.workers.spawn import worker_environment
from hubgate.current_folder import anchored, current_folder
from hubgate.settings.layers import merge
from tests.cli.drop import Drop


@pytest.fixture
def gone(tmp_path: Path) -> Iterator[Path]:
    """Be in a folder that has been deleted."""
    before = os.getcwd()
    folder = tmp_path / "gone"
    folder.mkdir()
    os.chdir(folder)
    folder.rmdir()
    yield folder
    os.chdir(before)


def test_a_folder_that_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert current_folder() == str(tmp_path)
    assert anchored("a/../b") == f"{tmp_path}/b"
    assert anchored("/c/./d") == "/c/d"


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="only Linux remembers")
def test_a_folder_that_was_deleted_has_the_path_it_had(gone: Path) -> None:
    assert current_folder() == str(gone)
    assert anchored("routes.db") == f"{gone}/routes.db"


def test_flags_and_variables_are_read_in_a_deleted_folder(gone: Path) -> None:
    environ = {"HUBGATE_STORE": "sqlite:r.db", "HUBGATE_ACCESS_LOG": "log"}
    merged = merge({}, environ, {"--pid-file": "pid", "--port": "1"}).data
    assert merged["pid_file"] == f"{gone}/pid"
    assert merged["store"] == f"sqlite:{gone}/r.db"
    assert merged["access_log"] == {"path": f"{gone}/log"}


def test_the_drop_in_is_configured_in_a_deleted_folder(
    gone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop = Drop(monkeypatch)
    assert drop.run().store == "memory:"
    assert drop.run("--pid-file", "p").pid_file == f"{gone}/p"


def test_workers_are_started_from_a_deleted_folder(
    gone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend("")
    assert str(gone) in worker_environment()["PYTHONPATH"].split(os.pathsep)
