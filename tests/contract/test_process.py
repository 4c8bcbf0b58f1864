"""The life of the process: pid file, signals, restarts, and what it leaves behind."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import psutil  # type: ignore[import-untyped]
import pytest

from tests.contract.better import better
from tests.contract.conftest import MakeTarget, StartProxy
from tests.contract.frames import FrameServer, handshake, read_frame
from tests.contract.harness import Options, accepts, launch
from tests.contract.polling import eventually
from tests.contract.ports import free_ports
from tests.contract.target import Connection, Target, answer
from tests.frames import CLOSE

SIGNALS = [signal.SIGTERM, signal.SIGINT]


@dataclass(frozen=True)
class Life:
    """A proxy from its start in an empty folder to its end by a signal, and what was seen."""

    seconds_to_start: float
    pid: int
    pid_written: str
    code: int
    pid_file_left: bool
    files_left: list[str]
    ports_left: bool
    children_left: list[psutil.Process]


def live(number: signal.Signals, folder: Path) -> Life:
    """Start a proxy, have it do something, and end it with a signal to its own pid only."""
    pid_file, workplace = folder / "pid", folder / "workplace"
    pid_file.write_text("99999999999\n")
    workplace.mkdir()
    started = time.monotonic()
    with contextlib.chdir(workplace):
        proxy = launch(Options(("--pid-file", str(pid_file))), folder)
    seconds = time.monotonic() - started
    try:
        proxy.add("/x", "http://127.0.0.1:9")
        assert proxy.get("/x").status == 503
        assert eventually(lambda: pid_file.read_text().strip().isdecimal())
        written = pid_file.read_text()
        born = psutil.Process(proxy.process.pid).children(recursive=True)
        proxy.signal(number)
        code = proxy.wait()
        gone = eventually(lambda: not accepts(proxy.public) and not accepts(proxy.api), 3)
        _, alive = psutil.wait_procs(born, timeout=10)
    finally:
        proxy.kill()
    left = os.listdir(workplace)
    return Life(seconds, proxy.process.pid, written, code, pid_file.exists(), left, not gone, alive)


Lives = Callable[[signal.Signals], Life]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Lives:
    """Return the life of a proxy that a signal ended; each is lived once."""
    lives: dict[signal.Signals, Life] = {}

    def of(number: signal.Signals) -> Life:
        if number not in lives:
            lives[number] = live(number, tmp_path_factory.mktemp("life"))
        return lives[number]

    return of


class TestPidFile:
    """--pid-file."""

    def test_it_holds_the_pid_whatever_was_in_it(self, life: Lives) -> None:
        assert life(signal.SIGTERM).pid_written.strip() == str(life(signal.SIGTERM).pid)

    @pytest.mark.parametrize("number", SIGNALS)
    def test_it_is_removed_at_the_end(self, life: Lives, number: signal.Signals) -> None:
        assert not life(number).pid_file_left


class TestRemains:
    """Nothing outlives the process, however it ends."""

    @pytest.mark.parametrize("number", [*SIGNALS, signal.SIGKILL])
    def test_its_ports_are_free_at_once(self, life: Lives, number: signal.Signals) -> None:
        assert not life(number).ports_left

    @pytest.mark.parametrize("number", [*SIGNALS, signal.SIGKILL])
    def test_no_child_stays(self, life: Lives, number: signal.Signals) -> None:
        assert not life(number).children_left

    @pytest.mark.parametrize("number", [*SIGNALS, signal.SIGKILL])
    def test_no_files_stay(self, life: Lives, number: signal.Signals) -> None:
        assert life(number).files_left == []


class Addresses(TypedDict):
    """Where a proxy listens, to be used twice."""

    public: tuple[str, ...]
    api: tuple[str, ...]


@pytest.fixture
def addresses() -> Addresses:
    port, api_port = free_ports()
    return {
        "public": ("--ip", "127.0.0.1", "--port", str(port)),
        "api": ("--api-ip", "127.0.0.1", "--api-port", str(api_port)),
    }


class TestStart:
    """Starting, and starting again."""

    def test_it_listens_within_the_hubs_patience(self, life: Lives) -> None:
        # A hub waits 10 s; twice that here, for machines that do other things as well.
        assert life(signal.SIGTERM).seconds_to_start < 20

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_it_starts_again_at_once_and_empty(
        self, own: StartProxy, target: Target, addresses: Addresses, number: signal.Signals
    ) -> None:
        first = own(**addresses)
        first.add("/x", target.url)
        with first.connect() as client:
            assert client.ask("/x").status == 200
            first.signal(number)
            first.wait()
            second = own(**addresses)
        assert second.routes() == {}
        second.add("/x", target.url)
        assert second.get("/x").status == 200


class TestEnd:
    """SIGTERM and SIGINT, and what is under way then."""

    @better("it ends with 2")
    @pytest.mark.parametrize("number", SIGNALS)
    def test_it_ends_with_0(self, life: Lives, number: signal.Signals) -> None:
        assert life(number).code == 0

    def test_an_idle_connection_does_not_keep_it(self, own: StartProxy) -> None:
        proxy = own()
        with proxy.connect() as idle, proxy.connect() as used:
            assert used.ask("/_chp_healthz").status == 200
            started = time.monotonic()
            proxy.signal(signal.SIGTERM)
            proxy.wait()
            assert idle.closes()
            assert used.closes()
        assert time.monotonic() - started < 8

    @better("it drops what is under way")
    @pytest.mark.parametrize("number", SIGNALS)
    def test_a_request_under_way_is_finished(
        self, own: StartProxy, make_target: MakeTarget, number: signal.Signals
    ) -> None:
        proxy, go_on = own(), threading.Event()

        def slow(connection: Connection) -> None:
            connection.read_request()
            go_on.wait(15)
            connection.send(answer(200, b"finished"))

        backend = make_target(slow)
        proxy.add("/x", backend.url)
        with proxy.connect() as client:
            client.start("/x")
            assert backend.wait_for(lambda: bool(backend.requests))
            proxy.signal(number)
            assert eventually(lambda: not accepts(proxy.public))
            go_on.set()
            assert client.read_response().body == b"finished"
        assert proxy.wait() == 0

    @better("it breaks them")
    def test_a_websocket_is_told_that_the_proxy_goes_away(
        self, own: StartProxy, make_target: MakeTarget
    ) -> None:
        proxy = own()
        proxy.add("/x", make_target(FrameServer()).url)
        with proxy.connect() as client:
            assert handshake(client, "/x").status == 101
            proxy.signal(signal.SIGTERM)
            kind, payload = read_frame(client)
            assert (kind, payload[:2]) == (CLOSE, (1001).to_bytes(2))
        assert proxy.wait() == 0
