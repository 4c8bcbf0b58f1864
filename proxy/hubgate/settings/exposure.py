"""Who can reach us: what may listen beyond this machine, and what must not."""

import stat
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address

from hubgate.model import Address
from hubgate.settings.files import token_files
from hubgate.settings.setting import Where, dotted
from hubgate.settings.values import Settings


def is_public(address: Address) -> bool:
    """Return whether other machines can reach `address`; names are not looked up."""
    if address.path is not None or address.host.lower() == "localhost":
        return False
    try:
        return not ip_address(address.host).is_loopback
    except ValueError:
        return True


def exposure_mistakes(settings: Settings, no_ssl: bool, where: Where = dotted) -> list[str]:
    """Return a line for plain HTTP on a public address, and for a public API that needs no token.

    `no_ssl` says that TLS terminates elsewhere, `where` where a setting was given.
    """
    lines = []
    if settings.worker.tls is None and not no_ssl and (open_to := _public(settings.listen)):
        lines.append(
            f"{where(('listen', 'host'))}: {open_to} is a public address without TLS; give"
            " listen.tls (--tls-cert, --tls-key), or --no-ssl if TLS terminates elsewhere"
        )
    if not is_guarded(settings) and (open_to := _public(settings.api)):
        lines.append(
            f"{where(('api', 'host'))}: {open_to} is a public address without a token; set"
            " HUBGATE_TOKEN or api.token_file, or listen on 127.0.0.1"
        )
    return lines


def exposure_warnings(settings: Settings) -> list[str]:
    """Return what is allowed but unwise, one line each."""
    lines = []
    if settings.worker.tls is None and (open_to := _public(settings.listen)):
        lines.append(
            f"No TLS on the public address {open_to}; it must terminate in front of the proxy."
        )
    if not is_guarded(settings):
        open_to = _public(settings.api)
        who = (
            f" Anyone who reaches {open_to} can change the routes; set a token." if open_to else ""
        )
        lines.append(f"REST API is not authenticated.{who}")
    has_token = settings.api_token or settings.api_tokens
    if settings.api_tls is None and has_token and (open_to := _public(settings.api)):
        lines.append(f"The API's token crosses the network unencrypted: no TLS on {open_to}.")
    return [*lines, *token_file_warnings(settings)]


def token_file_warnings(settings: Settings) -> list[str]:
    """Return a line for each token that anyone on this machine can read."""
    lines = []
    for file in token_files(settings):
        with suppress(OSError):  # removed since it was read
            if file.stat().st_mode & stat.S_IROTH:
                text = f"{file}: anyone on this machine can read the token; chmod 600 {file}"
                lines.append(text)
    return lines


def is_guarded(settings: Settings) -> bool:
    """Return whether the API requires a token or a verified client certificate."""
    tls = settings.api_tls
    return bool(settings.api_token is not None or settings.api_tokens) or (
        tls is not None and tls.request_cert and tls.reject_unauthorized
    )


def _public(addresses: Iterable[Address]) -> str:
    return ", ".join(str(address) for address in addresses if is_public(address))
