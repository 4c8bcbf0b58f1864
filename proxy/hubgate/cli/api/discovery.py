"""The running hubgates whose files this user may read: its own, and for root everybody's."""

import os
import pwd
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click

from hubgate.cli.api.socket_owners import SocketOwners
from hubgate.control.running_file import INSIDE, RunningRecord, network, pids_in, read_record
from hubgate.routing.target import DEFAULT_PORTS
from hubgate.settings.recovery_path import state_home

DEFAULT_URL = "http://127.0.0.1:8001"

PATIENCE = 2.0
"""Seconds for a search: how long it takes, others may have a say in."""

_PROC = Path("/proc")
_NAMES = (b"XDG_STATE_HOME", b"HOME")
_MOST_OF_ENVIRONMENT = 256 * 1024  # bytes; a process may have gigabytes
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class FoundProxy:
    """A running hubgate, its user, and the folder of its record."""

    record: RunningRecord
    uid: int
    folder: Path

    @property
    def is_own(self) -> bool:
        """Whether it is of the user who asks."""
        return self.uid == os.geteuid()

    def token(self) -> str | None:
        """Return its token as it is now: a reload may have changed it."""
        record = read_record(self.folder, self.record.pid, self.uid)
        return None if record is None else record.token


def own_proxies(environ: Mapping[str, str]) -> list[FoundProxy]:
    """Return this user's hubgates, those of its own state folder first, then by pid.

    Other folders are where the processes' own environment says, because a service seldom has that
    of its user's shell.
    """
    me, home = os.geteuid(), state_home(environ)
    here = [] if home is None else sorted(pids_in(home / INSIDE))
    found = [proxy for pid in here if home and (proxy := _in_folder(home / INSIDE, pid, me))]
    known = {each.record.pid for each in found}
    return found + [each for each in _found_in_time(me) if each.record.pid not in known]


def other_proxies() -> list[FoundProxy]:
    """Return for root the hubgates of other users, by pid; for others nothing.

    A record's URL counts only if it leads to a socket of that user, on this machine: nobody leads
    root elsewhere, nor takes another one's place.
    """
    if os.geteuid() != 0:
        return []
    owners = SocketOwners()
    found = []
    for each in _found_in_time(None):
        urls = [url for url in each.record.api if _is_local(url)]
        own = tuple(url for url in urls if owners.are_of(url, each.uid, each.record.pid))
        if own:
            found.append(replace(each, record=replace(each.record, api=own)))
    return found


def find_proxy(url: str, environ: Mapping[str, str], *, others: bool) -> FoundProxy | None:
    """Return the running hubgate with its API at `url`, None if none of ours is there.

    With `others` root gets another user's, if none of its own is there.
    """
    if (own := _serving(own_proxies(environ), url)) is not None or not others:
        return own
    found = _serving(other_proxies(), url)
    is_alone = found and SocketOwners().are_of(url, found.uid, found.record.pid)
    return found if is_alone else None


def default_place(environ: Mapping[str, str], *, others: bool) -> tuple[str, FoundProxy | None]:
    """Return where the API is if nobody says, and whose: at the default port, or the only one.

    With `others` another user's counts for root, if it has none of its own. Raises
    click.ClickException if there are several, all of them elsewhere.
    """
    running = own_proxies(environ) or (other_proxies() if others else [])
    if (found := _serving(running, DEFAULT_URL)) is not None or not running:
        return DEFAULT_URL, found
    if len(running) > 1:
        raise click.ClickException(f"several hubgates are running: {_named(running)}")
    return running[0].record.api[0], running[0]


def serves(record: RunningRecord, url: str) -> bool:
    """Return whether a record's API is at `url`; any name for this machine alone is one."""
    return any(_same_place(url, own) for own in record.api)


def user_name(uid: int) -> str:
    """Return what a user is called; without an account, it is a number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _serving(running: Sequence[FoundProxy], url: str) -> FoundProxy | None:
    return next((each for each in running if serves(each.record, url)), None)


def _named(running: Sequence[FoundProxy]) -> str:
    shown = running[:_MOST_NAMED]
    which = ", ".join(f"{each.record.api[0]} (process {each.record.pid})" for each in shown)
    left = len(running) - len(shown)
    return f"{which}{f' and {left} more' if left else ''}; give --api-url"


def _same_place(asked: str, own: str) -> bool:
    one, other = urlsplit(asked), urlsplit(own)
    if "unix" in one.scheme and "unix" in other.scheme:
        return os.path.abspath(unquote(one.netloc)) == unquote(other.netloc)
    ports = [each.port or DEFAULT_PORTS.get(each.scheme) for each in (one, other)]
    if one.scheme != other.scheme or ports[0] != ports[1]:
        return False
    host, own_host = one.hostname or "", other.hostname or ""
    return (
        host == own_host
        or (host == "localhost" and _is_loopback(own_host))
        or (own_host == "localhost" and _is_loopback(host))
    )


def _is_local(url: str) -> bool:
    parts = urlsplit(url)
    return "unix" in parts.scheme or _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


# --- the search ---


def _found_in_time(uid: int | None) -> list[FoundProxy]:
    """Return what is found in PATIENCE seconds, in a thread: a user's folder may never answer."""
    found: list[FoundProxy] = []
    search = threading.Thread(target=_search, args=(uid, found), daemon=True)
    try:
        search.start()
    except RuntimeError:  # no more threads, or no memory for one
        _search(uid, found)
    else:
        search.join(PATIENCE)
    if search.is_alive():
        _warn_of_end()
    return list(found)


@cache
def _warn_of_end() -> None:
    text = f"proxyctl: searched for running hubgates for {PATIENCE:g} s, not to the end"
    click.echo(f"{text}; give --api-url and --token-file if yours is not found", err=True)


def _search(uid: int | None, found: list[FoundProxy]) -> None:
    """Put the hubgates of that user's processes into `found`; for None those of all but ours."""
    end = time.monotonic() + PATIENCE
    with suppress(MemoryError):
        for pid, owner in _processes(uid):
            if time.monotonic() > end:
                return
            each = (_in_folder(home / INSIDE, pid, owner) for home in _homes(pid, owner))
            if (proxy := next(filter(None, each), None)) is not None:
                found.append(proxy)


def _in_folder(folder: Path, pid: int, uid: int) -> FoundProxy | None:
    """Return a process's hubgate if its record is there and its ports are in our network."""
    record = read_record(folder, pid, uid)
    if record is None:
        return None
    if record.network != network():
        urls = tuple(url for url in record.api if "unix" in urlsplit(url).scheme)
        record = replace(record, api=urls)
    return FoundProxy(record, uid, folder) if record.api else None


def _processes(wanted: int | None) -> Sequence[tuple[int, int]]:
    """Return the processes of that user, or of all but ours, with their users; none without /proc.

    Who has many comes last, and keeps nobody from being found.
    """
    me = os.geteuid()
    found = []
    with suppress(OSError):
        for name in filter(str.isdecimal, os.listdir(_PROC)):
            with suppress(OSError):
                uid = os.stat(_PROC / name).st_uid
                if uid == wanted or (wanted is None and uid != me):
                    found.append((int(name), uid))
    counts = Counter(uid for _, uid in found)
    return sorted(found, key=lambda each: (counts[each[1]], each))


def _homes(pid: int, uid: int) -> Sequence[Path]:
    """Return the state folders that a process may use, by its environment and its account."""
    texts = {name: os.fsdecode(value) for name, value in _environment(pid, uid)}
    state = texts.get(b"XDG_STATE_HOME", "")
    homes = [Path(state)] if os.path.isabs(state) else []
    accounts = (texts.get(b"HOME", ""), _account_home(uid))
    homes += [Path(each, ".local", "state") for each in accounts if os.path.isabs(each)]
    return list(dict.fromkeys(homes))


def _environment(pid: int, uid: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield what counts of a process's environment, unless another user has started it.

    Of a setuid program that user sets it, and could name a folder with any file in it: on a disk
    image of its own, for one.
    """
    with suppress(OSError):
        status = (_PROC / str(pid) / "status").read_bytes()
        users = next((line.split()[1:] for line in status.split(b"\n") if line[:4] == b"Uid:"), [])
        if {*users} != {str(uid).encode()}:
            return
        with (_PROC / str(pid) / "environ").open("rb", buffering=0) as file:
            lines = file.read(_MOST_OF_ENVIRONMENT).split(b"\0")
        for name, _, value in (line.partition(b"=") for line in lines):
            if name in _NAMES:
                yield name, value


@cache
def _account_home(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return ""
