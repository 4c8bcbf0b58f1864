"""The drop-in as a hub starts it, killed and started again at the same addresses."""

import contextlib
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.contract.client import Client
from tests.contract.harness import RunningProxy, spawn, wait_until_listening
from tests.contract.ports import free_ports
from tests.contract.wire import Closed, Response

FLAGS = ("--log-level", "info")


@dataclass
class Dropin:
    """Where one hub has its proxy; each life of it is a `RunningProxy`."""

    folder: Path
    state: Path
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    ports: tuple[int, int] = field(default_factory=free_ports)
    environment: dict[str, str] = field(default_factory=dict)
    lives: list[RunningProxy] = field(default_factory=list)

    @property
    def files(self) -> list[Path]:
        """What stands in the folder for recovery files."""
        folder = self.state / "hubgate"
        return sorted(filter(Path.is_file, folder.iterdir())) if folder.is_dir() else []

    def launch(self, *flags: str) -> RunningProxy:
        """Start the proxy without waiting for it."""
        port, api_port = self.ports
        where = ("--ip", "127.0.0.1", "--port", str(port), "--api-ip", "127.0.0.1")
        env = {"CONFIGPROXY_AUTH_TOKEN": self.token, "XDG_STATE_HOME": str(self.state)}
        env |= self.environment
        process, output = spawn(
            [*where, "--api-port", str(api_port), *FLAGS, *flags], env, self.folder
        )
        addresses = (("127.0.0.1", port), ("127.0.0.1", api_port))
        self.lives.append(RunningProxy(process, output, *addresses, self.token))
        return self.lives[-1]

    def start(self, *flags: str) -> RunningProxy:
        """Start the proxy; return once it listens on both ports."""
        proxy = self.launch(*flags)
        wait_until_listening(proxy, [proxy.public, proxy.api])
        return proxy


@contextlib.contextmanager
def dropin(folder: Path) -> Iterator[Dropin]:
    """A place for a proxy; whatever life it is in ends with the block."""
    place = Dropin(folder, folder / "state")
    try:
        yield place
    finally:
        for life in place.lives:
            life.kill()


def kill_all(proxy: RunningProxy) -> None:
    """End supervisor and workers with SIGKILL, and wait until their ports are free."""
    everybody = [psutil.Process(proxy.process.pid)]
    everybody += everybody[0].children(recursive=True)
    proxy.kill()
    psutil.wait_procs(everybody, timeout=30)


class Watcher(threading.Thread):
    """Asks again and again until told to stop, and keeps every answer there was."""

    def __init__(self, address: tuple[str, int], path: str, *fields: tuple[str, str]) -> None:
        super().__init__(daemon=True)
        self.answers: list[Response] = []
        self._request = (address, path, fields)
        self._told = threading.Event()

    def run(self) -> None:
        address, path, fields = self._request
        while not self._told.wait(0.005):
            # Refused while nobody listens, broken off by the kill.
            with contextlib.suppress(OSError, Closed), Client(address) as client:
                self.answers.append(client.ask(path, *fields))

    def stop(self) -> list[Response]:
        """Ask no more; return the answers."""
        self._told.set()
        self.join(60)
        return self.answers
