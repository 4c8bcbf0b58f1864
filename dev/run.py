"""Start the demo hub of `make run`, report when it is ready, stop everything on Ctrl-C."""

import errno
import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import click

from hubgate.cli import run_command
from hubgate.cli.api.discovery import find_proxy
from hubgate.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent
POLL = 0.2  # seconds
PORT = click.IntRange(1, 65535)
FOLDER = click.Path(path_type=Path)


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--port", type=PORT, default=8000, help="The port for browsers.")
@click.option("--api-port", type=PORT, default=8001, help="The port of the proxy's API.")
@click.option("--hub-port", type=PORT, default=8081, help="The hub's own port.")
@click.option("--state", type=FOLDER, default=ROOT / "state", help="A folder for all state.")
@click.option("--certs", type=FOLDER, default=ROOT / "certs", help="For --tls.")
@click.option("--tls", is_flag=True, help="https, with a certificate made here.")
@click.argument("hub_options", nargs=-1, type=click.UNPROCESSED, metavar="[JUPYTERHUB'S OPTIONS]")
def command(hub_options: tuple[str, ...], **given: Any) -> int:
    """Start the demo hub, report when it is ready, stop everything on Ctrl-C."""
    options = SimpleNamespace(**given)
    ports = {"PORT": options.port, "API_PORT": options.api_port, "HUB_PORT": options.hub_port}
    if len(set(ports.values())) < len(ports):
        raise ConfigError(f"{', '.join(ports)}: one port is given twice; give each its own")
    if taken := {name: port for name, port in ports.items() if busy(port)}:
        numbers = " and ".join(map(str, taken.values()))
        others = " ".join(f"{name}={another(port)}" for name, port in taken.items())
        raise ConfigError(f"in use: port {numbers}; stop what uses it, or: make run {others}")
    options.state.mkdir(parents=True, exist_ok=True)
    if options.tls and not make_certificate(options.certs):
        return 1
    return Demo(options).run(hub_options)


def another(taken: int) -> int:
    """Return a port to suggest instead."""
    return taken + 100 if taken + 100 <= 65535 else taken - 100


def busy(port: int) -> bool:
    """Return whether that port is in use on the loopback interface. Raises OSError."""
    with socket.socket() as probe:
        # Without this, a port whose last connections are in TIME_WAIT would count as in use.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise OSError(error.errno, error.strerror, f"port {port}") from None
    return False


def make_certificate(folder: Path) -> bool:
    """Create a certificate unless there is one; proxyctl itself prints any error."""
    command = [str(Path(sys.executable).with_name("proxyctl")), "certs", "--dir", str(folder)]
    return subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0


def opener(ca: Path | None) -> urllib.request.OpenerDirector:
    """A client for the loopback interface: no proxy from the environment, our CA trusted."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if ca is not None:
        context = ssl.create_default_context(cafile=ca)
        handlers.append(urllib.request.HTTPSHandler(context=context))
    return urllib.request.build_opener(*handlers)


class Demo:
    """The hub's process, from its start until everything it started has ended."""

    def __init__(self, options: SimpleNamespace) -> None:
        self.state: Path = options.state.resolve()
        self.url = f"{'https' if options.tls else 'http'}://127.0.0.1:{options.port}"
        self.hub_port: int = options.hub_port
        self.api_url = f"http://127.0.0.1:{options.api_port}"
        self.token = os.environ.get("CONFIGPROXY_AUTH_TOKEN") or secrets.token_hex(32)
        certs: Path = options.certs.resolve()
        self.web = opener(certs / "ca.pem" if options.tls else None)
        self.environment = os.environ | {
            "CONFIGPROXY_AUTH_TOKEN": self.token,
            "DEMO_STATE": str(self.state),
            "DEMO_PORT": str(options.port),
            "DEMO_API_PORT": str(options.api_port),
            "DEMO_HUB_PORT": str(options.hub_port),
            # Where a killed proxy leaves its routes for the next one.
            "XDG_STATE_HOME": str(self.state),
            "DEMO_TLS_CERT": str(certs / "hub.pem") if options.tls else "",
            "DEMO_TLS_KEY": str(certs / "hub-key.pem") if options.tls else "",
        }
        self.hub: subprocess.Popen[bytes] | None = None

    def run(self, hub_options: Sequence[str]) -> int:
        """Run the hub until it ends or is stopped; return its exit code."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.stop)
        config = ROOT / "dev" / "jupyterhub_config.py"
        command = [sys.executable, "-P", "-m", "jupyterhub", "--config", str(config), *hub_options]
        # In its own session, Ctrl-C reaches the hub once, as our SIGTERM, not twice.
        self.hub = subprocess.Popen(
            command, cwd=self.state, env=self.environment, start_new_session=True
        )
        self.announce()
        code = self.hub.wait()
        self.stop_leftover_proxy()
        return max(code, 0)

    def stop(self, number: int, frame: FrameType | None) -> None:
        if self.hub is not None and self.hub.poll() is None:
            self.hub.send_signal(signal.SIGTERM)

    def announce(self) -> None:
        """Wait until the hub responds through the proxy, then print its URL."""
        assert self.hub is not None
        while self.hub.poll() is None and not self.healthy():
            time.sleep(POLL)
        if self.hub.poll() is None:
            with suppress(OSError):  # nobody reads this; the hub runs all the same
                print(
                    f"\n    JupyterHub runs behind hubgate at {self.url}\n"
                    "    Log in as any name, with any password. Ctrl-C stops everything.\n",
                    flush=True,
                )

    def healthy(self) -> bool:
        """Return whether the hub responds through the proxy, which is asked last.

        Asked any earlier, it would log that it has no route yet, or that the hub refuses.
        """
        try:
            socket.create_connection(("127.0.0.1", self.hub_port), timeout=5).close()
            # An option for the hub may have given the proxy another token.
            running = find_proxy(self.api_url, self.environment, others=False)
            token = self.token if running is None else running.record.token
            authorization = {"Authorization": f"token {token}"}
            request = urllib.request.Request(f"{self.api_url}/api/routes", headers=authorization)
            with self.web.open(request, timeout=5) as answer:
                if "/" not in json.load(answer):
                    return False
            with self.web.open(f"{self.url}/hub/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, ValueError):  # urllib's errors are OSErrors
            return False

    def stop_leftover_proxy(self) -> None:
        """Stop a proxy whose hub was stopped before it could do so itself.

        The hub handles signals only once it is up; if stopped earlier, it leaves the proxy and
        its pid file behind.
        """
        pid_file = self.state / "jupyterhub-proxy.pid"
        with suppress(OSError, ValueError):
            os.kill(int(pid_file.read_text()), signal.SIGTERM)
        with suppress(OSError):
            pid_file.unlink(missing_ok=True)


if __name__ == "__main__":
    run_command.enter(lambda: command, None, "make run", usage_exit=2)
