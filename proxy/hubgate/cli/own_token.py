"""The token that `proxyctl serve` makes for itself when nobody gave it one.

It is in a file of the user's state folder, named after the API's port or socket, where the other
commands of the same user find it. Made once, and kept from then on.
"""

import dataclasses
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hubgate.errors import ConfigError
from hubgate.folders import creation_error
from hubgate.model import Address
from hubgate.routing.target import DEFAULT_PORTS
from hubgate.settings import Settings
from hubgate.settings.exposure import is_guarded, is_public
from hubgate.settings.token import own_token_path, token_from_own_file
from hubgate.store.private_folder import PrivateFolder, private_folder_error

_WAYS = (
    "give --token-file or HUBGATE_TOKEN, or --api-open if anyone on this machine may use the API"
)


def with_own_token(
    settings: Settings,
    environ: Mapping[str, str],
    api: Address | None = None,
    made: Callable[[Path], None] = lambda _: None,
) -> Settings:
    """Return `settings` with a token, if they need one: hubgate's own, made if there is none.

    `api` is where the API is, if not where `settings` want it. `made` is called with the token's
    file if it was made now. Raises ConfigError if it cannot be kept or read.
    """
    path = _path(settings, environ, api)
    if path is None:
        return settings
    return dataclasses.replace(settings, api_token=_kept(path, made), api_token_file=path)


def with_planned_token(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Return what `with_own_token` would, without writing anything. Raises ConfigError."""
    path = _path(settings, environ)
    if path is None:
        return settings
    error = private_folder_error(path.parent)
    if error is None and not os.path.lexists(path):
        error = creation_error(path.parent)
    if error is not None:
        raise _bad_folder(path.parent, error)
    token = token_from_own_file(path) or secrets.token_hex()
    return dataclasses.replace(settings, api_token=token, api_token_file=path)


def own_token_for(url: str, environ: Mapping[str, str]) -> str | None:
    """Return the token that a hubgate of ours made for the API at `url`, None if there is none.

    Only an API on this machine gets it. Raises ConfigError for a file that cannot be used.
    """
    path = _path_for(url, environ)
    return None if path is None else token_from_own_file(path)


def own_token_source(url: str, environ: Mapping[str, str]) -> str:
    """Return the name of the file that `own_token_for` reads, "" if there is none."""
    return str(_path_for(url, environ) or "")


def _path_for(url: str, environ: Mapping[str, str]) -> Path | None:
    address = _address(url)
    return None if is_public(address) else own_token_path(environ, address)


def _path(
    settings: Settings, environ: Mapping[str, str], api: Address | None = None
) -> Path | None:
    """Return the file for the token; None if these settings need none of hubgate's own."""
    if settings.api_open or is_guarded(settings):
        return None
    path = own_token_path(environ, api or settings.api[0])
    if path is None:
        raise ConfigError(
            "HOME: this user has no home folder for the API's token; set XDG_STATE_HOME to a folder"
            f" for this user only, or {_WAYS}"
        )
    return path


def _address(url: str) -> Address:
    parts = urlsplit(url)
    if "unix" in parts.scheme:
        return Address(path=unquote(parts.netloc))
    return Address(parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme])


def _kept(path: Path, made: Callable[[Path], None]) -> str:
    try:
        folder = PrivateFolder(path.parent)
    except OSError as error:
        raise _bad_folder(path.parent, error) from None
    try:
        if folder.identity(path.name) is None:
            _make(folder, path.name)
            made(path)
    except OSError as error:
        raise _bad_folder(path.parent, error) from None
    finally:
        folder.close()
    token = token_from_own_file(path)
    if token is None:
        raise ConfigError(f"{path}: the API's token is gone again; {_WAYS}")
    return token


def _bad_folder(folder: Path, error: OSError) -> ConfigError:
    where = next((each for each in (folder, *folder.parents) if os.path.lexists(each)), folder)
    reason = error.strerror or str(error)
    if where.is_symlink() and where == folder:
        reason = "is a link"
    elif not where.is_dir():
        reason = "is not a folder"
    return ConfigError(
        f"{where}: {reason}; the API's token cannot be kept in the folder {folder}; {_WAYS}"
    )


def _make(folder: PrivateFolder, name: str) -> None:
    """Write a new token whole or not at all, and never over another process's."""
    unfinished = f"{name}.{secrets.token_hex(4)}"
    try:
        with open(folder.create(unfinished), "w") as file:
            file.write(f"{secrets.token_hex()}\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            folder.link(unfinished, name)
    finally:
        folder.remove(unfinished)
