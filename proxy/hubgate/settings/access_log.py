"""Where the access log may go: looked at before anything starts, and nothing is created."""

import os
import stat
from pathlib import Path
from typing import Any

from hubgate.errors import ConfigError
from hubgate.model import STDOUT
from hubgate.settings.checks import folder_mistake

OFF = "off"
"""What is written instead of a path for no log at all, as with nginx."""


def anchor_log(path: str, folder: str) -> str:
    """Make the path of a log relative to `folder`; standard output and `off` are no paths."""
    return path if path in (STDOUT, OFF) else os.path.join(folder, path)


def check_log_path(value: Any) -> str:
    """Return where the access log goes, "off" for nowhere. Raises ConfigError."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ConfigError(
            f"{value!r} is no path; write logs/access.log, - (standard output) or off"
        )
    return value.strip()


def access_log_mistake(path: str) -> str | None:
    """Return why no line could be written to `path`, None if they can."""
    if path == STDOUT:
        return None
    file = Path(path)
    try:
        if not file.exists():
            return _folder_mistake(file.absolute().parent)
        if stat.S_ISDIR(file.stat().st_mode):
            return f"{path}: is a folder; name a file in it"
        # A pipe that nobody reads must not make us wait for a reader.
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY))
    except OSError as error:
        return f"{path}: cannot be written: {error.strerror}; name a file that can be"
    return None


def _folder_mistake(folder: Path) -> str | None:
    if mistake := folder_mistake(folder):
        return mistake
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder}: no file can be made there; change who may, or name another"
    return None
