"""`configurable-http-proxy`: CHP's command line on top of hubgate."""

import logging
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from hubgate import __version__
from hubgate.certificates.checks import certificate_dates
from hubgate.cli import run_command
from hubgate.cli.chp_options import chp_options
from hubgate.control.launch import launch
from hubgate.control.upgrade.succession import read_settings
from hubgate.logs import configure_logging
from hubgate.settings.chp import resolve
from hubgate.settings.chp.hub_settings import with_hub_settings
from hubgate.settings.exposure import exposure_warnings
from hubgate.settings.files import tls_sides

NAME = "configurable-http-proxy"

log = logging.getLogger("hubgate")


@click.command(NAME, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="%(version)s")
@chp_options
def command(**options: Any) -> int:
    """The front proxy of a notebook hub, with the options of configurable-http-proxy."""
    options["log_level"] = resolve.log_level(options["log_level"])
    configure_logging(options["log_level"])
    read_since = time.time()
    settings = read_settings(
        lambda: with_hub_settings(resolve.build(options, os.environ), os.environ)
    )
    dates = certificate_dates(tls_sides(settings))
    for warning in [*resolve.warnings(options), *exposure_warnings(settings), *dates]:
        log.warning("%s", warning)
    return launch(settings, None, read_since)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command; exits 1 on any mistake, as CHP does."""
    sys.exit(run_command.run(command, args, NAME, usage_exit=1))


if __name__ == "__main__":
    main()
