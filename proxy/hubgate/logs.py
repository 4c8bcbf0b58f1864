"""The format of log lines, in the supervisor and in every worker."""

import logging
import sys

LEVELS = {"debug": 10, "info": 20, "warn": 30, "warning": 30, "error": 40}


class _Line(logging.Formatter):
    """`12:34:56.789 [hubgate] info: text`, the format hub operators know from CHP."""

    default_time_format = "%H:%M:%S"
    default_msec_format = "%s.%03d"

    def format(self, record: logging.LogRecord) -> str:
        record.levelname = record.levelname.lower()
        return super().format(record)


def configure_logging(level: str) -> None:
    """Send every log line of `level` and above to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line("%(asctime)s [%(name)s] %(levelname)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("hubgate").setLevel(LEVELS[level])
