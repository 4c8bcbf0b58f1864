"""How a command ends: one line for each mistake on stderr, never a traceback."""

import sys
from collections.abc import Sequence

import click

from hubgate.errors import ConfigError, HubgateError
from hubgate.logs import one_line, settle


def run(command: click.Command, args: Sequence[str] | None, name: str, usage_exit: int) -> int:
    """Run `command` and return its exit code.

    A wrong flag or argument ends with `usage_exit`, every other mistake with 1.
    """
    try:
        result = command.main(args, prog_name=name, standalone_mode=False)
    except click.ClickException as error:
        _complain(name, error.format_message())
        return usage_exit if isinstance(error, click.UsageError) else 1
    except ConfigError as error:
        for line in error.lines:
            _complain(name, line)
        return 1
    except HubgateError as error:
        _complain(name, str(error))
        return 1
    except (click.Abort, KeyboardInterrupt):
        return 130
    return result if isinstance(result, int) else 0


def _complain(name: str, text: str) -> None:
    line = one_line(" ".join(text.split("\n")).strip())
    settle()  # it comes after the log lines that led to it
    print(f"{name}: {line}", file=sys.stderr)
