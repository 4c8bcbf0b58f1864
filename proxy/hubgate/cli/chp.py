"""`configurable-http-proxy`: CHP's command line on top of hubgate."""

import logging
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from hubgate import __version__
from hubgate.cli import run_command
from hubgate.cli.chp_options import ENVIRONMENT, chp_options
from hubgate.cli.findings import log_findings
from hubgate.control.launch import launch
from hubgate.control.upgrade.succession import read_settings
from hubgate.logs import configure_logging
from hubgate.settings import Settings
from hubgate.settings.chp import resolve
from hubgate.settings.chp.hub_settings import with_hub_settings

NAME = "configurable-http-proxy"

log = logging.getLogger("hubgate")


@click.command(NAME, context_settings={"help_option_names": ["-h", "--help"]}, epilog=ENVIRONMENT)
@click.version_option(__version__, "-V", "--version", message="%(version)s")
@chp_options
def command(**options: Any) -> int:
    """The front proxy of a notebook hub, with the options of configurable-http-proxy."""
    configure_logging(resolve.log_level(options))  # until the settings are read

    def read() -> Settings:
        return with_hub_settings(resolve.build(options, os.environ), os.environ)

    read_since = time.time()
    settings = read_settings(read)
    configure_logging(settings.log_level, settings.log_format)
    for warning in resolve.warnings(options, settings, os.environ):
        log.warning("%s", warning)
    log_findings(settings, os.environ)
    return launch(settings, read if settings.api_token_file else None, read_since)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command; exits 1 on any mistake, as CHP does."""
    sys.exit(run_command.run(command, args, NAME, usage_exit=1))


if __name__ == "__main__":
    main()
