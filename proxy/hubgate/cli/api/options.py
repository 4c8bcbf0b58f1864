"""The options by which a command finds a running hubgate's API and authenticates."""

import functools
import os
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

import click

from hubgate.certificates.contexts import client_context, pinned_context
from hubgate.cli.api.client import Api, check_api_url
from hubgate.cli.api.discovery import DEFAULT_URL, default_url, find_record
from hubgate.cli.own_token import own_token_for, own_token_source
from hubgate.model import ClientTLS
from hubgate.settings.catalogue import variables_of
from hubgate.settings.token import token_from_environment, token_from_file

_OPTIONS = (
    click.option(
        "--api-url",
        metavar="URL",
        envvar="HUBGATE_API_URL",
        help="The API; also https:// and http+unix://%2Fpath (default: that of the running"
        f" hubgate, else {DEFAULT_URL}).  [HUBGATE_API_URL]",
    ),
    click.option(
        "--token-file",
        metavar="FILE",
        help="File with the token (default: HUBGATE_TOKEN, CONFIGPROXY_AUTH_TOKEN,"
        " HUBGATE_TOKEN_FILE, else that of the running hubgate).",
    ),
    click.option("--ca", metavar="FILE", help="CA that signed the API's certificate."),
    click.option("--cert", metavar="FILE", help="Client certificate for the API."),
    click.option("--key", metavar="FILE", help="Its private key."),
)


def with_api(command: Callable[..., None]) -> Callable[..., None]:
    """Add the API's options to a command, and pass the API they name as its first argument."""

    @functools.wraps(command)
    def connected(
        api_url: str | None,
        token_file: str | None,
        ca: str | None,
        cert: str | None,
        key: str | None,
        **rest: Any,
    ) -> None:
        url = check_api_url(api_url) if api_url else default_url(os.environ)
        tls = _tls(url, ClientTLS(cert, key, ca)) if url.startswith("https:") else None
        find_token = partial(_found_token, url)
        token, source = _token(token_file)
        command(Api(url, token, tls, find_token, source or _found_source(url)), **rest)

    for option in reversed(_OPTIONS):
        connected = option(connected)
    return connected


def _tls(url: str, given: ClientTLS) -> ssl.SSLContext:
    if given.ca is None and (record := find_record(url, os.environ)) and record.certificate:
        return pinned_context(record.certificate, given)
    return client_context(given)


def _found_token(url: str) -> str | None:
    """Return the token of the hubgate that runs at `url`, or else the one made for that port."""
    if (record := find_record(url, os.environ)) is not None:
        return record.token
    return own_token_for(url, os.environ)


def _found_source(url: str) -> str:
    """Return the file that the token of `_found_token` is from, "" if a hubgate told it."""
    running = find_record(url, os.environ) is not None
    return "" if running else own_token_source(url, os.environ)


def _token(named_file: str | None) -> tuple[str | None, str]:
    """Return the token that was given, and where it was."""
    if named_file is None:
        for name in variables_of("api_token"):
            if token := token_from_environment(os.environ, (name,)):
                return token, name
    path = named_file or os.environ.get("HUBGATE_TOKEN_FILE")
    return (token_from_file(path), path) if path else (None, "")
