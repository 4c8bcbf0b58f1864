"""`proxyctl serve` and `proxyctl check`: run or check routes.yaml, environment and flags."""

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import click

from hubgate.cli.findings import Findings, log_findings, start_notes, start_warnings
from hubgate.cli.init import DEFAULT_FILE
from hubgate.cli.own_token import with_own_token, with_planned_token
from hubgate.cli.summary import summary
from hubgate.control.launch import launch
from hubgate.control.start_checks import start_findings
from hubgate.control.upgrade.succession import configure_log, read_settings, starts_anew
from hubgate.current_folder import current_folder
from hubgate.errors import ConfigError
from hubgate.logs import configure_logging, one_line
from hubgate.model import Address
from hubgate.settings import Settings
from hubgate.settings.catalogue import FLAGS
from hubgate.settings.load import MoreMistakes, load
from hubgate.settings.recovery_path import with_own_store
from hubgate.settings.setting import Kind, Where
from hubgate.settings.token import own_token_file
from hubgate.settings.variables import unknown_variables
from hubgate.store.private_folder import narrowed_later

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
    # Looked for once: a reload reads what the start has read.
    chosen = cache(lambda: file or _default_file())
    plainly = _reader(chosen, options)
    checking = _reader(chosen, options, lambda *read: _start_findings(*read)[0])
    reading = _Reading(plainly)
    configure_logging("info")  # until the settings are read
    read_since = time.time()
    first = checking if starts_anew() else plainly
    settings = read_settings(lambda: reading.settings(first))
    own = own_token_file(settings, os.environ)
    if own is not None and own.stat().st_ctime > read_since - MADE_BEFORE:
        # It was made a moment ago: read again, or it would count as changed since it was read.
        time.sleep(MADE_BEFORE)
        read_since = time.time()
        settings = read_settings(reading.settings)
    configure_log(settings)
    reading.say_where_token_is(settings)
    log_findings(settings, os.environ)
    from_files = settings.config_file or settings.api_token_file
    return launch(settings, reading.again if from_files else None, read_since)


@click.command(short_help="Say what `serve` would do, or what is wrong.")
@_file
@_setting_options
def check(file: Path | None, **options: Any) -> int:
    """Check ROUTES.YAML and everything it names, and say what `proxyctl serve` would do.

    Takes the flags of `serve`, and does all that a start does short of opening ports; nothing is
    changed. Prints a line for each mistake and exits 1 if there is any. What a start would only
    warn of is a warning here too, and the exit code is 0.
    """
    found = _checked(file, options)
    for kind, lines in (("error", found.errors), ("warning", found.warnings)):
        for line in lines:
            click.echo(one_line(f"{kind}: {line}"), err=True)
    if found.errors or found.settings is None:
        return 1
    for line in [*summary(found.settings), *(f"note: {note}" for note in start_notes(os.environ))]:
        click.echo(one_line(line))
    return 0


def _checked(file: Path | None, options: dict[str, Any]) -> Findings:
    warnings: list[str] = []

    def more(settings: Settings, where: Where) -> list[str]:
        mistakes, warnings[:] = _start_findings(settings, where, begins=False)
        return mistakes

    try:
        settings = _reader(lambda: file or _default_file(), options, more)()
        settings = with_planned_token(settings, os.environ)
    except ConfigError as error:
        return Findings(None, error.lines, tuple(warnings or unknown_variables(os.environ)))
    return Findings(_with_store_used(settings, warnings), (), tuple(warnings))


def _with_store_used(settings: Settings, warnings: list[str]) -> Settings:
    """Return the settings with memory as the store if hubgate's own file cannot be used."""
    if not settings.own_store or settings.store == "memory:":
        return settings
    from hubgate.store.own_file import keeps_in_memory  # takes long to load

    return replace(settings, store="memory:") if any(map(keeps_in_memory, warnings)) else settings


def _start_findings(
    settings: Settings, where: Where, begins: bool = True
) -> tuple[list[str], list[str]]:
    """Return what would end a start, the token that is still to be made included, and warnings."""
    mistakes, warnings = start_findings(settings, where, begins)
    if not settings.api:  # a mistake: nothing can be said of its token
        settings = replace(settings, api_token="")
    try:
        settings = with_planned_token(settings, os.environ)
    except ConfigError as error:
        mistakes += error.lines
    own = own_token_file(settings, os.environ) if settings.api else None
    if own is not None and (line := narrowed_later(own.parent)):
        warnings.append(line)
    with suppress(ConfigError):  # of a certificate: it is a mistake already
        warnings = [*start_warnings(settings, os.environ), *warnings]
    return mistakes, warnings


def _reader(
    chosen: Callable[[], Path | None],
    options: dict[str, Any],
    more: MoreMistakes = lambda settings, where: (),
) -> Callable[[], Settings]:
    flags = {"--" + name.replace("_", "-"): value for name, value in options.items()}

    def read() -> Settings:
        whole = partial(with_own_store, environ=os.environ)
        return whole(load(chosen(), flags, os.environ, lambda *read: more(whole(read[0]), read[1])))

    return read


def _default_file() -> Path | None:
    """Return ./routes.yaml if it is there; raise ConfigError where nobody can say."""
    try:
        os.stat(Path(current_folder(), DEFAULT_FILE))
    except (FileNotFoundError, NotADirectoryError):
        # A link to a file that is missing is read, and says so.
        return DEFAULT_FILE if Path(current_folder(), DEFAULT_FILE).is_symlink() else None
    except OSError as error:
        raise ConfigError(
            f"{DEFAULT_FILE}: cannot be looked for in the current folder: {error.strerror};"
            " change to another folder, or give ROUTES.YAML"
        ) from None
    return DEFAULT_FILE


class _Reading:
    """Reads the settings, with hubgate's own token where one is needed."""

    def __init__(self, read: Callable[[], Settings]) -> None:
        self._read = read
        self._running: Address | None = None  # where the API is: another address needs a restart
        self._said: set[Path] = set()

    def settings(self, read: Callable[[], Settings] | None = None) -> Settings:
        """Return the settings as they are now, or as `read` returns them. Raises ConfigError."""
        fresh = (read or self._read)()
        self._running = self._running or fresh.api[0]
        return with_own_token(fresh, os.environ, self._running, self._made)

    def again(self) -> Settings:
        """Return them for a reload; the log says if the token is in another file now."""
        settings = self.settings()
        self.say_where_token_is(settings)
        return settings

    def say_where_token_is(self, settings: Settings) -> None:
        """Say once where the token is, if it is hubgate's own."""
        api = settings.api if self._running is None else (self._running,)
        file = own_token_file(replace(settings, api=api), os.environ)
        if file is not None and file not in self._said:
            log.info("The API's token is in %s", file)
            self._said.add(file)

    def _made(self, file: Path) -> None:
        if file in self._said:
            log.warning("%s was gone: there is a new token in it", file)
