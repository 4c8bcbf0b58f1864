"""The file by which `proxyctl` finds a running hubgate: where its API is, and the token.

It is in the user's state folder, named after the process and the machine, and says when the
process started: what a killed hubgate left behind means nothing, nor what is another machine's in a
home that several share. Only its own user, and root, can read it.
"""

import hashlib
import json
import logging
import os
import re
import secrets
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hubgate.model import Address, ServerTLS
from hubgate.settings import Settings
from hubgate.settings.recovery_path import FOLDER, absolute, state_home
from hubgate.store.private_folder import PrivateFolder

log = logging.getLogger("hubgate.supervisor")

INSIDE = Path(FOLDER, "running")
"""The folder of these files, in a user's state folder."""

_LONGEST = 256 * 1024  # bytes
# Seconds after which the file of an earlier boot, or another machine, is removed.
_OLD = 30 * 86400.0
# The first certificate of a file is the server's own; others lead to its authority.
_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL | re.ASCII
)
# Every interface, and the addresses of it that are this machine alone.
_EVERYWHERE = {"": ("127.0.0.1", "::1"), "0.0.0.0": ("127.0.0.1",), "::": ("::1", "127.0.0.1")}


@dataclass(frozen=True, slots=True)
class RunningRecord:
    """A running hubgate: its process, the URLs of its API, and what proves who speaks there.

    `token` is one for everything, None if the API needs none or has none such; `certificate` is the
    API's own, PEM, None without TLS.
    """

    pid: int
    started: str
    api: tuple[str, ...]
    token: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)


class RunningFile:
    """Our own record, kept up to date from when we listen until we are told to stop.

    A folder that cannot be written is no obstacle: it costs one line in the log, and `proxyctl`
    has to be told where we are.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        home = state_home(environ)
        self._folder = None if home is None else home / INSIDE
        self._name = file_name(os.getpid())
        self._urls: tuple[str, ...] = ()
        self._failed = False

    def __repr__(self) -> str:
        return f"<RunningFile {self._name} in {self._folder}>"

    def begin(self, settings: Settings, api: Iterable[Address]) -> None:
        """Write the record of a hubgate whose API listens on `api`, and remove stale ones."""
        self._urls = tuple(dict.fromkeys(_urls(api, settings.api_tls)))
        self.update(settings)

    def update(self, settings: Settings) -> None:
        """Write the record anew: a reload may have changed the token or the certificate."""
        pid = os.getpid()
        token = settings.token_for_everything
        record = RunningRecord(
            pid, started(pid) or "", self._urls, token, _certificate(settings.api_tls)
        )
        try:
            self._write(record)
        except OSError as error:
            self._tell(f"{self._folder}: {error.strerror or error}")

    def remove(self) -> None:
        """Remove the record; without one, nothing happens."""
        if self._folder is not None and self._urls:
            with suppress(OSError):
                os.unlink(self._folder / self._name)

    def _write(self, record: RunningRecord) -> None:
        if self._folder is None:
            self._tell("there is no folder for it; set HOME or XDG_STATE_HOME")
            return
        folder = PrivateFolder(self._folder)
        try:
            unfinished = f"{self._name}.{secrets.token_hex(4)}"
            with open(folder.create(unfinished), "w", encoding="ascii") as file:
                json.dump({"version": 1, **asdict(record)}, file)
            folder.rename(unfinished, self._name)
            _remove_stale(folder, self._folder)
        finally:
            folder.close()

    def _tell(self, reason: str) -> None:
        if not self._failed:
            log.info("proxyctl has to be told the API's address and token: %s", reason)
        self._failed = True


def file_name(pid: int) -> str:
    """Return the name of the record of that process."""
    return f"{pid}{_ending()}"


def pids_in(folder: Path) -> list[int]:
    """Return the processes of this machine that a folder has records of, stale ones included."""
    with suppress(OSError):
        found = [name.removesuffix(_ending()) for name in os.listdir(folder)]
        return [int(name) for name in found if name.isdecimal()]
    return []


@cache
def _ending() -> str:
    """Return how the names end here: a pid means something only in one boot and namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        where = f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        where = os.uname().nodename
    return f"-{hashlib.sha256(where.encode()).hexdigest()[:8]}.running"


def read_record(folder: Path, pid: int, uid: int) -> RunningRecord | None:
    """Return the record of a process of that user, None unless it runs and the user wrote it."""
    try:
        # Follows no link, and does not wait for a FIFO's writer.
        how = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        fd = os.open(folder / file_name(pid), how)
    except OSError:
        return None
    try:
        found = os.fstat(fd)
        private = stat.S_ISREG(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
        if not private or found.st_uid != uid or found.st_nlink != 1:
            return None
        text = os.read(fd, _LONGEST)
    finally:
        os.close(fd)
    record = _parsed(text)
    return record if record and record.pid == pid and _runs(record) else None


def started(pid: int) -> str | None:
    """Return what tells a process from another with its pid, None if that cannot be found out.

    It is when it started, in ticks since the boot.
    """
    try:
        # The 22nd field of proc_pid_stat(5); the second, in parentheses, may contain anything.
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return None


def _runs(record: RunningRecord) -> bool:
    if record.started:
        return started(record.pid) == record.started
    try:
        os.kill(record.pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return True


def _remove_stale(folder: PrivateFolder, path: Path) -> None:
    for pid in pids_in(path):
        if pid != os.getpid() and read_record(path, pid, os.geteuid()) is None:
            folder.remove(file_name(pid))
    for name in list(folder.older_than(_OLD)):
        if name.endswith(".running") and not name.endswith(_ending()):
            folder.remove(name)


def _parsed(text: bytes) -> RunningRecord | None:
    try:
        found: dict[str, Any] = json.loads(text)
        record = RunningRecord(
            found["pid"],
            found["started"],
            tuple(found["api"]),
            found["token"],
            found["certificate"],
        )
    except (ValueError, KeyError, TypeError):
        return None
    texts = (record.started, *record.api, record.token or "", record.certificate or "")
    sound = isinstance(record.pid, int) and all(isinstance(each, str) for each in texts)
    return record if sound else None


def _urls(api: Iterable[Address], tls: ServerTLS | None) -> Iterable[str]:
    scheme = "https" if tls else "http"
    for address in api:
        if address.path is not None:
            yield f"http+unix://{quote(absolute(address), safe='')}"
            continue
        for host in _EVERYWHERE.get(address.host, (address.host,)):
            yield f"{scheme}://{f'[{host}]' if ':' in host else host}:{address.port}"


def _certificate(tls: ServerTLS | None) -> str | None:
    if tls is None:
        return None
    with suppress(OSError, UnicodeDecodeError):
        found = _CERTIFICATE.search(Path(tls.cert).read_text(encoding="ascii"))
        return found[0] if found else None
    return None
