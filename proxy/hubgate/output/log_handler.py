"""The handler behind every logger, and stderr as a stream of log lines."""

import io
import logging
import os
import sys
import threading
import warnings
from codecs import getincrementaldecoder
from types import TracebackType
from typing import TYPE_CHECKING

from hubgate.output.line_writer import LONGEST_LINE
from hubgate.output.log_writer import PATIENCE, LogWriter

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

STDERR = "stderr"
"""The logger's name of what is written to stderr, not logged: its lines stay as they are."""

log = logging.getLogger("hubgate")


class LogHandler(logging.Handler):
    """Formats records, and leaves writing them to a thread."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self.fd = fd
        self.writer = LogWriter(fd, self._lost)
        self.stream: LogStream | None = None

    def __repr__(self) -> str:
        return f"<LogHandler {self.writer}>"

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record's lines; nothing here waits for whoever reads them."""
        try:
            block = self._block(record)
        except Exception:
            self.handleError(record)
        else:
            self.writer.offer(block)

    def flush(self) -> None:
        """Wait until everything is written, for about a second at most."""
        self.settle(PATIENCE)

    def settle(self, seconds: float) -> None:
        """Wait until everything is written, for at most `seconds`: what was printed last, too."""
        if self.stream is not None:
            self.stream.end_line()
        self.writer.settle(seconds)

    def _lost(self, lines: int) -> bytes:
        text = "%d lines of this log were lost: it was not read, or could not be written"
        level = logging.WARNING
        return self._block(logging.LogRecord(log.name, level, __file__, 0, text, (lines,), None))

    def _block(self, record: logging.LogRecord) -> bytes:
        return (self.format(record) + "\n").encode("utf-8", "backslashreplace")


class LogStream(io.TextIOBase):
    """Stands in for sys.stderr: what is printed there becomes lines of the log, which never wait.

    Python prints its own complaints there, and so do libraries.
    """

    name = "<stderr>"

    def __init__(self, handler: LogHandler) -> None:
        self._handler = handler
        self._rest = ""
        self._lock = threading.RLock()
        self.buffer = _Bytes(self)
        handler.stream = self

    def __repr__(self) -> str:
        return f"<LogStream {self._handler}>"

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of what is written."""
        return "utf-8"

    def fileno(self) -> int:
        """Return the descriptor that lines are written to."""
        return self._handler.fd

    def isatty(self) -> bool:
        """Return whether a person may be watching."""
        return os.isatty(self._handler.fd)

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Log the lines in `text` that are complete."""
        with self._lock:
            *lines, rest = (self._rest + text).split("\n")
            if len(rest) > LONGEST_LINE:
                lines, rest = [*lines, rest], ""
            self._rest = rest
        for line in lines:
            self._handler.handle(
                logging.LogRecord(STDERR, logging.ERROR, __file__, 0, line, None, None)
            )
        return len(text)

    def flush(self) -> None:
        """Do nothing: whole lines are on their way."""

    def end_line(self) -> None:
        """Log what has come of a line, as nothing will follow."""
        with self._lock:
            if self._rest:
                self.write("\n")


class _Bytes(io.RawIOBase):
    """The stream's `buffer`, for what prints bytes."""

    def __init__(self, stream: LogStream) -> None:
        self._stream = stream
        self._decode = getincrementaldecoder("utf-8")("backslashreplace").decode

    def fileno(self) -> int:
        """Return the descriptor that lines are written to."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: "Buffer") -> int:
        """Log the lines in `data` that are complete."""
        text = bytes(data)
        self._stream.write(self._decode(text))
        return len(text)


def take_over_stderr(handler: LogHandler) -> None:
    """Make everything that Python prints to stderr lines of the log, and log what nobody caught.

    A process that printed a warning to a pipe that nobody reads would stand still.
    """
    sys.stderr = LogStream(handler)
    sys.excepthook = _log_exception
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_thread
    warnings.showwarning = _log_warning


def _log_exception(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if isinstance(error, Exception):
        log.error("this is a bug in hubgate", exc_info=(kind, error, trace))
    else:
        sys.__excepthook__(kind, error, trace)


def _log_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and args.exc_type is not SystemExit:
        name = args.thread.name if args.thread else "?"
        error = args.exc_type, args.exc_value, args.exc_traceback
        log.error("thread %s ends: this is a bug in hubgate", name, exc_info=error)


def _log_unraisable(args: "sys.UnraisableHookArgs") -> None:
    if args.exc_value is not None:
        error = args.exc_type, args.exc_value, args.exc_traceback
        log.error("%s: %r", args.err_msg or "ignored an exception in", args.object, exc_info=error)


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    log.warning("%s: %s (%s, line %d)", category.__name__, message, filename, lineno)
