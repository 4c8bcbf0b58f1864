"""The pid file: ours while we run, and whose it is afterwards."""

import gc
import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from hubgate.control.pidfile import PidFile
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


def test_without_a_path_there_is_none() -> None:
    with PidFile(None):
        pass


def test_a_path_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"^--pid-file /\S+: No such file"),
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
