"""`configurable-http-proxy`: CHP's command line on top of hubgate."""

from hubgate.cli import early_signals

# Of typing, which would be loaded before any signal is held.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    import click

NAME = "configurable-http-proxy"


def main(args: "Sequence[str] | None" = None) -> None:
    """Run the command; exits 1 on any mistake, as CHP does."""
    early_signals.hold_signals()
    from hubgate.cli import run_command

    run_command.enter(load, args, NAME, usage_exit=1)


def load() -> "click.Command":
    """Return the command. Imported only here: `run_command` handles what goes wrong meanwhile."""
    from hubgate.cli.drop_in import command

    return command


if __name__ == "__main__":
    main()
