"""`proxyctl serve` and `proxyctl check`: run or check routes.yaml, environment and flags."""

import logging
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from hubgate.certificates.checks import certificate_dates
from hubgate.cli.own_token import with_own_token, with_planned_token
from hubgate.cli.summary import summary
from hubgate.control.launch import launch
from hubgate.control.upgrade.succession import REHEARSAL, read_settings
from hubgate.errors import ConfigError
from hubgate.logs import configure_logging, one_line
from hubgate.settings import Settings
from hubgate.settings.catalogue import FLAGS
from hubgate.settings.exposure import exposure_warnings
from hubgate.settings.files import tls_sides
from hubgate.settings.load import load
from hubgate.settings.setting import Kind
from hubgate.settings.token import own_token_file
from hubgate.store import open_store

DEFAULT_FILE = Path("routes.yaml")

# Seconds after which a file is surely older than what is read then. The kernel's clock for files
# lags: longer than `control.file_watch.CLOCK_LAG`.
MADE_BEFORE = 0.1

F = TypeVar("F", bound=Callable[..., Any])

log = logging.getLogger("hubgate")


def _setting_options(command: F) -> F:
    for flag in reversed(FLAGS):
        text = f"{flag.help}  [{flag.variable}]"
        if flag.kind is Kind.SWITCH:
            option = click.option(flag.name, is_flag=True, default=None, help=text)
        else:
            option = click.option(flag.name, metavar=flag.metavar, help=text)
        command = option(command)
    return command


_file = click.argument(
    "file", metavar="[ROUTES.YAML]", required=False, type=click.Path(path_type=Path)
)


@click.command()
@_file
@_setting_options
def serve(file: Path | None, **options: Any) -> int:
    """Run the proxy on ROUTES.YAML (./routes.yaml if it is there), until it is stopped.

    Flags beat the environment (the names in brackets), which beats the file. This file and the
    token file are reread when they change, and on SIGHUP.

    Without TLS the proxy listens on 127.0.0.1 and refuses any address that other machines can
    reach, unless --no-ssl says that TLS terminates elsewhere; with TLS or --no-ssl it listens on
    all interfaces. The API's token comes from HUBGATE_TOKEN, CONFIGPROXY_AUTH_TOKEN or a file;
    without any, the first start makes one, which the other commands of the same user find.
    """
    read = _with_own_token(_reader(file, options))
    configure_logging("info")  # until the settings are read
    read_since = time.time()
    settings = read_settings(read)
    own = own_token_file(settings, os.environ)
    if own is not None and own.stat().st_ctime > read_since - MADE_BEFORE:
        # It was made a moment ago: read again, or it would count as changed since it was read.
        time.sleep(MADE_BEFORE)
        read_since = time.time()
        settings = read_settings(read)
    configure_logging(settings.log_level)
    dates = certificate_dates(tls_sides(settings))
    for warning in [*exposure_warnings(settings), *dates]:
        log.warning("%s", warning)
    from_files = settings.config_file or settings.api_token_file
    return launch(settings, read if from_files else None, read_since)


@click.command()
@_file
@_setting_options
def check(file: Path | None, **options: Any) -> None:
    """Check ROUTES.YAML and everything it names, and say what `proxyctl serve` would do.

    Takes the flags of `serve`. Prints one line for each mistake and exits 1 if there is any.
    """
    settings = with_planned_token(_reader(file, options)(), os.environ)
    # Only built, not opened: whether its server responds now says little about later.
    open_store(settings.store)
    if dates := certificate_dates(tls_sides(settings)):
        raise ConfigError(*dates)
    for line in [*summary(settings), *(f"note: {w}" for w in exposure_warnings(settings))]:
        click.echo(one_line(line))


def _reader(file: Path | None, options: dict[str, Any]) -> Callable[[], Settings]:
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    flags = {"--" + name.replace("_", "-"): value for name, value in options.items()}
    return partial(load, file, flags, os.environ)


def _with_own_token(read: Callable[[], Settings]) -> Callable[[], Settings]:
    """Return `read` with hubgate's own token where one is needed; the log says once where it is."""
    said: set[Path] = set()

    def made(file: Path) -> None:
        if file in said and REHEARSAL not in os.environ:
            log.warning("%s was gone: there is a new token in it", file)

    def read_with_token() -> Settings:
        settings = with_own_token(read(), os.environ, made)
        file = own_token_file(settings, os.environ)
        if file is not None and file not in said and REHEARSAL not in os.environ:
            log.info("The API's token is in %s", file)
            said.add(file)
        return settings

    return read_with_token
