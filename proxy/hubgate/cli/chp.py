"""`configurable-http-proxy`: CHP's command line on top of hubgate."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hubgate.cli import run_command

if TYPE_CHECKING:
    import click

NAME = "configurable-http-proxy"


def main(args: Sequence[str] | None = None) -> None:
    """Run the command; exits 1 on any mistake, as CHP does."""
    run_command.enter(load, args, NAME, usage_exit=1)


def load() -> "click.Command":
    """Return the command. Imported only here: `run_command` handles what goes wrong meanwhile."""
    from hubgate.cli.drop_in import command

    return command


if __name__ == "__main__":
    main()
