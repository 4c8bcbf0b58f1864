"""How a command begins and ends: one line for each mistake on stderr, never a traceback.

It imports nothing heavy: what is loaded after it may fail or be interrupted too.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from hubgate.cli.early_signals import INTERRUPTED, interrupt, leave, on_interrupt

if TYPE_CHECKING:
    import click

# As a shell reports a program that the signal has ended, which is how others end without a reader.
NO_READER = 128 + signal.SIGPIPE


class OutputError(Exception):
    """Standard output did not take what was written to it.

    Not an OSError, which a library may take for one of its own.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output: {error.strerror or error}")
        self.has_no_reader = isinstance(error, BrokenPipeError)


class Output:
    """Standard output, except that it raises OutputError, and writes out what it cannot encode."""

    # It has no `buffer`: what finds one may write to that instead.
    _PASSED_ON = ("encoding", "errors", "fileno", "isatty", "closed", "newlines")

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name: str) -> Any:
        if name not in self._PASSED_ON:
            raise AttributeError(name)
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text; return its length."""
        try:
            return int(self._stream.write(text))
        except OSError as error:
            raise OutputError(error) from None

    def writelines(self, lines: Sequence[str]) -> None:
        """Write texts, one after the other."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand everything written so far to the system."""
        try:
            self._stream.flush()
        except OSError as error:
            raise OutputError(error) from None


def enter(
    load: Callable[[], "click.Command"], args: Sequence[str] | None, name: str, usage_exit: int
) -> NoReturn:
    """Run the command that `load` imports, and end this process with its exit code."""
    try:
        on_interrupt(leave)
        if sys.stdout is not None:  # as it is if its descriptor was closed
            sys.stdout = Output(sys.stdout)
        code = _run_loaded(load, args, name, usage_exit)
        on_interrupt(leave)
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(_flushed(name, code))


def run(command: "click.Command", args: Sequence[str] | None, name: str, usage_exit: int) -> int:
    """Run `command` and return its exit code.

    A wrong flag or argument ends with `usage_exit`, every other mistake with 1.
    """
    try:
        result = command.main(args, prog_name=name, standalone_mode=False)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        return _ended(error, name, usage_exit)
    return result if isinstance(result, int) else 0


def _run_loaded(
    load: Callable[[], "click.Command"], args: Sequence[str] | None, name: str, usage_exit: int
) -> int:
    try:
        command = load()
    except Exception as error:  # nothing of ours runs meanwhile: it is the system, or a bad install
        _complain(name, _unloadable(error))
        return 1
    on_interrupt(interrupt)
    return run(command, args, name, usage_exit)


def _ended(error: Exception, name: str, usage_exit: int) -> int:
    """Say why a command has ended, and return its exit code. A fault of ours is raised again."""
    import click

    from hubgate.errors import ConfigError, HubgateError

    match error:
        case click.Abort():
            return INTERRUPTED
        case OutputError() if error.has_no_reader:
            return NO_READER
        case click.ClickException():
            _complain(name, error.format_message())
            return usage_exit if isinstance(error, click.UsageError) else 1
        case ConfigError():
            for line in error.lines:
                _complain(name, line)
        case HubgateError() | OutputError():
            _complain(name, str(error))
        case OSError():
            if isinstance(error.__context__, KeyboardInterrupt):  # said to a stderr that is full
                return INTERRUPTED
            _complain(name, _of_system(error))
        case MemoryError():
            _complain(name, "not enough memory")
        case ImportError():
            _complain(name, _unloadable(error))
        case _:
            raise error
    return 1


def _unloadable(error: Exception) -> str:
    reason = "not enough memory" if isinstance(error, MemoryError) else str(error)
    return f"cannot be loaded: {reason or type(error).__name__}"


def _of_system(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return reason if error.filename is None else f"{error.filename}: {reason}"


def _complain(name: str, text: str) -> None:
    if sys.stderr is None:  # print would take standard output instead
        return
    line = " ".join(text.split("\n")).strip()
    with suppress(Exception):  # of what made loading fail
        from hubgate.logs import one_line, settle

        line = one_line(line)
        settle()  # it comes after the log lines that led to it
    with suppress(OSError):
        print(f"{name}: {line}", file=sys.stderr, flush=True)


def _flushed(name: str, code: int) -> int:
    """Write what is still unwritten; return the exit code, which tells if that fails."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OutputError as error:
        if not error.has_no_reader and not code:
            _complain(name, str(error))
        code = code or (NO_READER if error.has_no_reader else 1)
    _drop_unwritable()
    return code


def _drop_unwritable() -> None:
    """Let Python's own last flush succeed: it would print what failed, and change the exit code."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, OutputError):
            with suppress(OSError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, number)
                os.close(nowhere)
