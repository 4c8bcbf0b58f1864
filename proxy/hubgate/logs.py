"""The format of log lines, in the supervisor and in every worker."""

import logging
import re
import sys
from typing import Any

LEVELS = {"debug": 10, "info": 20, "warn": 30, "warning": 30, "error": 40}

# What a terminal or a reader of logs obeys instead of showing it: control characters (C0, C1, and
# so line ends and escape sequences), invisible and bidirectional ones, line separators, halves of
# surrogate pairs, tags.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]"
)


def one_line(text: str) -> str:
    r"""Return `text` with what cannot be seen written out, as `\n` and `\x1b`.

    For everything that comes from outside and is shown to a person: nothing in it can end its
    line, or look like another one.
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class _Line(logging.Formatter):
    """`12:34:56.789 [hubgate] info: text`, the format hub operators know from CHP.

    A traceback follows in lines of its own, each of them indented: none looks like the first.
    """

    default_time_format = "%H:%M:%S"
    default_msec_format = "%s.%03d"

    def format(self, record: logging.LogRecord) -> str:
        record.levelname = record.levelname.lower()
        record.exc_text = None  # as another handler would have formatted it
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = one_line(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        return _indented(super().formatStack(stack_info))


def _indented(text: str) -> str:
    return "\n".join("  " + one_line(line) for line in text.split("\n"))


def configure_logging(level: str) -> None:
    """Send every log line of `level` and above to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line("%(asctime)s [%(name)s] %(levelname)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("hubgate").setLevel(LEVELS[level])
