"""Where the access log may go: checked before anything starts, without creating anything."""

import os
import stat
from pathlib import Path
from typing import Any

from hubgate.current_folder import anchored
from hubgate.errors import ConfigError
from hubgate.model import STDOUT
from hubgate.settings.checks import folder_mistake, shown

OFF = "off"
"""What to write in place of a path for no log at all, as in nginx."""

# In YAML 1.1, `access_log: no` is no log: it must not become a file of that name.
_SWITCHES = ("no", "yes", "on", "true", "false")


def anchor_log(path: str, folder: str) -> str:
    """Make a log's path relative to `folder`; standard output and `off` are not paths."""
    if path.lower() == OFF:
        return OFF
    return path if path == STDOUT else os.path.join(folder, path)


def check_log_path(value: Any) -> str:
    """Return the access log's path, or "off" for none. Raises ConfigError."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ConfigError(
            f"{shown(value)} is not a path; write logs/access.log, - (standard output) or off"
        )
    path = value.strip()
    if path.lower() in _SWITCHES:
        raise ConfigError(f"{path!r} is not a path; write off for none, or ./{path} for a file")
    return OFF if path.lower() == OFF else path


def access_log_mistake(path: str) -> str | None:
    """Return why `path` cannot be written to, None if it can."""
    if path == STDOUT:
        return None
    file = Path(path)
    try:
        if file.is_symlink() and file.lstat().st_uid not in (0, os.geteuid()):
            return f"{path}: is another user's link; remove it or choose another file"
        if not file.exists():
            return _folder_mistake(Path(anchored(path)).parent)
        if stat.S_ISDIR(file.stat().st_mode):
            return f"{path}: is a folder; give a file in it"
        # O_NONBLOCK: a pipe without a reader must not make us wait for one.
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY))
    except OSError as error:
        return f"{path}: cannot be written: {error.strerror}; choose a writable file"
    return None


def _folder_mistake(folder: Path) -> str | None:
    if mistake := folder_mistake(folder):
        return mistake
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder}: cannot create files here; change its permissions or give another"
    return None
