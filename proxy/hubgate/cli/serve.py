"""`proxyctl serve` and `proxyctl check`: run or check routes.yaml, environment and flags."""

import logging
import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import click

from hubgate.cli.findings import Findings, log_findings, start_notes, start_warnings
from hubgate.cli.own_token import with_own_token, with_planned_token
from hubgate.cli.summary import summary
from hubgate.control.launch import launch
from hubgate.control.start_checks import start_findings
from hubgate.control.upgrade.succession import configure_log, read_settings
from hubgate.current_folder import current_folder
from hubgate.errors import ConfigError
from hubgate.logs import configure_logging, one_line
from hubgate.settings import Settings
from hubgate.settings.catalogue import FLAGS
from hubgate.settings.load import load
from hubgate.settings.setting import Kind
from hubgate.settings.token import own_token_file
from hubgate.settings.variables import unknown_variables

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
    "file",
    metavar="[ROUTES.YAML]",
    required=False,
    type=click.Path(path_type=Path, readable=False),  # reading it says why not
)


@click.command(short_help="Run the proxy until it is stopped.")
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
    chosen = _reader(file, options)
    configure_logging("info")  # until the settings are read
    read_since = time.time()

    def read() -> Settings:
        return with_own_token(chosen(), os.environ)

    settings = read_settings(read)
    own = own_token_file(settings, os.environ)
    if own is not None and own.stat().st_ctime > read_since - MADE_BEFORE:
        # It was made a moment ago: read again, or it would count as changed since it was read.
        time.sleep(MADE_BEFORE)
        read_since = time.time()
        settings = read_settings(read)
    configure_log(settings)
    told = _Told()
    told.where_token_is(own)
    log_findings(settings, os.environ)
    from_files = settings.config_file or settings.api_token_file
    again = told.reader(chosen) if from_files else None
    return launch(settings, again, read_since)


@click.command(short_help="Say what `serve` would do, or what is wrong.")
@_file
@_setting_options
def check(file: Path | None, **options: Any) -> int:
    """Check ROUTES.YAML and everything it names, and say what `proxyctl serve` would do.

    Takes the flags of `serve`, and does all that a start does short of opening ports; nothing is
    changed. Prints a line for each mistake and exits 1 if there is any. What a start would only
    warn of is a warning here too, and the exit code is 0.
    """
    found = _checked(_reader(file, options))
    for kind, lines in (("error", found.errors), ("warning", found.warnings)):
        for line in lines:
            click.echo(one_line(f"{kind}: {line}"), err=True)
    if found.errors or found.settings is None:
        return 1
    for line in [*summary(found.settings), *(f"note: {note}" for note in start_notes(os.environ))]:
        click.echo(one_line(line))
    return 0


def _checked(read: Callable[[], Settings]) -> Findings:
    try:
        settings = with_planned_token(read(), os.environ)
    except ConfigError as error:
        return Findings(None, error.lines, tuple(unknown_variables(os.environ)))
    errors, warnings = start_findings(settings)
    return Findings(settings, tuple(errors), (*start_warnings(settings, os.environ), *warnings))


def _reader(file: Path | None, options: dict[str, Any]) -> Callable[[], Settings]:
    flags = {"--" + name.replace("_", "-"): value for name, value in options.items()}
    # Looked for once: a reload reads what the start has read.
    chosen = cache(lambda: file or _default_file())
    return lambda: load(chosen(), flags, os.environ)


def _default_file() -> Path | None:
    """Return ./routes.yaml if it is there; raise ConfigError where nobody can say."""
    try:
        os.stat(Path(current_folder(), DEFAULT_FILE))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(
            f"{DEFAULT_FILE}: cannot be looked for in the current folder: {error.strerror};"
            " change to another folder, or give ROUTES.YAML"
        ) from None
    return DEFAULT_FILE


class _Told:
    """Which files of hubgate's own token the log has named."""

    def __init__(self) -> None:
        self._files: set[Path] = set()

    def where_token_is(self, file: Path | None) -> None:
        """Say once where the token is, if it is hubgate's own."""
        if file is not None and file not in self._files:
            log.info("The API's token is in %s", file)
            self._files.add(file)

    def reader(self, read: Callable[[], Settings]) -> Callable[[], Settings]:
        """Return `read` for a reload, with hubgate's own token where one is needed."""

        def read_with_token() -> Settings:
            settings = with_own_token(read(), os.environ, self._made)
            self.where_token_is(own_token_file(settings, os.environ))
            return settings

        return read_with_token

    def _made(self, file: Path) -> None:
        if file in self._files:
            log.warning("%s was gone: there is a new token in it", file)
