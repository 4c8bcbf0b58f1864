"""Which file keeps the API's routes where nobody named a store: the drop-in's, and `serve`'s.

The drop-in's is for the case that it is killed. `proxyctl serve` keeps routes in its own.
"""

import dataclasses
import hashlib
import hmac
import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from hubgate.current_folder import anchored
from hubgate.model import Address
from hubgate.settings.values import Settings

FOLDER = "hubgate"


def recovery_path(
    environ: Mapping[str, str], token: str | None, api: tuple[Address, ...]
) -> Path | None:
    """Return the file that belongs to `token` and the API's addresses, None if there is none.

    It is in `$XDG_STATE_HOME/hubgate`, else `~/.local/state/hubgate`. Its name can be found only
    with the token, and does not reveal it. Without a token everyone would share one file; with a
    port that the kernel chooses, no successor could find it.
    """
    home = state_home(environ)
    if not token or home is None or not _can_be_found(api):
        return None
    where = "\n".join(absolute(each) for each in api)
    name = hmac.digest(token.encode(), f"routes of {where}".encode(), hashlib.sha256)
    return home / FOLDER / f"{name.hex()[:32]}.routes"


def no_recovery(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """Return a line if a recovery file is wanted and only its folder is not known, else None."""
    wanted = settings.store == "memory:" and settings.api_token and _can_be_found(settings.api)
    if not wanted or state_home(environ) is not None:
        return None
    return (
        "HOME: this user has no home folder for the recovery file; routes will not survive a"
        " crash: set XDG_STATE_HOME to a folder for this user only"
    )


def own_path(environ: Mapping[str, str], api: Address, ending: str) -> Path | None:
    """Return a file that hubgate makes for the API at `api`, None for a user without a home.

    It depends on the port alone: `proxyctl` finds it whether it was told `localhost` or
    `127.0.0.1`.
    """
    home = state_home(environ)
    name = str(api.port)
    if api.path is not None:
        name = hashlib.sha256(os.fsencode(absolute(api))).hexdigest()[:16]
    return None if home is None else home / FOLDER / f"api-{name}.{ending}"


def with_own_store(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Return `settings` with a file for the routes of `proxyctl serve` if nobody named a store.

    For a user without a home, and at a port that the kernel chooses, routes stay in memory.
    """
    if not settings.own_store or not settings.api or not _can_be_found(settings.api[:1]):
        return settings
    path = own_path(environ, settings.api[0], "routes.db")
    return settings if path is None else dataclasses.replace(settings, store=f"sqlite:{path}")


def no_own_store(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """Return a line if routes are in memory only because their folder is not known, else None."""
    wanted = settings.own_store and _can_be_found(settings.api[:1])
    if not wanted or state_home(environ) is not None:
        return None
    return (
        "HOME: this user has no home folder for a file of routes; they are kept in memory, and lost"
        " when hubgate ends: set XDG_STATE_HOME to a folder for this user only, or name a store"
    )


def _can_be_found(api: tuple[Address, ...]) -> bool:
    return all(each.path or each.port for each in api)


def state_home(environ: Mapping[str, str]) -> Path | None:
    """Return the folder for what programs of our user keep; None for a user without a home."""
    # The XDG Base Directory Specification: a relative path must be ignored.
    given = environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(given):
        return Path(given)
    home = _home(environ)
    return None if home is None else home / ".local" / "state"


def _home(environ: Mapping[str, str]) -> Path | None:
    """Return $HOME, or the account's home if that is another user's, as it is under `sudo -E`.

    Folders that root made there would lock that user out.
    """
    # A relative one would be another folder for each program, as with XDG_STATE_HOME.
    given = environ.get("HOME", "")
    given = given if os.path.isabs(given) else ""
    if given:
        try:
            owner = os.stat(given).st_uid
        except OSError:  # where there is none, nobody is locked out
            owner = os.geteuid()
        if owner == os.geteuid():
            return Path(given)
    try:
        known = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:  # a user without an account, as in a container
        known = ""
    home = known if os.path.isabs(known) else given
    return Path(home) if home else None


def absolute(address: Address) -> str:
    """Return an address as text, the same however a socket's path is written."""
    return anchored(address.path) if address.path is not None else str(address)
