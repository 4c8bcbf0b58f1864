"""The running hubgates whose files this user may read: its own, and for root everybody's."""

import os
import pwd
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click

from hubgate.control.running_file import INSIDE, RunningRecord, pids_in, read_record
from hubgate.settings.recovery_path import state_home

DEFAULT_URL = "http://127.0.0.1:8001"

_PROC = Path("/proc")
_NAMES = (b"XDG_STATE_HOME", b"HOME")


def running_proxies(environ: Mapping[str, str]) -> list[RunningRecord]:
    """Return every hubgate that this user may control, its own first, then by pid.

    Their folders are where the processes' own environment says, because a service seldom has that
    of its user's shell.
    """
    found: dict[int, RunningRecord] = {}
    me = os.geteuid()
    for pid, uid, home in _places(environ):
        if pid not in found and (record := read_record(home / INSIDE, pid, uid)) is not None:
            if uid != me:
                record = _of_other(record, uid)
            if record is not None and record.api:
                found[pid] = record
    return list(found.values())


def find_record(url: str, environ: Mapping[str, str]) -> RunningRecord | None:
    """Return the running hubgate with its API at `url`, None if none of ours is there."""
    return next((each for each in running_proxies(environ) if serves(each, url)), None)


def default_url(environ: Mapping[str, str]) -> str:
    """Return where the API is if nobody says: at the default port, or at the only hubgate's.

    Raises click.ClickException if there are several, all of them elsewhere.
    """
    running = running_proxies(environ)
    if not running or any(serves(each, DEFAULT_URL) for each in running):
        return DEFAULT_URL
    if len(running) > 1:
        which = ", ".join(f"{each.api[0]} (process {each.pid})" for each in running)
        raise click.ClickException(f"several hubgates are running: {which}; give --api-url")
    return running[0].api[0]


def serves(record: RunningRecord, url: str) -> bool:
    """Return whether a record's API is at `url`; any name for this machine alone is one."""
    return any(_same_place(url, own) for own in record.api)


def _same_place(asked: str, own: str) -> bool:
    one, other = urlsplit(asked), urlsplit(own)
    if "unix" in one.scheme and "unix" in other.scheme:
        return os.path.abspath(unquote(one.netloc)) == unquote(other.netloc)
    if (one.scheme, one.port) != (other.scheme, other.port):
        return False
    host, own_host = one.hostname or "", other.hostname or ""
    return (
        host == own_host
        or (host == "localhost" and _is_loopback(own_host))
        or (own_host == "localhost" and _is_loopback(host))
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _of_other(record: RunningRecord, uid: int) -> RunningRecord | None:
    """Return another user's record as far as root may believe it, None if it may not at all.

    What it names must be that user's own, or a port of this machine: nobody leads root elsewhere.
    """
    return record if all(_is_own(url, uid) for url in record.api) else None


def _is_own(url: str, uid: int) -> bool:
    parts = urlsplit(url)
    if "unix" not in parts.scheme:
        return parts.scheme in ("http", "https") and _is_loopback(parts.hostname or "")
    with suppress(OSError):
        found = os.lstat(unquote(parts.netloc))
        return stat.S_ISSOCK(found.st_mode) and found.st_uid == uid
    return False


def _places(environ: Mapping[str, str]) -> Iterator[tuple[int, int, Path]]:
    """Yield processes with their user and a state folder where their record may be."""
    me, own = os.geteuid(), state_home(environ)
    if own is not None:
        yield from ((pid, me, own) for pid in sorted(pids_in(own / INSIDE)))
    for pid, uid in sorted(_processes(me), key=lambda each: (each[1] != me, each[0])):
        yield from ((pid, uid, home) for home in _homes(pid, uid))


def _processes(me: int) -> Iterator[tuple[int, int]]:
    """Yield the processes of this user, or as root all, with their users; none without /proc."""
    with suppress(OSError):
        for name in os.listdir(_PROC):
            if name.isdecimal():
                with suppress(OSError):
                    uid = os.stat(_PROC / name).st_uid
                    if me in (0, uid):
                        yield int(name), uid


def _homes(pid: int, uid: int) -> Sequence[Path]:
    """Return the state folders that a process may use, by its environment and its account."""
    given: dict[bytes, bytes] = {}
    with suppress(OSError):
        lines = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
        given = {name: value for name, _, value in (line.partition(b"=") for line in lines)}
    texts = {name: os.fsdecode(given.get(name, b"")) for name in _NAMES}
    homes = [Path(texts[b"XDG_STATE_HOME"])] if os.path.isabs(texts[b"XDG_STATE_HOME"]) else []
    accounts = [texts[b"HOME"]]
    with suppress(KeyError):
        accounts.append(pwd.getpwuid(uid).pw_dir)
    homes += [Path(each, ".local", "state") for each in accounts if os.path.isabs(each)]
    return list(dict.fromkeys(homes))
