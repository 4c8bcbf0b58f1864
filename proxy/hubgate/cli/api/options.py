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
from hubgate.cli.api.discovery import (
    DEFAULT_URL,
    FoundProxy,
    default_place,
    find_proxy,
    user_name,
)
from hubgate.cli.api.socket_owners import SocketOwners
from hubgate.cli.own_token import own_token_for, own_token_source
from hubgate.logs import one_line
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


def with_api(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the API's options to a command, and pass the API they name as its first argument."""

    @functools.wraps(command)
    def connected(
        api_url: str | None,
        token_file: str | None,
        ca: str | None,
        cert: str | None,
        key: str | None,
        **rest: Any,
    ) -> Any:
        token, source = _token(token_file)
        url, found = _named(api_url, token) if api_url else _unnamed(source)
        tls = _tls(found, ClientTLS(cert, key, ca)) if url.startswith("https:") else None
        find_token = partial(_found_token, url, found)
        source = source or _found_source(url, found)
        return command(Api(url, token, tls, find_token, source), **rest)

    for option in reversed(_OPTIONS):
        connected = option(connected)
    return connected


def _named(api_url: str, token: str | None) -> tuple[str, FoundProxy | None]:
    """Return the API that was named, and whose it is; with a token only this user's counts."""
    url = check_api_url(api_url)
    return url, find_proxy(url, os.environ, others=token is None)


def _unnamed(token_source: str) -> tuple[str, FoundProxy | None]:
    """Return where the API is if nobody says, and tell whose it is if it is another user's.

    A token that was given, in `token_source`, goes from root to nobody else who happens to listen
    there.
    """
    url, found = default_place(os.environ, others=not token_source)
    if found is not None and not found.is_own:
        text = f"proxyctl: {url} is the API of user {user_name(found.uid)}"
        click.echo(one_line(f"{text} (process {found.record.pid})"), err=True)
    if token_source and os.geteuid() == 0 and (others := SocketOwners().others(url)):
        raise click.ClickException(
            f"{url}: user {user_name(min(others))} listens there, who is not sent the token in"
            f" {token_source}; give --api-url {url} to send it, or no token to use that user's own"
        )
    return url, found


def _tls(found: FoundProxy | None, given: ClientTLS) -> ssl.SSLContext:
    if given.ca is None and found is not None and found.record.certificate:
        return pinned_context(found.record.certificate, given)
    return client_context(given)


def _found_token(url: str, found: FoundProxy | None) -> str | None:
    """Return the token of the hubgate that was found at `url`, or else the one made for that port.

    Ours is for our own sockets, and root's: who else listens there does not get it.
    """
    if found is not None and not found.is_own:
        return found.token()
    if SocketOwners().others(url):
        return None
    return own_token_for(url, os.environ) if found is None else found.token()


def _found_source(url: str, found: FoundProxy | None) -> str:
    """Return where the token of `_found_token` is, for messages."""
    if found is None:
        return own_token_source(url, os.environ)
    return f"the record of process {found.record.pid}"


def _token(named_file: str | None) -> tuple[str | None, str]:
    """Return the token that was given, and where it was."""
    if named_file is None:
        for name in variables_of("api_token"):
            if token := token_from_environment(os.environ, (name,)):
                return token, name
    path = named_file or os.environ.get("HUBGATE_TOKEN_FILE")
    return (token_from_file(path), path) if path else (None, "")
