"""How the files a process may have open are divided among its connections."""

import os

import pytest

from hubgate.transport.descriptors import control_share, files_open, worker_share


@pytest.mark.parametrize("allowed", [256, 1024, 4096, 1 << 20])
def test_a_worker_keeps_files_for_itself(allowed: int) -> None:
    share = worker_share(allowed)
    assert 2 * share.public + share.redirect + share.idle <= allowed - 64
    assert share.public >= allowed // 4 - 32


@pytest.mark.parametrize("allowed", [256, 1024])
@pytest.mark.parametrize("workers", [1, 4])
def test_the_supervisor_can_replace_every_worker(allowed: int, workers: int) -> None:
    each = control_share(allowed, 30, workers)
    assert 2 * each + 30 + 64 + 8 * workers <= allowed


def test_something_is_left_for_everybody() -> None:
    assert min(worker_share(0)) > 0
    assert control_share(0, 100, 64) > 0


def test_open_files_are_counted() -> None:
    before = files_open()
    reader, writer = os.pipe()
    assert files_open() == before + 2
    os.close(reader)
    os.close(writer)
