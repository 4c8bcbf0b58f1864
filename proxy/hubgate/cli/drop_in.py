"""The command of configurable-http-proxy, on top of hubgate.

Its options have the same spelling and meaning (times in milliseconds).
"""

import logging
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from hubgate import __version__
from hubgate.cli.findings import log_findings
from hubgate.control.launch import launch
from hubgate.control.start_checks import start_findings
from hubgate.control.upgrade.succession import configure_log, read_settings, starts_anew
from hubgate.errors import ConfigError
from hubgate.logs import configure_logging
from hubgate.settings import Settings
from hubgate.settings.catalogue import FLAGS
from hubgate.settings.checks import whole_number
from hubgate.settings.chp import resolve
from hubgate.settings.chp.hub_settings import with_hub_settings
from hubgate.settings.chp.options import ONLY_VARIABLES, TOKENS, VARIABLES, ChpOptions
from hubgate.settings.chp.tls import PASSPHRASES

log = logging.getLogger("hubgate")

F = TypeVar("F", bound=Callable[..., Any])


Callback = Callable[[click.Context, click.Parameter, str | None], int | None]


def _whole(what: str, high: int) -> Callback:
    def convert(context: click.Context, option: click.Parameter, text: str | None) -> int | None:
        try:
            return None if text is None else whole_number(text, what, 0, high)
        except ConfigError as error:
            raise click.BadParameter(str(error), context, option) from None

    return convert


_port = _whole("port", 65535)
# The longest that Node's timers allow: nearly 25 days.
_millis = _whole("time in milliseconds", 2**31 - 1)

_SIDES = {"": "the public", "api_": "the API's"}
_LEVELS = ("debug", "info", "warn", "warning", "error", "critical")

ENVIRONMENT = (
    "A name in brackets is the environment variable that counts where the option is not given."
    " Besides: "
    + "; ".join(
        [
            f"{' or '.join(TOKENS)}, the API's token",
            *(
                f"{flag.variable}, {ONLY_VARIABLES[flag.name]}"
                for flag in FLAGS
                if flag.name in ONLY_VARIABLES
            ),
            *(
                f"{' or '.join(names)}, the passphrase of {_SIDES[side]} key"
                for side, names in PASSPHRASES.items()
            ),
        ]
    )
    + ". Of two, the first counts."
)
"""What --help says of variables, at its end."""

_TEXT: tuple[tuple[str, str, str], ...] = (
    ("--ip", "IP", "Address the proxy listens on; '' or '*' is every interface (default)."),
    ("--socket", "PATH", "Unix socket the proxy listens on, instead of --ip and --port."),
    ("--ssl-key", "FILE", "Private key of the public side (PEM)."),
    ("--ssl-cert", "FILE", "Certificate of the public side (PEM, with its chain)."),
    ("--ssl-ca", "FILE", "CAs that client certificates are verified against."),
    ("--ssl-protocol", "NAME", "Only this version: TLSv1_2 or TLSv1_3; TLS means both (default)."),
    ("--ssl-ciphers", "LIST", "OpenSSL cipher list for TLS 1.2, names separated by ':'."),
    ("--ssl-dhparam", "FILE", "Diffie-Hellman parameters (PEM)."),
    ("--api-ip", "IP", "Address the REST API listens on (default: localhost)."),
    ("--api-socket", "PATH", "Unix socket of the REST API, instead of --api-ip and --api-port."),
    ("--api-ssl-key", "FILE", "Private key of the REST API."),
    ("--api-ssl-cert", "FILE", "Certificate of the REST API."),
    ("--api-ssl-ca", "FILE", "CAs that the API's clients are verified against."),
    ("--client-ssl-key", "FILE", "Private key the proxy uses with https targets."),
    ("--client-ssl-cert", "FILE", "Certificate the proxy presents to https targets."),
    ("--client-ssl-ca", "FILE", "CAs that https targets are verified against."),
    ("--default-target", "URL", "Target of the route / at startup."),
    ("--error-target", "URL", "Error pages come from URL/CODE?url=..."),
    ("--error-path", "DIR", "Error pages come from DIR/CODE.html, else DIR/error.html."),
    ("--workers", "N", "Not in CHP: worker processes, or auto for one per core (default: 1)."),
    ("--access-log", "PATH", "Not in CHP: log of requests; - is standard output."),
    ("--access-log-format", "NAME", "Not in CHP: combined (default) or json."),
    ("--pid-file", "FILE", "File for the process id; removed at exit."),
    ("--protocol-rewrite", "SCHEME", "Scheme for Location headers that point to the target."),
    ("--metrics-ip", "IP", "Address of the metrics (default: every interface)."),
    ("--metrics-socket", "PATH", "Unix socket of the metrics, instead of ip and port."),
    (
        "--storage-backend",
        "STORE",
        "Where routes live: memory: (default), sqlite:FILE to keep them, or redis://HOST.",
    ),
)

_FLAGS: tuple[tuple[str, str], ...] = (
    ("--ssl-request-cert", "Ask clients for a certificate and refuse those without a valid one."),
    ("--ssl-reject-unauthorized", "Implied by --ssl-request-cert."),
    ("--ssl-allow-rc4", "No effect, with a warning: RC4 is broken."),
    ("--api-ssl-request-cert", "Ask the API's clients for a certificate, as above."),
    ("--api-ssl-reject-unauthorized", "Implied by --api-ssl-request-cert."),
    ("--client-ssl-request-cert", "Accepted for compatibility; targets are always verified."),
    ("--client-ssl-reject-unauthorized", "Accepted for compatibility; see above."),
    ("--no-x-forward", "Do not add X-Forwarded-* headers."),
    ("--no-prepend-path", "Do not put the target's path in front of the request's."),
    ("--no-include-prefix", "Remove the route's prefix from the request's path."),
    ("--auto-rewrite", "Put the request's host into Location headers that point to the target."),
    ("--change-origin", "Send the target's own host as the Host header."),
    ("--insecure", "Do not verify the certificates of https targets."),
    ("--host-routing", "Take the request's host as the first segment of its path."),
)

_NUMBERS: tuple[tuple[str, Callback, str, str], ...] = (
    ("--port", _port, "PORT", "Port the proxy listens on (default: 8000)."),
    ("--api-port", _port, "PORT", "Port of the REST API (default: --port + 1, else 8001)."),
    ("--metrics-port", _port, "PORT", "Port of the metrics (default: no metrics)."),
    ("--redirect-port", _port, "PORT", "Port where plain HTTP is redirected to HTTPS."),
    ("--redirect-to", _port, "PORT", "Port that redirects point to (default: the public port)."),
    ("--timeout", _millis, "MS", "Drop a client's connection after this long without a byte."),
    ("--proxy-timeout", _millis, "MS", "Give up on a target after this long without a byte."),
    ("--keep-alive-timeout", _millis, "MS", "Keep idle client connections this long (75000)."),
)


def _text(flag: str, text: str) -> str:
    """Return an option's help, with its variable."""
    variable = VARIABLES.get(flag[2:].replace("-", "_"))
    return f"{text}  [{variable}]" if variable else text


def chp_options(command: F) -> F:
    """Decorate a click command with every option of configurable-http-proxy."""
    decorators = [
        *(click.option(flag, metavar=meta, help=_text(flag, text)) for flag, meta, text in _TEXT),
        *(click.option(flag, is_flag=True, help=text) for flag, text in _FLAGS),
        *(
            click.option(f, callback=kind, metavar=meta, help=_text(f, text))
            for f, kind, meta, text in _NUMBERS
        ),
        click.option(
            "--custom-header",
            multiple=True,
            metavar="NAME:VALUE",
            help="Header added to every proxied request; may be repeated.",
        ),
        click.option(
            "--log-level",
            type=click.Choice(_LEVELS, case_sensitive=False),
            metavar="LEVEL",
            help=_text("--log-level", "debug, info (default), warn or error."),
        ),
    ]
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=ENVIRONMENT)
@click.version_option(__version__, "-V", "--version", message="%(version)s")
@chp_options
def command(**options: Any) -> int:
    """The front proxy of a notebook hub, with the options of configurable-http-proxy."""
    configure_logging(resolve.log_level(options))  # until the settings are read

    def read() -> Settings:
        return with_hub_settings(resolve.build(options, os.environ), os.environ)

    read_since = time.time()
    settings = read_settings(read)
    configure_log(settings)
    for warning in resolve.warnings(options, settings, os.environ):
        log.warning("%s", warning)
    log_findings(settings, os.environ)
    if starts_anew() and (
        lines := start_findings(settings, ChpOptions(options, os.environ).where)[0]
    ):
        raise ConfigError(*lines)
    return launch(settings, read if settings.api_token_file else None, read_since)
