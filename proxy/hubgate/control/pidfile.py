"""The file that tells other programs the supervisor's process id."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hubgate.errors import ConfigError

log = logging.getLogger("hubgate.supervisor")


@contextmanager
def pid_file(path: str | None) -> Iterator[None]:
    """Keep our process id in the file at `path`; without a path, do nothing.

    Only we can read a new file; one that is there keeps its mode. Raises ConfigError when the
    file cannot be written.
    """
    if path is None:
        yield
        return
    own = str(os.getpid())
    try:
        with open(path, "w", opener=_for_us_alone) as file:
            file.write(own)
    except OSError as error:
        raise ConfigError(
            f"--pid-file {path}: {error.strerror}; give a path in a folder that is there "
            "and writable"
        ) from error
    log.info("Writing pid %s to %s", own, path)
    try:
        yield
    finally:
        with suppress(OSError):
            # A successor may have put its own id there.
            if Path(path).read_text().strip() == own:
                os.unlink(path)


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
