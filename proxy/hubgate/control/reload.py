"""Taking over changed settings and certificates while everything runs."""

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hubgate.certificates.contexts import client_context, server_context
from hubgate.control.file_watch import Versions, files_changed, versions
from hubgate.control.routes.service import RouteService
from hubgate.control.web.endpoint import Endpoint
from hubgate.control.web.guard import Guard
from hubgate.control.workers.pool import WorkerPool
from hubgate.errors import ConfigError
from hubgate.logs import configure_logging
from hubgate.model import WorkerConfig
from hubgate.settings import Settings
from hubgate.settings.exposure import token_file_warnings

log = logging.getLogger("hubgate.supervisor")

# Matters at the start only.
IGNORED = ("initial_routes",)

# What the fields are called in routes.yaml.
IN_FILE = {
    "worker.rules": "forward",
    "worker.client_tls": "upstream.tls",
    "worker.tls": "listen.tls",
    "worker.redirect_to": "listen.redirect_to",
    "worker.timeouts": "timeouts",
    "worker.limits": "limits",
    "worker.access_log": "access_log",
    "redirect": "listen.redirect_port",
    "api_tls": "api.tls",
    "api_token": "the API's token",
    "api_token_file": "api.token_file",
    "file_routes": "routes",
}


@dataclass(frozen=True)
class Parts:
    """What a reload acts on."""

    service: RouteService
    pool: WorkerPool
    endpoints: Sequence[Endpoint]
    guard: Guard


@dataclass(frozen=True)
class Outcome:
    """What a reload did: what it took over, what needs a restart, or the mistakes that kept it.

    With a mistake, each a line for a person, everything is as it was.
    """

    changed: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    mistakes: tuple[str, ...] = ()


class Reloader:
    """Reads the settings again and takes over what it can; never raises for a mistake in them.

    `known` are the versions of the files that the running settings were read from.
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

    @property
    def running(self) -> Settings:
        """What is served by now."""
        return self._running

    async def finish(self) -> None:
        """Let a reload that is under way end, and none begin any more."""
        await self._one_at_a_time.acquire()

    async def follow(self) -> None:
        """Reload whenever a file that matters changes, until cancelled."""
        while watched_files(self._running):
            await files_changed(self._known)
            await self.reload()

    async def reload(self) -> Outcome:
        """Read and take over; at a mistake log it, and everything stays as it is."""
        async with self._one_at_a_time:
            known = versions(watched_files(self._running))
            try:
                # A large file takes seconds to read, and the API must go on meanwhile.
                fresh = await asyncio.to_thread(self._read)
                outcome = await self._take_over(fresh)
            except ConfigError as error:
                outcome = Outcome(mistakes=error.lines)
            found = versions(watched_files(self._running))
            # What changed while it was read must be noticed: the earlier version counts.
            self._known = {path: known.get(path, version) for path, version in found.items()}
        _log(outcome)
        return outcome

    async def _take_over(self, fresh: Settings) -> Outcome:
        wanted = replace(
            _with_token_of(fresh, self._running),
            file_routes=fresh.file_routes,
            worker=_matching_as(self._running.worker, fresh.worker),
            log_level=fresh.log_level,
        )
        certificates = versions(certificate_files(wanted))
        renewed = certificates != self._certificates
        await asyncio.to_thread(_check_tls, wanted)
        await self._parts.service.replace_file_routes(wanted.file_routes)
        self._parts.guard.replace(wanted.api_token)
        # An access log is opened anew even if nothing has changed: whoever rotates it asks so.
        if renewed or wanted.worker != self._running.worker or wanted.worker.access_log:
            await self._parts.pool.configure(wanted.worker)
        if renewed:
            for endpoint in self._parts.endpoints:
                endpoint.renew_certificate()
        if wanted.log_level != self._running.log_level:
            configure_logging(wanted.log_level)
        for warning in token_file_warnings(wanted):
            log.warning("%s", warning)
        taken = (*changed(self._running, wanted), *(["certificates"] if renewed else []))
        self._running, self._certificates = wanted, certificates
        return Outcome(taken, tuple(changed(wanted, fresh)))


def _log(outcome: Outcome) -> None:
    for line in outcome.mistakes:
        log.error("not reloaded, what runs stays as it is: %s", line)
    if not outcome.mistakes:
        log.info("reloaded: %s", ", ".join(outcome.changed) or "nothing has changed")
    if outcome.needs_restart:
        log.warning("changed, and needs a restart: %s", ", ".join(outcome.needs_restart))


def watched_files(settings: Settings) -> list[Path]:
    """Return the files that the settings are read from, certificates among them."""
    own = (settings.config_file, settings.api_token_file)
    return [path for path in own if path is not None] + certificate_files(settings)


def certificate_files(settings: Settings) -> list[Path]:
    """Return every file of a certificate, a key or an authority."""
    tls = (settings.worker.tls, settings.api_tls, settings.worker.client_tls)
    names = [name for each in tls if each is not None for name in (each.cert, each.key, each.ca)]
    return [Path(name) for name in dict.fromkeys(names) if name]


def changed(old: Settings, new: Settings) -> Iterator[str]:
    """Yield what differs, under the names that routes.yaml has for it."""
    for name in _changed(old, new, ""):
        for ours, theirs in IN_FILE.items():
            if name == ours or name.startswith(ours + "."):
                name = theirs + name.removeprefix(ours)
                break
        yield name.removeprefix("worker.")


def _changed(old: Any, new: Any, prefix: str) -> Iterator[str]:
    for field in dataclasses.fields(old):
        name = prefix + field.name
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before == after or name in IGNORED:
            continue
        if dataclasses.is_dataclass(before) and type(before) is type(after):
            yield from _changed(before, after, name + ".")
        else:
            yield name


def _with_token_of(fresh: Settings, running: Settings) -> Settings:
    """Return `running` with the other's token; an API that has one is never left without."""
    if fresh.api_token is None:
        return running
    return replace(running, api_token=fresh.api_token, api_token_file=fresh.api_token_file)


def _matching_as(running: WorkerConfig, fresh: WorkerConfig) -> WorkerConfig:
    """Return `fresh` with the rules by which the running table was built."""
    rules = replace(
        fresh.rules,
        host_routing=running.rules.host_routing,
        native_routes=running.rules.native_routes,
    )
    return replace(fresh, rules=rules)


def _check_tls(settings: Settings) -> None:
    """Raise ConfigError unless every certificate can be used."""
    client_context(settings.worker.client_tls)
    for tls in (settings.worker.tls, settings.api_tls):
        if tls is not None:
            server_context(tls)
