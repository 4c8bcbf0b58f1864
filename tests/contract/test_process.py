"""The life of the process: pid file, signals, restarts, and what it leaves behind."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import TypedDict

import psutil  # type: ignore[import-untyped]
import pytest

from tests.contract.better import better
from tests.contract.conftest import MakeTarget, StartProxy
from tests.contract.frames import CLOSE, FrameServer, handshake, read_frame
from tests.contract.harness import RunningProxy, accepts
from tests.contract.polling import eventually
from tests.contract.ports import free_ports
from tests.contract.target import Connection, Target, answer

SIGNALS = [signal.SIGTERM, signal.SIGINT]


class Addresses(TypedDict):
    """Where a proxy listens, to be used twice."""

    public: tuple[str, ...]
    api: tuple[str, ...]


def fixed() -> Addresses:
    """Return addresses on which nothing listens."""
    port, api_port = free_ports()
    return {
        "public": ("--ip", "127.0.0.1", "--port", str(port)),
        "api": ("--api-ip", "127.0.0.1", "--api-port", str(api_port)),
    }


def children(proxy: RunningProxy) -> list[psutil.Process]:
    born: list[psutil.Process] = psutil.Process(proxy.process.pid).children(recursive=True)
    return born


class TestPidFile:
    """--pid-file."""

    def test_it_holds_the_pid(self, own: StartProxy, tmp_path: Path) -> None:
        file = tmp_path / "pid"
        proxy = own("--pid-file", str(file))
        assert eventually(file.exists)
        assert eventually(lambda: file.read_text().strip() == str(proxy.process.pid))

    @pytest.mark.parametrize("number", SIGNALS)
    def test_it_is_removed_at_the_end(
        self, own: StartProxy, tmp_path: Path, number: signal.Signals
    ) -> None:
        file = tmp_path / "pid"
        proxy = own("--pid-file", str(file))
        assert eventually(file.exists)
        proxy.signal(number)
        proxy.wait()
        assert not file.exists()

    def test_one_left_behind_is_overwritten(self, own: StartProxy, tmp_path: Path) -> None:
        file = tmp_path / "pid"
        file.write_text("99999999999 and more")
        proxy = own("--pid-file", str(file))
        assert eventually(lambda: file.read_text().strip() == str(proxy.process.pid))


class TestSignals:
    """SIGTERM and SIGINT."""

    @pytest.mark.parametrize("number", SIGNALS)
    def test_it_ends_and_frees_its_ports(self, own: StartProxy, number: signal.Signals) -> None:
        proxy = own()
        proxy.signal(number)
        proxy.wait()
        assert not accepts(proxy.public)
        assert not accepts(proxy.api)

    @better("it ends with 2")
    @pytest.mark.parametrize("number", SIGNALS)
    def test_it_ends_with_0(self, own: StartProxy, number: signal.Signals) -> None:
        proxy = own()
        proxy.signal(number)
        assert proxy.wait() == 0

    @pytest.mark.parametrize("number", SIGNALS)
    def test_an_idle_connection_does_not_keep_it(
        self, own: StartProxy, number: signal.Signals
    ) -> None:
        proxy = own()
        with proxy.connect() as idle, proxy.connect() as used:
            assert used.ask("/_chp_healthz").status == 200
            started = time.monotonic()
            proxy.signal(number)
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


class TestRemains:
    """Nothing outlives the process, however it ends."""

    @pytest.mark.parametrize("number", [*SIGNALS, signal.SIGKILL])
    def test_no_child_stays(self, own: StartProxy, number: signal.Signals) -> None:
        proxy = own()
        born = children(proxy)
        proxy.signal(number)
        proxy.wait()
        _, alive = psutil.wait_procs(born, timeout=10)
        assert not alive

    def test_after_sigkill_the_ports_are_free_at_once(
        self, own: StartProxy, target: Target
    ) -> None:
        proxy = own()
        proxy.add("/x", target.url)
        with proxy.connect() as client:
            assert client.ask("/x").status == 200
            proxy.signal(signal.SIGKILL)
            proxy.wait()
            assert eventually(lambda: not accepts(proxy.public) and not accepts(proxy.api), 3)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_it_can_be_started_again_at_once(
        self, own: StartProxy, target: Target, number: signal.Signals
    ) -> None:
        addresses = fixed()
        first = own(**addresses)
        first.add("/x", target.url)
        with first.connect() as client:
            assert client.ask("/x").status == 200
            first.signal(number)
            first.wait()
            second = own(**addresses)
        second.add("/x", target.url)
        assert second.get("/x").status == 200

    def test_the_drop_in_keeps_no_routes(self, own: StartProxy) -> None:
        addresses = fixed()
        first = own(**addresses)
        first.add("/x", "http://127.0.0.1:9")
        first.signal(signal.SIGKILL)
        first.wait()
        assert own(**addresses).routes() == {}


class TestSurroundings:
    """Where it is started does not matter."""

    def test_it_listens_within_the_hubs_patience(self, own: StartProxy) -> None:
        started = time.monotonic()
        own()
        # A hub waits 10 s; twice that here, for machines that do other things as well.
        assert time.monotonic() - started < 20

    def test_it_leaves_no_files_behind(
        self, own: StartProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "here"
        folder.mkdir()
        monkeypatch.chdir(folder)
        proxy = own()
        proxy.add("/x", "http://127.0.0.1:9")
        proxy.signal(signal.SIGTERM)
        proxy.wait()
        assert os.listdir(folder) == []

    def test_a_terminals_hangup_of_stdin_does_not_matter(self, proxy: RunningProxy) -> None:
        # The harness gives it /dev/null, as a hub's service manager may.
        assert proxy.process.poll() is None
        assert proxy.get("/_chp_healthz").status == 200
