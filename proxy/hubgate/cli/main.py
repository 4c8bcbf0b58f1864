"""`proxyctl`: run hubgate and talk to a running one."""

from hubgate.cli import early_signals

# Of typing, which would be loaded before any signal is held.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    import click

NAME = "proxyctl"


def main(args: "Sequence[str] | None" = None) -> None:
    """Run the command; exits 2 on a wrong command line, 1 on any other mistake."""
    early_signals.hold_signals()
    from hubgate.cli import run_command

    run_command.enter(load, args, NAME, usage_exit=2)


def load() -> "click.Group":
    """Return the command. Imported only here: `run_command` handles what goes wrong meanwhile."""
    import click

    from hubgate import __version__
    from hubgate.cli.certs import certs
    from hubgate.cli.init import init
    from hubgate.cli.operations import reload, upgrade
    from hubgate.cli.replicas import replicas
    from hubgate.cli.routes import add, get, list_routes, remove
    from hubgate.cli.serve import check, serve
    from hubgate.cli.table.transfer import export_routes, import_routes
    from hubgate.cli.table.watch import watch

    @click.group(
        NAME, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
    )
    @click.version_option(__version__, "-V", "--version", message="%(version)s")
    @click.pass_context
    def command(context: click.Context) -> None:
        """Run hubgate, the front proxy of a notebook hub, and talk to a running one."""
        if context.invoked_subcommand != "serve":
            early_signals.let_requests_end_us()
        if context.invoked_subcommand is None:
            click.echo(context.get_help())

    of_routes = (add, remove, get, list_routes, export_routes, import_routes, watch)
    for subcommand in (init, serve, check, reload, upgrade, replicas, certs, *of_routes):
        command.add_command(subcommand)
    return command
