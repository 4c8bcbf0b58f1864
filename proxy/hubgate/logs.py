"""The format of log lines, in the supervisor and in every worker, and where they go."""

import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterator

from hubgate.output.line_writer import LONGEST_LINE
from hubgate.output.log_handler import STDERR, LogHandler, take_over_stderr
from hubgate.output.log_writer import PATIENCE

LEVELS = {"debug": 10, "info": 20, "warn": 30, "warning": 30, "error": 40}

# Those of syslog.
_PRIORITIES = {10: 7, 20: 6, 30: 4, 40: 3, 50: 2}

# What a line's text may take, in bytes: a priority and the line's end come on top.
_MOST_BYTES = LONGEST_LINE - 4
_MORE, _MORE_BYTES = "…", 6  # in JSON, as any character takes at most

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


class _TextFormat(logging.Formatter):
    """`2026-11-29T18:06:05.225Z [hubgate] info: text`: CHP's format, with a date (RFC 3339).

    A traceback follows in lines of its own, each of them indented: none looks like the first.
    """

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's lines."""
        return "\n".join(_shortened(line) for line in self._lines(record))

    def _lines(self, record: logging.LogRecord) -> Iterator[str]:
        said = one_line(record.getMessage())
        if record.name == STDERR:
            yield said
            return
        yield f"{self._moment(record)}[{record.name}] {record.levelname.lower()}: {said}"
        for text in _trace(self, record), record.stack_info:
            if text:
                yield from ("  " + one_line(line) for line in text.split("\n"))

    def _moment(self, record: logging.LogRecord) -> str:
        return self.formatTime(record) + " "


class _JSONFormat(_TextFormat):
    """An object in each line: time, level, logger, message, pid; exception and stack, if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        fields: dict[str, object] = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
        }
        for name, text in ("exception", _trace(self, record)), ("stack", record.stack_info):
            if text:
                fields[name] = text
        for name in ("stack", "exception", "message"):
            excess = len(json.dumps(fields)) - _MOST_BYTES
            if excess > 0 and name in fields:
                fields[name] = _last_part(str(fields[name]), excess)
        return json.dumps(fields)


class _Journal(logging.Formatter):
    """Lines for systemd's journal, which has the time itself: each begins with its priority.

    A traceback's lines too: every line is an entry of its own (sd-daemon(3)).
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's lines."""
        prefix = f"<{_PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in self._inner.format(record).split("\n"))


class _UndatedFormat(_TextFormat):
    def _moment(self, record: logging.LogRecord) -> str:
        return ""


def configure_logging(level: str, kind: str = "text") -> None:
    """Send every log line of `level` and above to stderr, as `kind`: "text" or "json".

    Nobody who logs waits for whoever reads it.
    """
    root = logging.getLogger()
    handler = _handler()
    handler.setFormatter(_format(kind, handler))
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("hubgate").setLevel(LEVELS[level])


def own_stderr() -> None:
    """Make all that this process prints to stderr part of the log, for a process that stays."""
    if (handler := _writing()) is not None:
        take_over_stderr(handler)


def settle(seconds: float = PATIENCE) -> None:
    """Wait until the log is written, for at most `seconds`: before anything that ends a process."""
    if (handler := _writing()) is not None:
        handler.settle(seconds)


def unwritten_lines() -> int:
    """Return how many lines would be lost if this process ended now, and nobody told of it."""
    return handler.writer.unwritten if (handler := _writing()) is not None else 0


def count_lost(lines: int) -> None:
    """Count lines that an older release could not write: they are told of with the next line."""
    if (handler := _writing()) is not None:
        handler.writer.refuse(lines)


def _writing() -> LogHandler | None:
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogHandler):
            return handler
    return None


def _handler() -> logging.Handler:
    try:
        fd = sys.stderr.fileno()
        if (handler := _writing()) is not None and handler.fd == fd:
            return handler
        return LogHandler(fd)
    except (OSError, ValueError, AttributeError):  # no descriptor: somebody reads it in here
        return logging.StreamHandler(sys.stderr)


def _format(kind: str, handler: logging.Handler) -> logging.Formatter:
    journal = isinstance(handler, LogHandler) and _is_journal(handler.fd)
    if kind == "json":
        return _Journal(_JSONFormat()) if journal else _JSONFormat()
    return _Journal(_UndatedFormat()) if journal else _TextFormat()


def _is_journal(fd: int) -> bool:
    """Whether it is the stream that systemd connected to its journal (systemd.exec(5))."""
    found = os.fstat(fd)
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _trace(format_: logging.Formatter, record: logging.LogRecord) -> str:
    return format_.formatException(record.exc_info) if record.exc_info else ""


def _last_part(text: str, less: int) -> str:
    """Return the end of `text`, which says what went wrong, in `less` bytes less of JSON."""
    most = len(json.dumps(text)) - less - _MORE_BYTES
    while text and (excess := len(json.dumps(text)) - most) > 0:
        text = text[max(1, excess // _MORE_BYTES) :]
    return _MORE + text


def _shortened(line: str) -> str:
    """Return `line` short enough to be written to a pipe in one piece."""
    if len(line) <= _MOST_BYTES // 4:
        return line
    data = line.encode("utf-8", "backslashreplace")
    if len(data) <= _MOST_BYTES:
        return line
    return data[: _MOST_BYTES - _MORE_BYTES].decode("utf-8", "ignore") + _MORE
