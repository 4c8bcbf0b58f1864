"""hubgate on sockets that are opened before it starts and outlive it, as under systemd."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.contract.client import Client
from tests.contract.harness import COMMAND
from tests.contract.polling import eventually
from tests.contract.ports import free_ports
from tests.environment import clean_environment
from tests.processes import kill
from tests.system.served import PROXYCTL

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MINUTES = 120.0
HEALTH = "/_chp_healthz"

# What systemd does between its fork and its exec.
ACTIVATE = """
import os, sys
fds, command = sys.argv[1].split(","), sys.argv[2:]
kept = [os.dup2(int(fd), 100 + at) for at, fd in enumerate(fds)]
for at, fd in enumerate(kept):
    os.dup2(fd, 3 + at)
    os.close(fd)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(fds))}
os.execv(command[0], command)
"""


@dataclass
class Unit:
    """Sockets that stay open, and one service after the other on them."""

    folder: Path
    sockets: list[socket.socket] = field(default_factory=list)
    lives: list[psutil.Popen] = field(default_factory=list)

    def listen(self, where: object, family: int = socket.AF_INET) -> socket.socket:
        """Open a socket that the next service is given."""
        sock = socket.socket(family)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)  # type: ignore[arg-type]
        sock.listen(128)
        self.sockets.append(sock)
        return sock

    @property
    def output(self) -> str:
        return (self.folder / "output.log").read_text()

    def start(self, *command: str, fds: tuple[int, ...] = ()) -> psutil.Popen:
        """Start `command` with all sockets, and with `fds`."""
        fds = (*(sock.fileno() for sock in self.sockets), *fds)
        activate = [sys.executable, "-c", ACTIVATE, ",".join(map(str, fds))]
        with (self.folder / "output.log").open("ab") as output:
            process = psutil.Popen(
                [*activate, *command],
                cwd=self.folder,
                env=clean_environment({}),
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.lives.append(process)
        return process

    def kill(self) -> None:
        """End the service and its workers with SIGKILL."""
        process = self.lives[-1]
        family = [process, *process.children(recursive=True)]
        kill(family)
        psutil.wait_procs(family, timeout=30)


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Unit]:
    unit = Unit(tmp_path)
    yield unit
    for process in unit.lives:
        if process.poll() is None:
            process.kill()
        process.wait()
    for sock in unit.sockets:
        sock.close()


@contextmanager
def waiting(address: tuple[str, int] | str, count: int) -> Iterator[list[Client]]:
    """Connections that are made now and have not been answered yet."""
    with ExitStack() as stack:
        yield [stack.enter_context(Client(address)) for _ in range(count)]


def serve(port: int, api_port: int, *flags: str) -> list[str]:
    ports = ["--port", str(port), "--api-port", str(api_port)]
    return [PROXYCTL, "serve", *ports, *flags]


def drop_in(port: int, api_port: int, *flags: str) -> list[str]:
    ports = ["--ip", "127.0.0.1", "--port", str(port), "--api-port", str(api_port)]
    return [*COMMAND, *ports, *flags]


@pytest.mark.parametrize("command", [serve, drop_in])
def test_nobody_is_refused_over_a_kill(unit: Unit, command) -> None:  # type: ignore[no-untyped-def]
    port, api_port = free_ports()
    unit.listen(("127.0.0.1", port))
    with waiting(("127.0.0.1", port), 20) as early:
        unit.start(*command(port, api_port, "--workers", "2"))
        assert {client.ask(HEALTH).status for client in early} == {200}
    unit.kill()
    with waiting(("127.0.0.1", port), 20) as between:
        unit.start(*command(port, api_port, "--workers", "2"))
        assert {client.ask(HEALTH).status for client in between} == {200}
    with waiting(("127.0.0.1", port), 40) as later:
        assert {client.ask(HEALTH).status for client in later} == {200}


def test_the_api_may_be_given_too(unit: Unit) -> None:
    port, api_port = free_ports()
    for one in (api_port, port):
        unit.listen(("127.0.0.1", one))
    with waiting(("127.0.0.1", api_port), 1) as (client,):
        unit.start(*serve(port, api_port, "--api-open"))
        assert client.ask("/api/routes").status == 200


def test_a_given_socket_stays_over_upgrades_and_dead_workers(unit: Unit) -> None:
    port, api_port = free_ports()
    sock = unit.listen(("127.0.0.1", port))
    process = unit.start(*serve(port, api_port, "--workers", "2"))
    with waiting(("127.0.0.1", port), 10) as clients:
        assert {client.ask(HEALTH).status for client in clients} == {200}
    assert eventually(lambda: "Proxy API at" in unit.output, MINUTES)
    before = {worker.pid for worker in process.children()}
    process.send_signal(signal.SIGUSR2)
    assert eventually(lambda: "upgraded from" in unit.output, MINUTES), unit.output
    assert eventually(lambda: not before & {one.pid for one in process.children()}, MINUTES)
    for worker in process.children():
        worker.kill()
    with waiting(("127.0.0.1", port), 40) as clients:
        assert {client.ask(HEALTH).status for client in clients} == {200}
    assert os.fstat(sock.fileno()).st_ino in listening_inodes(process)


def listening_inodes(process: psutil.Process) -> set[int]:
    """Return which sockets a process has open."""
    links = []
    for one in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed in between
            links.append(os.readlink(one))
    return {int(link[8:-1]) for link in links if link.startswith("socket:[")}


@pytest.mark.parametrize("command", [serve, drop_in])
def test_a_socket_at_another_address_is_one_line(unit: Unit, command) -> None:  # type: ignore[no-untyped-def]
    port, api_port = free_ports()
    wrong = unit.listen(("127.0.0.1", 0)).getsockname()[1]
    process = unit.start(*command(port, api_port))
    assert process.wait(MINUTES) == 1
    (line,) = [one for one in unit.output.splitlines() if "LISTEN_FDS" in one]
    assert f"descriptor 3 listens on 127.0.0.1:{wrong}, not on 127.0.0.1:{port} or " in line
    assert "Traceback" not in unit.output


def test_what_is_no_listening_socket_is_one_line(unit: Unit) -> None:
    port, api_port = free_ports()
    for other in (os.open(unit.folder, os.O_RDONLY), socket.socket().detach()):
        process = unit.start(*serve(port, api_port), fds=(other,))
        os.close(other)
        assert process.wait(MINUTES) == 1
        assert "LISTEN_FDS: descriptor 3 is not a listening socket; a unit needs" in unit.output
        assert "Traceback" not in unit.output
        (unit.folder / "output.log").write_text("")
