"""hubgate as JupyterHub's proxy; a hub only needs `c.JupyterHub.proxy_class = "hubgate"`."""

import asyncio
import errno
import logging
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientResponseError
from jupyterhub.proxy import ConfigurableHTTPProxy
from jupyterhub.traitlets import Command
from traitlets import Bool, Integer, List, TraitError, Unicode, default

from hubgate.errors import ConfigError
from hubgate.hub_traits import given_settings, setting_traits
from hubgate.keeper import VARIABLE, Keeper
from hubgate.settings.chp.hub_settings import RECOVERY, environment
from hubgate.tasks import spawn

# Seconds a port may stay taken: the workers of a killed proxy need a moment to notice, and the
# hub starts the next proxy at once.
PORT_TIMEOUT = 5.0
# Seconds a stopped proxy may take: it drains for 10 s by default.
STOP_TIMEOUT = 15.0
POLL = 0.1
# After this many failed starts in a row, its ports are closed.
FAILED_STARTS = 3

DEFAULT_PORTS = {"http": 80, "https": 443}


class HubgateProxy(ConfigurableHTTPProxy):
    """Starts hubgate next to the hub and controls it through the same API as CHP's.

    Settings for `c.ConfigurableHTTPProxy` apply here too; `c.HubgateProxy` takes precedence.
    """

    command = Command(  # type: ignore[no-untyped-call]
        config=True,
        help="""The command to start the proxy; by default this installation's own.""",
    )

    # Every setting of routes.yaml that a hub does not decide otherwise.
    vars().update(setting_traits())

    recovery = Bool(
        True,
        config=True,
        help="""Whether a proxy that is started after a kill has the routes of the killed one.""",
    )

    extra_flags = List(
        Unicode(),
        config=True,
        help="""More flags for the default command; in a command of your own, write them there.""",
    )

    @default("command")
    def _own_command(self) -> list[str]:
        # The hub's interpreter, so that neither PATH nor an installed CHP matters.
        command = [sys.executable, "-P", "-m", "hubgate.cli.chp", *self.extra_flags]
        return [*_without_current_folder(os.environ.get("PYTHONPATH", "")), *command]

    # The check costs one waitpid. CHP's 5 s would mean 5 s without a proxy after a crash.
    check_running_interval = Integer(
        1,
        config=True,
        help="""Interval (in seconds) at which to check if the proxy is running.""",
    )

    def __init__(self, **settings: Any) -> None:
        """Raises SystemExit, with one line in the hub's log, for a setting that cannot be used."""
        try:
            super().__init__(**settings)  # type: ignore[no-untyped-call]
            self._settings_environment()
            self._tell_what_has_no_effect()
        except (TraitError, ValueError, ConfigError) as error:
            log = settings.get("log") or logging.getLogger("hubgate")
            log.critical("%s", error)
            raise SystemExit(1) from error
        self._keeper = Keeper()
        self._starting = asyncio.Lock()
        self._failed_starts = 0
        self._process_fd: int | None = None
        self._replacing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the proxy, unless it is running, and wait until it listens, or log why it cannot.

        Raises SystemExit on the hub's first start, as the hub itself does; later, the error is
        raised, and the hub tries again at its next check.
        """
        async with self._starting:
            if self.proxy_process is None or self.proxy_process.poll() is not None:
                await self._start()

    async def _start(self) -> None:
        earlier_check = self._check_running_callback
        try:
            await self._start_process()
        except (ConfigError, OSError, RuntimeError) as error:
            self._end_failed_process()
            # Its traceback refers to a future that the hub abandons: not for a log to keep.
            self.log.critical("hubgate cannot start: %s", str(error))
            self._failed_starts += 1
            if earlier_check is None or self._failed_starts >= FAILED_STARTS:
                # No proxy will accept them: better refused than kept waiting.
                self._keeper.close()
            if earlier_check is None:
                raise SystemExit(1) from error
            raise
        finally:
            # The hub adds another check at every restart; two at once would start two proxies.
            if earlier_check not in (None, self._check_running_callback):
                earlier_check.stop()
        self._failed_starts = 0
        self._watch_process()

    async def _start_process(self) -> None:
        self._require_command()
        self._check_previous_process()  # type: ignore[no-untyped-call]
        if not self._keeper.keeps:
            await wait_until_free("bind_url", self.public_url)
        await wait_until_free("proxy API", self.api_url)
        with self._environment():
            await super().start()  # type: ignore[no-untyped-call]
        await self._until_it_answers()

    async def _until_it_answers(self) -> None:
        """Wait for the API's first response. Raises RuntimeError if the proxy ends before it.

        Its ports open first, so that browsers wait while it loads: they do not tell that it runs.
        """
        answer = spawn(super().api_request(""), "first request")  # type: ignore[no-untyped-call]
        try:
            while not answer.done():
                if (code := self.proxy_process.poll()) is not None:
                    raise RuntimeError(f"Proxy failed to start with exit code {code}")
                await asyncio.wait({answer}, timeout=POLL)
            answer.result()
        except ClientResponseError as error:
            raise RuntimeError(self._refusal(error.status)) from None
        finally:
            answer.cancel()

    async def api_request(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Send a request to the proxy's API. Raises SystemExit if a hub that starts may not.

        What is wrong is logged in one line; without this, a traceback would follow.
        """
        try:
            return await super().api_request(path, method, body)  # type: ignore[no-untyped-call]
        except ClientResponseError as error:
            if error.status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                raise
            self.log.error("%s", self._refusal(error.status))
            if self._hub_starts():
                raise SystemExit(1) from error
            raise

    def _refusal(self, status: int) -> str:
        return (
            f"the proxy's API at {self.api_url} refuses this hub's token ({status}): give the hub"
            " the proxy's, as c.HubgateProxy.auth_token or CONFIGPROXY_AUTH_TOKEN"
        )

    def _hub_starts(self) -> bool:
        return not self.app._start_future.done()

    async def add_route(self, routespec: str, target: str, data: dict[str, Any]) -> None:
        """Add a route. Raises SystemExit if a hub that starts cannot have its own.

        What is wrong has been logged in one line; without this, a traceback would follow.
        """
        try:
            await super().add_route(routespec, target, data)  # type: ignore[no-untyped-call]
        except ClientResponseError as error:
            refused = error.status in (HTTPStatus.CONFLICT, HTTPStatus.FORBIDDEN)
            if refused and self._hub_starts() and data.get("hub"):
                raise SystemExit(1) from error
            raise

    def _write_pid_file(self) -> None:
        """Write the proxy's process id; a hub whose folder was deleted goes on without it."""
        try:
            super()._write_pid_file()  # type: ignore[no-untyped-call]
        except OSError as error:
            self.log.warning("pid_file %s: not written: %s", self.pid_file, error.strerror)

    async def check_running(self) -> None:
        """Start a new proxy if this one has ended; never two at once."""
        if not self._starting.locked():
            await super().check_running()  # type: ignore[no-untyped-call]

    async def stop(self) -> None:
        """Stop the proxy and wait until it has ended, so that the hub leaves nothing running."""
        self._unwatch_process()
        if self._replacing is not None:
            self._replacing.cancel()
        self._keeper.close()
        super().stop()  # type: ignore[no-untyped-call]
        deadline = time.monotonic() + STOP_TIMEOUT
        while self.proxy_process.poll() is None:
            if time.monotonic() > deadline:
                self.log.warning("the proxy did not stop in %d s: killing it", STOP_TIMEOUT)
                self.proxy_process.kill()
            await asyncio.sleep(POLL)

    # --- ports, which stay open while the proxy is replaced ---

    @contextmanager
    def _environment(self) -> Iterator[None]:
        """Put what the proxy inherits in the hub's environment: settings, the keeper's path."""
        variables = self._settings_environment()
        try:
            variables[VARIABLE] = self._keeper.open()
        except OSError as error:
            self._keeper.close()
            self.log.warning("the ports will be closed while the proxy is replaced: %s", error)
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def _settings_environment(self) -> dict[str, str]:
        """Return the variables with the settings given here. Raises ConfigError."""
        variables = environment(given_settings(self), bool(self.ssl_cert))
        return variables if self.recovery else variables | {RECOVERY: "0"}

    def _tell_what_has_no_effect(self) -> None:
        given = given_settings(self)
        if given and not self.should_start:
            names = ", ".join(f"c.HubgateProxy.{name}" for name in given)
            self.log.warning("%s: no effect, because the hub does not start the proxy", names)

    # --- the process's end, which is noticed at once ---

    def _watch_process(self) -> None:
        """Get the process's end from the kernel; where it cannot, the hub's check notices."""
        self._unwatch_process()
        if not hasattr(os, "pidfd_open"):
            return
        with suppress(OSError):  # it has ended, and the check has seen that
            self._process_fd = os.pidfd_open(self.proxy_process.pid)
            asyncio.get_running_loop().add_reader(self._process_fd, self._on_end)

    def _unwatch_process(self) -> None:
        if self._process_fd is not None:
            asyncio.get_running_loop().remove_reader(self._process_fd)
            os.close(self._process_fd)
            self._process_fd = None

    def _on_end(self) -> None:
        self._unwatch_process()
        self._replacing = spawn(self._replace(), "replace the proxy")

    async def _replace(self) -> None:
        try:
            await self.check_running()
        except Exception as error:
            interval = self.check_running_interval
            self.log.error("the proxy was not replaced: %s; next attempt in %d s", error, interval)

    def _require_command(self) -> None:
        program = self.command[0]
        if shutil.which(program) is None:
            raise ConfigError(
                f"c.HubgateProxy.command: there is no program {program!r}; "
                "leave the setting out to start the hubgate installed beside this hub"
            )

    def _end_failed_process(self) -> None:
        # The proxy has its own session and would outlive a hub that gives up.
        if self.proxy_process is not None and self.proxy_process.poll() is None:
            self.proxy_process.terminate()


def _without_current_folder(path: str) -> list[str]:
    """Return how to start a command so that Python does not import from the current folder.

    With -P it still does if PYTHONPATH has an empty entry, as `$PYTHONPATH:/srv` has where there
    was none before: nobody means that, and files there may have any name.
    """
    entries = path.split(os.pathsep)
    kept = [entry for entry in entries if entry]
    if not path or kept == entries:
        return []
    return ["env", f"PYTHONPATH={os.pathsep.join(kept)}"]


async def wait_until_free(name: str, url: str) -> None:
    """Return once nothing listens at `url`; raises ConfigError after `PORT_TIMEOUT` seconds.

    A hub takes any listener on the port for its own proxy, and would carry on without one.
    """
    deadline = time.monotonic() + PORT_TIMEOUT
    # In a thread: a name may have to be looked up, and the hub serves its users meanwhile.
    while (reason := await asyncio.to_thread(why_taken, url)) is not None:
        if time.monotonic() > deadline:
            raise ConfigError(f"{name} {url}: {reason}")
        await asyncio.sleep(POLL)


def why_taken(url: str) -> str | None:
    """Return why a socket cannot be bound at `url`, or None if it can."""
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
            # An earlier proxy's connections in TIME_WAIT do not count as taken.
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
