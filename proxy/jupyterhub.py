"""hubgate as JupyterHub's proxy: `c.JupyterHub.proxy_class = "hubgate"` is all a hub needs."""

import asyncio
import errno
import shutil
import socket
import sys
import time
from contextlib import suppress
from urllib.parse import urlsplit

from jupyterhub.proxy import ConfigurableHTTPProxy
from jupyterhub.traitlets import Command
from traitlets import CaselessStrEnum, Integer, Union, default

from proxy.errors import ConfigError

# Seconds a port may stay taken: the workers of a proxy that was killed need a moment to notice,
# and the hub starts the next proxy at once.
PORT_PATIENCE = 5.0
# Seconds a stopped proxy may take: it drains for 10 s by default.
STOP_PATIENCE = 15.0
POLL = 0.1

DEFAULT_PORTS = {"http": 80, "https": 443}


class HubgateProxy(ConfigurableHTTPProxy):
    """Starts hubgate beside the hub and drives it through the API it shares with CHP.

    What is set for `c.ConfigurableHTTPProxy` holds here too; `c.HubgateProxy` goes first.
    """

    command = Command(  # type: ignore[no-untyped-call]
        config=True,
        help="""The command to start the proxy; by default this installation's own.""",
    )

    workers = Union(
        [Integer(min=1), CaselessStrEnum(["auto"])],
        default_value=1,
        config=True,
        help="""How many processes forward traffic; "auto" is one for each core.

        Only used by the default command.""",
    )

    @default("command")
    def _own_command(self) -> list[str]:
        # The hub's interpreter, so that neither PATH nor a CHP installed beside it matters.
        return [sys.executable, "-m", "proxy.cli.chp", "--workers", str(self.workers)]

    # The check costs one waitpid. CHP's 5 s would mean 5 s without a proxy after a crash.
    check_running_interval = Integer(
        1,
        config=True,
        help="""Interval (in seconds) at which to check if the proxy is running.""",
    )

    async def start(self) -> None:
        """Start the proxy and wait until it listens, or say in one line why it cannot.

        Raises SystemExit if this is the hub's first start, as the hub itself does; later, what
        went wrong is raised, and the hub tries again at its next check.
        """
        earlier_check = self._check_running_callback
        try:
            self._require_command()
            self._check_previous_process()  # type: ignore[no-untyped-call]
            for name, url in (("bind_url", self.public_url), ("proxy API", self.api_url)):
                await wait_until_free(name, url)
            await super().start()  # type: ignore[no-untyped-call]
        except (ConfigError, OSError, RuntimeError) as error:
            self._end_failed_process()
            self.log.critical("hubgate cannot start: %s", error)
            if earlier_check is None:
                raise SystemExit(1) from error
            raise
        # The hub starts one more check at every restart; two at once would start two proxies.
        if earlier_check is not None:
            earlier_check.stop()

    async def stop(self) -> None:
        """Stop the proxy and wait until it has ended, so that a hub that is gone left nothing."""
        super().stop()  # type: ignore[no-untyped-call]
        deadline = time.monotonic() + STOP_PATIENCE
        while self.proxy_process.poll() is None:
            if time.monotonic() > deadline:
                self.log.warning("the proxy did not stop in %d s: killing it", STOP_PATIENCE)
                self.proxy_process.kill()
            await asyncio.sleep(POLL)

    def _require_command(self) -> None:
        program = self.command[0]
        if shutil.which(program) is None:
            raise ConfigError(
                f"c.HubgateProxy.command: there is no program {program!r}; "
                "leave the setting out to start the hubgate installed beside this hub"
            )

    def _end_failed_process(self) -> None:
        # The proxy has a session of its own and would outlive a hub that gives up.
        if self.proxy_process is not None and self.proxy_process.poll() is None:
            self.proxy_process.terminate()


async def wait_until_free(name: str, url: str) -> None:
    """Return once nothing listens at `url`; raises ConfigError after `PORT_PATIENCE` seconds.

    A hub takes any listener on the port for its own proxy, and would go on without one.
    """
    deadline = time.monotonic() + PORT_PATIENCE
    while (reason := why_taken(url)) is not None:
        if time.monotonic() > deadline:
            raise ConfigError(f"{name} {url}: {reason}")
        await asyncio.sleep(POLL)


def why_taken(url: str) -> str | None:
    """Say why a socket cannot be bound at `url`, or None if it can."""
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS:
        return None  # a unix socket: its file is replaced
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    host = None if parts.hostname in (None, "", "*") else parts.hostname
    with suppress(socket.gaierror):
        for family, kind, number, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            if (reason := _why_unbindable(family, kind, number, address)) is not None:
                return reason
    return None


def _why_unbindable(family: int, kind: int, number: int, address: object) -> str | None:
    try:
        with socket.socket(family, kind, number) as probe:
            # Connections of an earlier proxy in TIME_WAIT do not count as taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)  # type: ignore[arg-type]
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return "the port is in use by another program; free it, or choose another"
        if error.errno in (errno.EACCES, errno.EADDRNOTAVAIL):
            return f"{error.strerror}; choose another address or port"
    return None
