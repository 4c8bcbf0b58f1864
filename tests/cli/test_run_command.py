"""How a command ends."""

import click
import pytest

from hubgate.cli.run_command import OutputError, run
from hubgate.errors import ConfigError, StoreError


@pytest.mark.parametrize(
    ("error", "code", "complaint"),
    [
        (None, 0, ""),
        (ConfigError("a"), 1, "x: a\n"),
        (ConfigError("a", "b"), 1, "x: a\nx: b\n"),
        (ConfigError("two\nlines"), 1, "x: two lines\n"),
        (StoreError("gone"), 1, "x: gone\n"),
        (click.ClickException("no"), 1, "x: no\n"),
        (click.UsageError("bad"), 7, "x: bad\n"),
        (click.Abort(), 130, ""),
        (KeyboardInterrupt(), 130, ""),
        (OSError(28, "No space left", "/a"), 1, "x: /a: No space left\n"),
        (OSError(28, "No space left"), 1, "x: No space left\n"),
        (MemoryError(), 1, "x: not enough memory\n"),
        (ImportError("no b"), 1, "x: cannot be loaded: no b\n"),
        (OutputError(OSError(28, "full")), 1, "x: standard output: full\n"),
        (OutputError(BrokenPipeError()), 141, ""),
    ],
)
def test_every_end_has_a_code_and_a_line(
    capsys: pytest.CaptureFixture[str], error: BaseException | None, code: int, complaint: str
) -> None:
    @click.command()
    def command() -> None:
        if error is not None:
            raise error

    assert run(command, [], "x", usage_exit=7) == code
    assert capsys.readouterr().err.lstrip("\n") == complaint


def test_a_commands_own_code_counts() -> None:
    @click.command()
    def command() -> int:
        return 5

    assert run(command, [], "x", usage_exit=7) == 5
    assert run(command, ["--help"], "x", usage_exit=7) == 0


def test_a_fault_of_ours_is_not_hidden() -> None:
    @click.command()
    def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(command, [], "x", usage_exit=7)
