"""The API's token, from the environment or a file; no message contains it."""

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from hubgate.errors import ConfigError
from hubgate.file_reading import read_file
from hubgate.model import Address
from hubgate.settings.catalogue import variables_of
from hubgate.settings.recovery_path import own_path
from hubgate.settings.values import Settings

_VARIABLES = variables_of("api_token")
_LONGEST = 65536


def token_from_environment(
    environ: Mapping[str, str], names: Sequence[str] = _VARIABLES
) -> str | None:
    """Return the token in the first of the variables `names` that is set, None if none is.

    Raises ConfigError.
    """
    for name in names:
        if text := environ.get(name, "").strip():
            return _checked(text, name)
    return None


def token_from_file(path: str) -> str:
    """Return the token that the file at `path` holds. Raises ConfigError."""
    try:
        text = read_file(path, _LONGEST).decode("ascii").strip()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; put the token there") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: the token has non-ASCII characters") from None
    if not text:
        raise ConfigError(
            f"{path}: is empty; put the token there, such as one from `openssl rand -hex 32`"
        )
    return _checked(text, path)


def own_token_path(environ: Mapping[str, str], api: Address) -> Path | None:
    """Return the file for a token that hubgate makes itself, None for a user without a home.

    `api` is any address of the API: those with one port have one token, so that `proxyctl` finds it
    whether it was told `localhost` or `127.0.0.1`.
    """
    return own_path(environ, api, "token")


def own_token_file(settings: Settings, environ: Mapping[str, str]) -> Path | None:
    """Return the file of the token if it is hubgate's own, else None."""
    file = settings.api_token_file
    return file if file and file == own_token_path(environ, settings.api[0]) else None


def token_from_own_file(path: Path) -> str | None:
    """Return the token in a file that hubgate made, None if there is no file.

    Raises ConfigError for a file that another user may have written or read.
    """
    try:
        # Follows no link, and does not wait for a FIFO's writer.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.EACCES:
            raise ConfigError(
                f"{path}: cannot be read by this user; run this as the one who started hubgate,"
                " or give the token"
            ) from None
        if error.errno == errno.ENOTDIR:
            raise ConfigError(
                f"{path.parent}: is not a folder; the API's token would be in it"
            ) from None
        reason = "is a link" if error.errno == errno.ELOOP else error.strerror
        raise _unusable(path, f"cannot be used: {reason}") from None
    try:
        if (mistake := _own_file_mistake(os.fstat(fd))) is not None:
            raise _unusable(path, mistake)
        text = os.read(fd, _LONGEST).decode("latin-1").strip()
    finally:
        os.close(fd)
    if not text:
        raise _unusable(path, "is empty")
    return _checked(text, str(path))


def _own_file_mistake(found: os.stat_result) -> str | None:
    if not stat.S_ISREG(found.st_mode):
        return "is not a regular file"
    if found.st_uid != os.geteuid():
        return "belongs to another user"
    if stat.S_IMODE(found.st_mode) & 0o077:
        return "is open to other users, who may know the token"
    return None


def _unusable(path: Path, what: str) -> ConfigError:
    return ConfigError(
        f"{path}: {what}; remove it, and `proxyctl serve` makes another token, also while it runs"
    )


def is_token(text: str) -> bool:
    """Return whether `text` can be a token: one word of visible ASCII.

    It is sent as `Authorization: token SECRET`.
    """
    return bool(text) and all("!" <= char <= "~" for char in text)


def _checked(token: str, where: str) -> str:
    if not is_token(token):
        raise ConfigError(f"{where}: the token must be one word of plain ASCII, without spaces")
    return token
