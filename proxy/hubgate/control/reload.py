"""Applying changed settings and certificates while everything runs."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from hubgate.certificates.contexts import client_context, server_context
from hubgate.control import notify
from hubgate.control.file_watch import Versions, files_changed, versions
from hubgate.control.routes.service import RouteService
from hubgate.control.web.endpoint import Endpoint
from hubgate.control.web.guard import Guard
from hubgate.control.web.host_names import names_of
from hubgate.control.workers.pool import WorkerPool
from hubgate.errors import ConfigError
from hubgate.logs import configure_logging
from hubgate.settings import Settings
from hubgate.settings.changes import changed, taken_over
from hubgate.settings.exposure import token_file_warnings
from hubgate.settings.files import certificate_files, watched_files
from hubgate.settings.token import own_token_file
from hubgate.tasks import spawn

log = logging.getLogger("hubgate.supervisor")


@dataclass(frozen=True)
class Parts:
    """What a reload acts on; `tell` is called with the settings taken over, in a thread."""

    service: RouteService
    pool: WorkerPool
    endpoints: Sequence[Endpoint]
    guard: Guard
    tell: Callable[[Settings], None] = lambda _: None


@dataclass(frozen=True)
class Outcome:
    """What a reload did: what it applied, what needs a restart, or the mistakes that prevented it.

    Each mistake is one line for a person; with any, nothing has changed.
    """

    changed: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    mistakes: tuple[str, ...] = ()


class Reloader:
    """Reads the settings again and applies what it can; never raises for a mistake in them.

    `known` has the versions of the files that the running settings were read from.
    """

    def __init__(
        self, running: Settings, read: Callable[[], Settings], parts: Parts, known: Versions
    ) -> None:
        self._running = running
        self._read = read
        self._parts = parts
        self._known = known
        self._certificates = {path: known.get(path) for path in certificate_files(running)}
        self._one_at_a_time = asyncio.Lock()
        # The reload that has not begun: it will see what anyone who asks for one now has changed.
        self._next: asyncio.Task[Outcome] | None = None

    @property
    def running(self) -> Settings:
        """The settings in use now."""
        return self._running

    async def finish(self) -> None:
        """Wait for a reload in progress, and allow no more."""
        await self._one_at_a_time.acquire()

    async def follow(self) -> None:
        """Reload whenever a file that matters changes, until cancelled."""
        while watched_files(self._running):
            own = own_token_file(self._running, os.environ)
            found = await files_changed(self._known, () if own is None else (own,))
            if found != self._known:  # else a reload that was asked for has seen it
                await self.reload()

    async def reload(self) -> Outcome:
        """Read and apply the settings; a mistake is logged and changes nothing.

        Whoever asks while another reload is in progress gets the outcome of the one after it.
        """
        if self._next is None:
            self._next = spawn(self._reload(), "reload")
        # Nobody who leaves takes it away from the others.
        return await asyncio.shield(self._next)

    async def _reload(self) -> Outcome:
        async with self._one_at_a_time:
            self._next = None
            notify.reloading()
            try:
                outcome = await self._read_again()
            finally:
                notify.ready()
        _log(outcome)
        return outcome

    async def _remake_token(self) -> None:
        """Have hubgate's own token made if it is gone: before the versions that count are taken."""
        own = own_token_file(self._running, os.environ)
        if own is not None and not own.exists():
            with suppress(ConfigError):  # it comes again, and is told then
                await asyncio.to_thread(self._read)

    async def _read_again(self) -> Outcome:
        await self._remake_token()
        known = versions(watched_files(self._running))
        try:
            # A large file takes seconds to read, and the API must keep responding.
            fresh = await asyncio.to_thread(self._read)
            outcome = await self._take_over(fresh)
        except ConfigError as error:
            outcome = Outcome(mistakes=error.lines)
        found = versions(watched_files(self._running))
        # A change during the read must not be missed, so the earlier version counts.
        self._known = {path: known.get(path, version) for path, version in found.items()}
        return outcome

    async def _take_over(self, fresh: Settings) -> Outcome:
        wanted = taken_over(self._running, fresh)
        certificates = versions(certificate_files(wanted))
        renewed = certificates != self._certificates
        await asyncio.to_thread(_check_tls, wanted)
        await self._parts.service.replace_file_routes(wanted.file_routes)
        self._parts.guard.replace(wanted.api_token, names_of(wanted), wanted.api_tokens)
        # An access log is reopened even if nothing has changed: log rotation asks for it this way.
        if renewed or wanted.worker != self._running.worker or wanted.worker.access_log:
            await self._parts.pool.configure(wanted.worker)
        for endpoint in self._parts.endpoints:
            endpoint.apply(wanted.worker)
        if renewed:
            for endpoint in self._parts.endpoints:
                endpoint.renew_certificate()
        if _logging(wanted) != _logging(self._running):
            configure_logging(*_logging(wanted))
        await asyncio.to_thread(self._parts.tell, wanted)
        for warning in token_file_warnings(wanted):
            log.warning("%s", warning)
        taken = (*changed(self._running, wanted), *(["certificates"] if renewed else []))
        self._running, self._certificates = wanted, certificates
        return Outcome(taken, tuple(changed(wanted, fresh)))


def _log(outcome: Outcome) -> None:
    for line in outcome.mistakes:
        log.error("not reloaded, the running settings stay: %s", line)
    if not outcome.mistakes:
        log.info("reloaded: %s", ", ".join(outcome.changed) or "nothing has changed")
    if outcome.needs_restart:
        log.warning("changed, and needs a restart: %s", ", ".join(outcome.needs_restart))


def _logging(settings: Settings) -> tuple[str, str]:
    return settings.log_level, settings.log_format


def _check_tls(settings: Settings) -> None:
    """Raise ConfigError unless every certificate can be used."""
    client_context(settings.worker.client_tls)
    for tls in (settings.worker.tls, settings.api_tls):
        if tls is not None:
            server_context(tls)
