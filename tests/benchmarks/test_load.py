"""The load and the meter, on the backend itself: what they count is there."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import benchmarks.load
from benchmarks import processes
from benchmarks.contenders import Contender
from benchmarks.cpu import Meter
from benchmarks.load import crowd, first_answer, latencies, trips, tunnels
from benchmarks.processes import free_port, running
from tests.processes import lives

BACKEND = str(Path(benchmarks.load.__file__).with_name("backend.py"))
BURN_AND_WAIT = """
import os, threading, time
while not os.path.exists("go"): time.sleep(0.01)
def burn():
    while time.thread_time() < 0.2: pass
thread = threading.Thread(target=burn)
thread.start(); thread.join()
print("burnt", flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def any_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not insist on a core that this machine may not let us have."""
    for module in (processes, benchmarks.load):
        monkeypatch.setattr(module, "pinned", lambda _, command: command)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    with running([sys.executable, BACKEND, str(port)], tmp_path, [port]):
        yield port


def test_tunnels_make_round_trips_each_time_they_are_told(backend: int) -> None:
    with tunnels(backend, 4, 65536) as script:
        assert trips(script, 0.1) >= 4
        assert trips(script, 0.1) >= 4


def test_crowds_come_and_stay(backend: int) -> None:
    wanted = {"tunnel": 30, "kept": 20, "head": 10, "reader": 5}
    with crowd(backend, wanted) as came:
        assert came == wanted


def hold_a_crowd_without_backend(folder: Path) -> None:
    port = free_port()
    with running([sys.executable, BACKEND, str(port)], folder, [port]) as process:  # noqa: SIM117
        with crowd(port, {"tunnel": 8}):
            process.kill()
            process.wait()


def test_a_crowd_that_leaves_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"of 8 \(tunnel\) only 0 stayed"):
        hold_a_crowd_without_backend(tmp_path)


def test_latencies_are_as_many_as_asked_for_unless_time_is_over(backend: int) -> None:
    first_answer(backend)
    assert len(latencies(backend, 20, most_seconds=60)) == 20
    assert latencies(backend, 20, most_seconds=0) == []


@pytest.mark.real_time
def test_the_meter_counts_children_and_threads_that_have_ended(tmp_path: Path) -> None:
    shell = ["sh", "-c", f"'{sys.executable}' -c '{BURN_AND_WAIT}' >burnt; true"]
    with running(["sleep", "60"], tmp_path) as idle, running(shell, tmp_path) as process:
        meter, idler = Meter(process), Meter(idle)
        (tmp_path / "go").touch()
        deadline = time.monotonic() + 60
        while not (tmp_path / "burnt").exists() or not (tmp_path / "burnt").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert meter.used >= 0.2
        assert idler.used < 0.1


def test_a_process_that_ends_leaves_no_figure(tmp_path: Path) -> None:
    with running(["sleep", "60"], tmp_path) as process:
        meter = Meter(process)
        process.kill()
        process.wait()
        with pytest.raises(RuntimeError, match="ended while it was measured"):
            meter.read()


@pytest.mark.real_time
def test_whatever_was_started_ends_with_the_block(tmp_path: Path) -> None:
    shell = ["sh", "-c", "sh -c 'trap \"\" TERM; sleep 60 & wait; wait' & exec sleep 60"]
    with running(shell, tmp_path) as process:
        deadline = time.monotonic() + 30
        while len(tree := [process, *process.children(recursive=True)]) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    psutil.wait_procs(tree, timeout=10)
    assert not any(map(lives, tree))


def test_a_program_that_does_not_start_is_named_by_its_last_words(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo out of order; exit 1"]
    with (
        pytest.raises(RuntimeError, match=r"nothing listens on port \d+: out of order"),
        running(command, tmp_path, [free_port()]),
    ):
        pass


def test_a_lone_process_holds_what_its_open_files_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.contenders.TUNNELS_PER_PROCESS", 9_800)
    assert contender(shares=False).tunnels(10_000) == 9_800
    assert contender(shares=False).tunnels(500) == 500
    assert contender(shares=True).tunnels(10_000) == 10_000


def contender(shares: bool) -> Contender:
    return Contender("any", lambda *_: running(["true"], Path(os.devnull)), True, list,
                     shares=shares)  # type: ignore[arg-type, return-value]  # fmt: skip
