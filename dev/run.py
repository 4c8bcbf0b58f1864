"""Start the demo hub of `make run`, report when it is ready, stop everything on Ctrl-C."""

import argparse
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
POLL = 0.2  # seconds


def main() -> int:
    options, hub_options = parse_arguments()
    ports = {"PORT": options.port, "API_PORT": options.api_port, "HUB_PORT": options.hub_port}
    if taken := {name: port for name, port in ports.items() if busy(port)}:
        numbers = " and ".join(map(str, taken.values()))
        others = " ".join(f"{name}={port + 100}" for name, port in taken.items())
        return fail(f"in use: port {numbers}; stop what uses it, or: make run {others}")
    options.state.mkdir(parents=True, exist_ok=True)
    if options.tls and not make_certificate(options.certs):
        return 1
    return Demo(options).run(hub_options)


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, epilog="Other options go to jupyterhub.")
    parser.add_argument("--port", type=int, default=8000, help="the port for browsers")
    parser.add_argument("--api-port", type=int, default=8001, help="the port of the proxy's API")
    parser.add_argument("--hub-port", type=int, default=8081, help="the hub's own port")
    parser.add_argument("--state", type=Path, default=ROOT / "state", help="a folder for all state")
    parser.add_argument("--certs", type=Path, default=ROOT / "certs", help="for --tls")
    parser.add_argument("--tls", action="store_true", help="https, with a certificate made here")
    return parser.parse_known_args()


def busy(port: int) -> bool:
    """Return whether that port is in use on the loopback interface."""
    with socket.socket() as probe:
        # Without this, a port whose last connections are in TIME_WAIT would count as in use.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
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


def fail(message: str) -> int:
    print(f"make run: {message}", file=sys.stderr)
    return 1


class Demo:
    """The hub's process, from its start until everything it started has ended."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.state: Path = options.state.resolve()
        self.url = f"{'https' if options.tls else 'http'}://127.0.0.1:{options.port}"
        certs: Path = options.certs.resolve()
        self.web = opener(certs / "ca.pem" if options.tls else None)
        self.environment = os.environ | {
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

    def run(self, hub_options: list[str]) -> int:
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
            print(
                f"\n    JupyterHub runs behind hubgate at {self.url}\n"
                "    Log in as any name, with any password. Ctrl-C stops everything.\n",
                flush=True,
            )

    def healthy(self) -> bool:
        try:
            with self.web.open(f"{self.url}/hub/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:  # urllib's errors are OSErrors
            return False

    def stop_leftover_proxy(self) -> None:
        """Stop a proxy whose hub was stopped before it could do so itself.

        The hub handles signals only once it is up; if stopped earlier, it leaves the proxy and
        its pid file behind.
        """
        pid_file = self.state / "jupyterhub-proxy.pid"
        with suppress(FileNotFoundError, ValueError, ProcessLookupError):
            os.kill(int(pid_file.read_text()), signal.SIGTERM)
        pid_file.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
