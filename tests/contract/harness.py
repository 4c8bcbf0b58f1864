"""Starts the proxy command under test and talks to its ports."""

import contextlib
import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.contract.client import Address, Client, open_socket
from tests.contract.polling import eventually
from tests.contract.ports import free_ports
from tests.contract.wire import Response
from tests.environment import clean_environment

_DEFAULT = Path(sys.executable).with_name("configurable-http-proxy")
COMMAND = shlex.split(os.environ.get("CONTRACT_COMMAND") or shlex.quote(str(_DEFAULT)))
"""The proxy command under test, without options."""

# Tests that are killed clean nothing up; with this the kernel does (Linux: PR_SET_PDEATHSIG).
_MORTAL = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


def run_command(
    *flags: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command with `flags` to its end, for flags with which it does not serve."""
    return subprocess.run(
        [*COMMAND, *flags],
        env=clean_environment(env),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@dataclass(frozen=True)
class Options:
    """How to start the proxy: `flags` besides the addresses, `env` besides our environment.

    `public` and `api` replace the flags that say where to listen.
    """

    flags: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    public: tuple[str, ...] | None = None
    api: tuple[str, ...] | None = None


@dataclass
class RunningProxy:
    """A started proxy command: where it listens, and its API as methods."""

    process: subprocess.Popen[bytes]
    output_file: Path
    public: Address
    api: Address
    token: str

    @property
    def output(self) -> str:
        """All the command has printed so far."""
        return self.output_file.read_text(errors="replace")

    @property
    def port(self) -> int:
        """The public TCP port."""
        assert isinstance(self.public, tuple)
        return self.public[1]

    def connect(self) -> Client:
        """Open a connection to the public address."""
        return Client(self.public)

    def get(self, path: str, *fields: tuple[str, str]) -> Response:
        """GET `path` from the public address on a connection of its own."""
        with self.connect() as client:
            return client.ask(path, *fields)

    def call(self, method: str, path: str, body: bytes | None = None) -> Response:
        """Call the API with the right token."""
        with Client(self.api) as client:
            return client.ask(
                path, ("Authorization", f"token {self.token}"), method=method, body=body
            )

    def add(self, route: str, target: str, **data: Any) -> None:
        """Add a route, given percent-decoded."""
        body = json.dumps({"target": target, **data}).encode()
        response = self.call("POST", f"/api/routes{quote(route)}", body)
        assert response.status == 201, response

    def remove(self, route: str) -> None:
        """Remove a route, given percent-decoded."""
        response = self.call("DELETE", f"/api/routes{quote(route)}")
        assert response.status == 204, response

    def routes(self) -> dict[str, dict[str, Any]]:
        """Return the whole route table."""
        table: dict[str, dict[str, Any]] = json.loads(self.call("GET", "/api/routes").body)
        return table

    def forget_routes(self) -> None:
        """Remove every route."""
        for route in self.routes():
            self.remove(route)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command's own process only, as a hub does."""
        self.process.send_signal(number)

    def wait(self, seconds: float = 30.0) -> int:
        """Wait for the command's end and return its exit code."""
        return self.process.wait(seconds)

    def kill(self) -> None:
        """End the command and whatever it has left behind."""
        if self.process.poll() is None:
            self.process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def launch(options: Options, folder: Path) -> RunningProxy:
    """Start the command and return when both its addresses accept connections."""
    port, api_port = free_ports()
    token = dict(options.env).get("CONFIGPROXY_AUTH_TOKEN", secrets.token_hex(8))
    public = options.public or ("--ip", "127.0.0.1", "--port", str(port))
    api = options.api
    if api is None:
        api = ("--api-ip", "127.0.0.1", "--api-port", str(api_port))
    process, output = spawn(
        [*public, *api, *options.flags],
        {"CONFIGPROXY_AUTH_TOKEN": token, **dict(options.env)},
        folder,
    )
    proxy = RunningProxy(process, output, _address(public), _api_address(public, api), token)
    wait_until_listening(proxy, [proxy.public, proxy.api])
    return proxy


def spawn(
    flags: Sequence[str], env: Mapping[str, str], folder: Path
) -> tuple[subprocess.Popen[bytes], Path]:
    """Start the command in a session of its own, as a hub does, its output going to a file."""
    descriptor, name = tempfile.mkstemp(dir=folder, suffix=".log")
    with os.fdopen(descriptor, "wb") as output:
        process = subprocess.Popen(
            [*_MORTAL, *COMMAND, *flags],
            env=clean_environment(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return process, Path(name)


def wait_until_listening(proxy: RunningProxy, addresses: Sequence[Address]) -> None:
    """Wait for `addresses` to accept connections; fail with the output if the command ends."""

    def settled(address: Address) -> bool:
        return proxy.process.poll() is not None or accepts(address)

    for address in addresses:
        if not eventually(partial(settled, address), 60) or proxy.process.poll() is not None:
            output = proxy.output
            proxy.kill()
            raise AssertionError(f"no listener on {address}:\n{output}")


def accepts(address: Address) -> bool:
    """Say whether something accepts connections at `address`."""
    try:
        open_socket(address).close()
    except OSError:
        return False
    return True


def _api_address(public: Sequence[str], api: Sequence[str]) -> Address:
    if api:
        return _address(api)
    where = _address(public)
    return ("localhost", where[1] + 1 if isinstance(where, tuple) else 8001)


def _address(flags: Sequence[str]) -> Address:
    given = {
        name.rpartition("-")[2]: value for name, value in zip(flags[::2], flags[1::2], strict=True)
    }
    if "socket" in given:
        return given["socket"]
    host = given.get("ip", "")
    return ("127.0.0.1" if host in ("", "*") else host, int(given["port"]))
