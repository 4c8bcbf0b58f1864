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
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from hubgate.certificates.contexts import pinned_context
from hubgate.errors import ConfigError
from hubgate.file_reading import read_file
from hubgate.model import Address, ClientTLS, ServerTLS
from hubgate.settings import Settings
from hubgate.settings.recovery_path import FOLDER, absolute, state_home
from hubgate.settings.token import is_token
from hubgate.settings.urls import check_target
from hubgate.store.private_folder import PrivateFolder

log = logging.getLogger("hubgate.supervisor")

INSIDE = Path(FOLDER, "running")
"""The folder of these files, in a user's state folder."""

REFRESHED = 86400.0
"""Seconds after which a hubgate that runs writes its file again."""

_VERSION = 1
_LONGEST = 256 * 1024  # bytes
_MOST_URLS = 100
_LARGEST_PID = 1 << 22  # PID_MAX_LIMIT of Linux
# Seconds after which the file of an earlier boot, or another machine, is removed: nobody there has
# refreshed it.
_OLD = 30 * REFRESHED
# Seconds that another machine, whose clock may differ, has for writing one.
_UNFINISHED = 3600.0
_TEMPORARY = re.compile(r"(?P<pid>\d+)(?P<ending>-[0-9a-f]{8}\.running)\.[0-9a-f]{8}", re.ASCII)
# The first certificate of a file is the server's own; others lead to its authority.
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?")
# Every interface, and the addresses of it that are this machine alone.
_EVERYWHERE = {"": ("127.0.0.1", "::1"), "0.0.0.0": ("127.0.0.1",), "::": ("::1", "127.0.0.1")}


@dataclass(frozen=True, slots=True)
class RunningRecord:
    """A running hubgate: its process, the URLs of its API, and what proves who speaks there.

    `token` is one for everything, None if the API needs none or has none such; `certificate` is the
    API's own, PEM, None without TLS. `network` names the network namespace in which its ports are,
    "" if there is no such thing.
    """

    pid: int
    started: str
    api: tuple[str, ...]
    token: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    network: str = ""


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
        # A reload writes in a thread of its own, and a stop does not wait for it.
        self._one_at_a_time = threading.Lock()

    def __repr__(self) -> str:
        return f"<RunningFile {self._name} in {self._folder}>"

    def begin(self, settings: Settings, api: Iterable[Address]) -> None:
        """Write the record of a hubgate whose API listens on `api`, and remove stale ones."""
        urls = filter(_is_url, _urls(api, settings.api_tls))
        self._urls = tuple(islice(dict.fromkeys(urls), _MOST_URLS))
        self.update(settings)

    def update(self, settings: Settings) -> None:
        """Write the record anew: a reload may have changed the token or the certificate.

        Once it was removed, nothing happens.
        """
        with self._one_at_a_time:
            if self._urls:
                self._write_record(settings)

    def remove(self) -> None:
        """Remove the record for good; without one, nothing happens."""
        with self._one_at_a_time:
            if self._folder is not None and self._urls:
                with suppress(OSError):
                    os.unlink(self._folder / self._name)
            self._urls = ()

    def _write_record(self, settings: Settings) -> None:
        pid = os.getpid()
        certificate, token = _certificate(settings.api_tls), settings.token_for_everything
        record = RunningRecord(pid, started(pid) or "", self._urls, token, certificate, network())
        try:
            self._write(record)
        except OSError as error:
            self._tell(f"{self._folder}: {error.strerror or error}")

    def _write(self, record: RunningRecord) -> None:
        if self._folder is None:
            self._tell("there is no folder for it; set HOME or XDG_STATE_HOME")
            return
        folder = PrivateFolder(self._folder)
        unfinished = f"{self._name}.{secrets.token_hex(4)}"
        try:
            _remove_stale(folder, self._folder)
            with open(folder.create(unfinished), "w", encoding="ascii") as file:
                json.dump({"version": _VERSION, **asdict(record)}, file)
            folder.rename(unfinished, self._name)
        finally:
            with suppress(OSError):
                folder.remove(unfinished)
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
    """Return the record of a process of that user, None unless it runs and the user wrote it.

    It is judged whole: one that a hubgate would not have written is none.
    """
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
    except OSError:
        return None
    finally:
        os.close(fd)
    record = _parsed(text)
    return record if record and record.pid == pid and _runs(record) else None


def network() -> str:
    """Return the name of this process's network namespace, "" if there is no such thing."""
    with suppress(OSError):
        return os.readlink("/proc/self/ns/net")
    return ""


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
    return record.started == (started(record.pid) or "") and _exists(record.pid)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return True


def _remove_stale(folder: PrivateFolder, path: Path) -> None:
    for pid in pids_in(path):
        if pid != os.getpid() and read_record(path, pid, os.geteuid()) is None:
            _drop(folder, file_name(pid))
    for name in os.listdir(path):
        found = _TEMPORARY.fullmatch(name)
        if found and found["ending"] == _ending() and not _writes(int(found["pid"])):
            _drop(folder, name)
    for name in list(folder.older_than(_UNFINISHED)):
        if _TEMPORARY.fullmatch(name):
            _drop(folder, name)
    for name in list(folder.older_than(_OLD)):
        if name.endswith(".running") and not name.endswith(_ending()):
            _drop(folder, name)


def _drop(folder: PrivateFolder, name: str) -> None:
    with suppress(OSError):  # a folder with that name, for one, is in nobody's way
        folder.remove(name)


def _writes(pid: int) -> bool:
    """Return whether that process may be writing its record; we are not."""
    return pid != os.getpid() and pid <= _LARGEST_PID and _exists(pid)


def _parsed(text: bytes) -> RunningRecord | None:
    try:
        found: dict[str, Any] = json.loads(text)
        record = RunningRecord(
            found["pid"],
            found["started"],
            tuple(found["api"]),
            found["token"],
            found["certificate"],
            found["network"],
        )
        return record if found["version"] == _VERSION and _is_sound(record) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _is_sound(record: RunningRecord) -> bool:
    """Return whether each value of a record is one that a hubgate writes."""
    texts = (record.started, record.network, *record.api)
    return (
        type(record.pid) is int
        and 0 < record.pid <= _LARGEST_PID
        and all(isinstance(each, str) for each in texts)
        and 0 < len(record.api) <= _MOST_URLS
        and all(map(_is_url, record.api))
        and (record.token is None or _is_text(record.token, is_token))
        and (record.certificate is None or _is_text(record.certificate, _is_certificate))
    )


def _is_text(value: object, judge: Callable[[str], bool]) -> bool:
    return isinstance(value, str) and judge(value)


def _is_url(url: str) -> bool:
    """Return whether a client can use `url` as it is: a place, and nothing else."""
    if not url.isascii():
        return False
    try:
        parts = urlsplit(check_target(url))
    except ConfigError:
        return False
    bare = url == f"{parts.scheme}://{parts.netloc}"
    return bare and (parts.scheme == "http+unix" or parts.port is not None)


def _is_certificate(text: str) -> bool:
    if not text.isascii() or not _CERTIFICATE.fullmatch(text.encode()):
        return False
    try:
        pinned_context(text, ClientTLS())
    except ConfigError:
        return False
    return True


def _urls(api: Iterable[Address], tls: ServerTLS | None) -> Iterable[str]:
    scheme = "https" if tls else "http"
    for address in api:
        if address.path is not None:
            yield f"http+unix://{quote(os.fsencode(absolute(address)), safe='')}"
            continue
        for host in _EVERYWHERE.get(address.host, (address.host,)):
            yield f"{scheme}://{f'[{host}]' if ':' in host else host}:{address.port}"


def _certificate(tls: ServerTLS | None) -> str | None:
    if tls is None:
        return None
    with suppress(OSError, UnicodeDecodeError):
        # Around it may be comments in any language.
        found = _CERTIFICATE.search(read_file(tls.cert))
        return found[0].decode("ascii") if found else None
    return None
