"""The options by which a command finds a running hubgate's API and authenticates."""

import functools
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import click

from hubgate.certificates.contexts import client_context
from hubgate.cli.api_client import Api, check_api_url
from hubgate.cli.own_token import own_token_for, own_token_source
from hubgate.model import ClientTLS
from hubgate.settings.catalogue import variables_of
from hubgate.settings.token import token_from_environment, token_from_file

_OPTIONS = (
    click.option(
        "--api-url",
        metavar="URL",
        envvar="HUBGATE_API_URL",
        default="http://127.0.0.1:8001",
        show_default=True,
        help="The API; also https:// and http+unix://%2Fpath.  [HUBGATE_API_URL]",
    ),
    click.option(
        "--token-file",
        metavar="FILE",
        help="File with the token (default: HUBGATE_TOKEN, CONFIGPROXY_AUTH_TOKEN,"
        " HUBGATE_TOKEN_FILE, then what serve has made here).",
    ),
    click.option("--ca", metavar="FILE", help="CA that signed the API's certificate."),
    click.option("--cert", metavar="FILE", help="Client certificate for the API."),
    click.option("--key", metavar="FILE", help="Its private key."),
)


def with_api(command: Callable[..., None]) -> Callable[..., None]:
    """Add the API's options to a command, and pass the API they name as its first argument."""

    @functools.wraps(command)
    def connected(
        api_url: str,
        token_file: str | None,
        ca: str | None,
        cert: str | None,
        key: str | None,
        **rest: Any,
    ) -> None:
        url = check_api_url(api_url)
        tls = client_context(ClientTLS(cert, key, ca)) if url.startswith("https:") else None
        find_token = partial(own_token_for, url, os.environ)
        token, source = _token(token_file)
        command(
            Api(url, token, tls, find_token, source or own_token_source(url, os.environ)), **rest
        )

    for option in reversed(_OPTIONS):
        connected = option(connected)
    return connected


def _token(named_file: str | None) -> tuple[str | None, str]:
    """Return the token that was given, and where it was."""
    if named_file is None:
        for name in variables_of("api_token"):
            if token := token_from_environment(os.environ, (name,)):
                return token, name
    path = named_file or os.environ.get("HUBGATE_TOKEN_FILE")
    return (token_from_file(path), path) if path else (None, "")
