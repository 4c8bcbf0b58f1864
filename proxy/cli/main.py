"""`proxyctl`: run hubgate and talk to a running one."""

import sys
from collections.abc import Sequence

import click

from proxy import __version__
from proxy.cli import outcome
from proxy.cli.certs import certs
from proxy.cli.serve import check, serve

NAME = "proxyctl"


@click.group(NAME, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="%(version)s")
def command() -> None:
    """Run hubgate, the front proxy of a notebook hub, and talk to a running one."""


for subcommand in (serve, check, certs):
    command.add_command(subcommand)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command; exits 2 on a wrong command line, 1 on any other mistake."""
    sys.exit(outcome.run(command, args, NAME, usage_exit=2))
