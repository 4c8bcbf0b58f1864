"""A rehearsal of an upgrade: the installed release starts in its own process, and ends.

The running release starts its own command line again with a descriptor's number in the
environment; a process that finds one there loads the settings, starts a worker, and writes to
the descriptor what the running release needs to know.
"""

import asyncio
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import IO

from hubgate import __version__
from hubgate.certificates.contexts import server_context
from hubgate.control import handover
from hubgate.control.upgrade.memory_file import memory_file
from hubgate.control.upgrade.succession import REHEARSAL, restart_command
from hubgate.control.workers.pool import NoReports, WorkerPool
from hubgate.errors import UpgradeError
from hubgate.redis_address import is_redis
from hubgate.settings import Settings
from hubgate.settings.changes import PINNED

# Pinned settings that earlier releases of this version of the handover do not know.
_LATER = frozenset(("health", "replicas.name"))

LIMIT = 90.0
INTERVAL = 0.02

# Our own commands say so in front of what is wrong.
_COMMAND = re.compile(r"^(?:proxyctl|configurable-http-proxy): ")

_PLACE = re.compile(r'^( *)File "(.+)", line (\d+).*$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class NewRelease:
    """The result of a rehearsal: the installed release, and the pinned settings it would use."""

    release: str
    pinned: Mapping[str, str]


async def rehearse(running: Settings) -> NewRelease:
    """Start the installed release with the current settings, and end it. Raises UpgradeError."""
    file = running.config_file
    if file is not None and not file.exists():
        # Without it, the default settings would serve, and its routes would be gone.
        raise UpgradeError(f"{file}: no such file; put it back, or restart hubgate without it")
    with memory_file("rehearsal") as answer, memory_file("rehearsal") as error_output:
        code = await _run(answer, error_output)
        answer.seek(0)
        error_output.seek(0)
        text = answer.read()
        if code != 0 or not text:
            raise UpgradeError(_reason(error_output.read().decode("utf-8", "replace"), code))
    found = json.loads(text)
    if found["handover"] != handover.VERSION:
        raise UpgradeError(
            f"{found['release']} cannot take over from {__version__}: restart hubgate instead"
        )
    pinned = _pinned(running)
    wanted = {**_pinned(Settings()), **found["pinned"]}
    differing = [name for name, value in wanted.items() if pinned.get(name) != value]
    if differing:
        raise UpgradeError(f"changed, and needs a restart: {', '.join(differing)}")
    return NewRelease(found["release"], found["pinned"])


async def answer(settings: Settings, fd: int) -> None:
    """Try what can be tried unnoticed, then write what `rehearse` waits for.

    Raises ConfigError, StoreError and WorkerError for whatever would go wrong.
    """
    await asyncio.to_thread(_try_shared_store, settings)
    if settings.api_tls is not None:
        server_context(settings.api_tls)
    pool = WorkerPool(settings.worker, [()])
    try:
        await pool.start(tuple, NoReports())
    finally:
        await pool.stop()
    found = {
        "release": __version__,
        "handover": handover.VERSION,
        "pinned": _answered(settings),
    }
    with os.fdopen(fd, "w") as file:
        json.dump(found, file)


def _try_shared_store(settings: Settings) -> None:
    """Try a store that is not locked by the running release."""
    if is_redis(settings.store):
        from hubgate.store.trial import try_store  # takes long to load

        try_store(settings.store, login=settings.redis)


async def _run(output: IO[bytes], error_output: IO[bytes]) -> int:
    try:
        process = subprocess.Popen(  # noqa: ASYNC220 - as short as a fork
            restart_command(),
            env={**os.environ, REHEARSAL: str(output.fileno())},
            stdin=subprocess.DEVNULL,
            stdout=error_output,
            stderr=error_output,
            pass_fds=(output.fileno(),),
        )
    except OSError as error:
        raise UpgradeError(f"{sys.executable}: {error.strerror}") from error
    try:
        async with asyncio.timeout(LIMIT):
            while process.poll() is None:  # noqa: ASYNC110 - a thread would outlive us
                await asyncio.sleep(INTERVAL)
    except TimeoutError:
        raise UpgradeError(f"it did not start within {LIMIT:g} seconds") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return process.returncode


def _reason(error_output: str, code: int) -> str:
    """Return in one line why the new release failed."""
    if code < 0:
        return f"it was ended by {_signal_name(-code)}"
    lines = [line.strip() for line in error_output.splitlines() if line.strip()]
    if not lines:
        return f"it ended with code {code} and no output"
    if places := list(_PLACE.finditer(error_output)):
        # A traceback ends with the first line after its last place that is indented less; in a
        # log all of it is indented.
        indent, file, line = places[-1].groups()
        less = rf"^ {{0,{max(0, len(indent) - 1)}}}\S.*$"
        error = re.search(less, error_output[places[-1].end() :], re.MULTILINE)
        return f"{error[0].strip() if error else lines[-1]} ({file}, line {line})"
    return "; ".join(_COMMAND.sub("", line) for line in lines)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _pinned(settings: Settings) -> dict[str, str]:
    """Return hashes of the settings that cannot change: a store's address may have a password.

    A store that nobody named is memory: here, as it was for earlier releases, whose routes go into
    the new store.
    """
    if settings.own_store:
        settings = replace(settings, store=Settings().store)
    return {
        name: hashlib.sha256(repr(attrgetter(field)(settings)).encode()).hexdigest()
        for field, name in PINNED.items()
    }


def _answered(settings: Settings) -> dict[str, str]:
    """Return those hashes without defaults of `_LATER`: an earlier release has no such setting."""
    defaults = _pinned(Settings())
    return {
        name: value
        for name, value in _pinned(settings).items()
        if name not in _LATER or value != defaults[name]
    }
