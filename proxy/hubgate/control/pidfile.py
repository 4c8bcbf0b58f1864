"""The file that tells other programs the supervisor's process id."""

import logging
import os
from contextlib import suppress
from pathlib import Path

from hubgate.errors import ConfigError

log = logging.getLogger("hubgate.supervisor")


class PidFile:
    """Keeps our process id in the file at `path` while entered; without a path, does nothing.

    Only we can read a new file; one that is there keeps its mode. Entering raises ConfigError
    when the file cannot be written.
    """

    # Not a generator: collected before its end, it would remove the file, which belongs to the
    # release that takes over in this process.

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._own = str(os.getpid())

    def __repr__(self) -> str:
        return f"<PidFile {self._path}>"

    def __enter__(self) -> None:
        if self._path is None:
            return
        try:
            with open(self._path, "w", opener=_for_us_alone) as file:
                file.write(self._own)
        except OSError as error:
            raise ConfigError(
                f"--pid-file {self._path}: {error.strerror}; give a path in a folder that is there "
                "and writable"
            ) from error
        log.info("Writing pid %s to %s", self._own, self._path)

    def __exit__(self, *_: object) -> None:
        if self._path is None:
            return
        with suppress(OSError):
            # A successor may have put its own id there.
            if Path(self._path).read_text().strip() == self._own:
                os.unlink(self._path)


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
