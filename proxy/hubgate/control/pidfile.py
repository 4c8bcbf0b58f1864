"""The file with the supervisor's process id, for other programs."""

import logging
import os
from contextlib import suppress
from pathlib import Path

from hubgate.errors import ConfigError

log = logging.getLogger("hubgate.supervisor")


class PidFile:
    """A context manager that keeps our process id in the file at `path`, if there is one.

    A new file is readable only by us; an existing one keeps its mode. Entering raises
    ConfigError when the file cannot be written.
    """

    # Not a generator: if collected before it finishes, it would remove the file, which belongs
    # to the release that takes over in this process.

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._own = str(os.getpid())

    def __repr__(self) -> str:
        return f"<PidFile {self._path}>"

    def __enter__(self) -> None:
        if self._path is None:
            return
        try:
            with open(self._path, "w", opener=_open_private) as file:
                file.write(self._own)
        except OSError as error:
            raise ConfigError(
                f"--pid-file {self._path}: {error.strerror}; "
                "give a path in an existing, writable folder"
            ) from error
        log.info("Writing pid %s to %s", self._own, self._path)

    def __exit__(self, *_: object) -> None:
        if self._path is None:
            return
        with suppress(OSError):
            # A successor may have written its own id.
            if Path(self._path).read_text().strip() == self._own:
                os.unlink(self._path)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
