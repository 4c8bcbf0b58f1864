"""How the files a process may have open are divided among its connections."""

import os

import pytest

from hubgate.transport.descriptors import control_share, files_open, worker_share


@pytest.mark.parametrize("allowed", [256, 1024, 4096, 1 << 20])
@pytest.mark.parametrize("wanted", [10, 16384, None])
def test_a_worker_keeps_files_for_itself(allowed: int, wanted: int | None) -> None:
    share = worker_share(allowed, wanted)
    assert 2 * share.public + share.redirect + share.idle <= allowed - 64
    assert share.public >= min(wanted or allowed, allowed // 4, allowed // 2 - 300)


def test_what_the_public_port_does_not_want_is_left_to_others() -> None:
    assert worker_share(1 << 20, 16384).redirect > 16384
    assert worker_share(256, 10).idle > worker_share(256, None).idle


@pytest.mark.parametrize("allowed", [256, 1024])
@pytest.mark.parametrize("workers", [1, 4])
def test_the_supervisor_can_replace_every_worker(allowed: int, workers: int) -> None:
    each = control_share(allowed, 30, workers)
    assert 2 * each + 30 + 64 + 8 * workers <= allowed


def test_something_is_left_for_everybody() -> None:
    assert min(worker_share(0, None)) > 0
    assert control_share(0, 100, 64) > 0


def test_open_files_are_counted() -> None:
    before = files_open()
    reader, writer = os.pipe()
    assert files_open() == before + 2
    os.close(reader)
    os.close(writer)
