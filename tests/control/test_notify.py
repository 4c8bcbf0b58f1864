"""What systemd is told, and what happens when it cannot be."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hubgate.control import notify
from tests.control.waiting import until


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    where = str(tmp_path / "notify") if request.param == "path" else f"@{tmp_path}"
    monkeypatch.setenv(notify.VARIABLE, where)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + where[1:] if request.param == "abstract" else where)
        sock.settimeout(30)
        yield sock


def test_each_state(manager: socket.socket) -> None:
    notify.ready()
    assert manager.recv(4096) == b"READY=1"
    notify.stopping()
    assert manager.recv(4096) == b"STOPPING=1"
    notify.reloading()
    first, second = manager.recv(4096).split(b"\n")
    assert first == b"RELOADING=1"
    assert second.startswith(b"MONOTONIC_USEC=")
    assert second[15:].isdigit()


def test_without_a_manager_nothing_is_sent_nor_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(notify.VARIABLE, raising=False)
    notify.ready()
    assert not caplog.records


@pytest.mark.parametrize("where", ["/nowhere/notify", "@hubgate-nobody-listens", "x" * 200])
def test_a_manager_that_is_not_there_is_one_line(
    where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(notify.VARIABLE, where)
    with caplog.at_level(logging.WARNING):
        notify.ready()
    (record,) = caplog.records
    assert f"cannot send READY=1 to {where}: " in record.getMessage()


def fill(manager: socket.socket) -> int:
    """Send the manager more than it has room for; return how many messages it got."""
    count = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                sock.sendto(b"another service", manager.getsockname())
                count += 1
    return count


async def test_a_busy_manager_is_told_in_order_and_not_waited_for(manager: socket.socket) -> None:
    others = fill(manager)
    notify.reloading()
    notify.ready()
    got = [await asyncio.to_thread(manager.recv, 4096) for _ in range(others + 2)]
    assert got[-2].startswith(b"RELOADING=1")
    assert got[-1] == b"READY=1"


async def test_a_manager_that_stays_busy_is_one_line(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill(manager)
    monkeypatch.setattr(notify, "PATIENCE", 0.05)
    with caplog.at_level(logging.WARNING):
        notify.ready()
        assert not caplog.records
        await until(lambda: caplog.records)
    assert "cannot send READY=1 to " in caplog.messages[0]
    assert not notify._waiting
