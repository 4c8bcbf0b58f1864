import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import hubgate
from hubgate.control.workers.spawn import start_process, worker_environment
from hubgate.worker.messages import InheritedSocket, SocketKind
from tests.control.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts workers that wait for the table for ever; each has its own link."""
    with ExitStack() as stack:

        def start_one(*sockets: InheritedSocket) -> subprocess.Popen[bytes]:
            ours, theirs = socket.socketpair()
            stack.enter_context(ours)
            with theirs:
                process = start_process(0, theirs, sockets)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        yield start_one


async def imported(process: subprocess.Popen[bytes]) -> None:
    """Wait until the worker runs our code, or has ended."""
    await until(lambda: process.poll() is not None or "uvloop" in told(process, "maps"))


def told(process: subprocess.Popen[bytes], what: str) -> str:
    """Return what the kernel knows of the process: its environ, its maps."""
    return Path(f"/proc/{process.pid}/{what}").read_text()


def sockets_of(pid: int | str) -> set[str]:
    found = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            link = os.readlink(fd)
        except FileNotFoundError:  # the one that lists the folder
            continue
        if link.startswith("socket:"):
            found.add(link)
    return found


@pytest.mark.processes
async def test_worker_inherits_its_sockets_and_nothing_else(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as stray:
        stray.set_inheritable(True)
        inherited = InheritedSocket(listener.fileno(), SocketKind.PUBLIC)
        start(inherited)  # its link must not leak into the next one
        second = start(inherited)
        ours = sockets_of("self")
        await imported(second)
        theirs = sockets_of(second.pid)
        assert theirs & ours == {f"socket:[{os.fstat(listener.fileno()).st_ino}]"}


@pytest.mark.processes
async def test_no_secret_reaches_a_workers_environment_or_arguments(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HUBGATE_TOKEN", "CONFIGPROXY_AUTH_TOKEN", "CONFIGPROXY_SSL_KEY_PASSPHRASE"):
        monkeypatch.setenv(name, "xyzzy")
    monkeypatch.setenv("HOME_OF_THE_BRAVE", "kept")
    process = start()
    await imported(process)
    environment = told(process, "environ")
    assert "xyzzy" not in environment + told(process, "cmdline")
    assert "HOME_OF_THE_BRAVE=kept" in environment


@pytest.mark.processes
async def test_worker_runs_the_code_that_runs_here(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another `hubgate` in the current folder or on PYTHONPATH is not what is imported."""
    decoy = tmp_path / "hubgate" / "worker"
    decoy.mkdir(parents=True)
    for folder in (decoy.parent, decoy):
        (folder / "__init__.py").touch()
    (decoy / "__main__.py").write_text("raise SystemExit(42)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = start()
    await imported(process)
    assert process.poll() is None


def test_search_path_is_the_supervisors() -> None:
    command = "import hubgate, sys; print(hubgate.__file__); print(*sys.path, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-P", "-c", command],
        env=worker_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    file, *path = done.stdout.splitlines()
    assert file == hubgate.__file__
    expected = [os.path.abspath(entry) for entry in sys.path if os.path.exists(entry or ".")]
    expected = list(dict.fromkeys(expected))
    assert path[: len(expected)] == expected


def test_a_worker_imports_only_what_it_needs() -> None:
    heavy = {"pydantic", "click", "rich", "watchfiles", "prometheus_client", "yaml", "jupyterhub"}
    heavy |= {"hubgate.control", "hubgate.settings", "hubgate.cli", "hubgate.store"}
    command = "import sys, hubgate.worker.main; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", command], capture_output=True, text=True, check=True
    )
    assert heavy.isdisjoint(done.stdout.split())
