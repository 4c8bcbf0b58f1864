"""The TLS options of configurable-http-proxy, and Node's names for TLS versions."""

import re
from functools import partial

from hubgate.certificates.checks import client_mistakes, server_mistakes
from hubgate.errors import ConfigError
from hubgate.model import ClientTLS, ServerTLS
from hubgate.settings.catalogue import variables_of
from hubgate.settings.chp.options import ChpOptions

_VERSIONS = {
    "TLS": ("TLSv1_2", None),
    "SSLv23": ("TLSv1_2", None),
    "TLSv1_2": ("TLSv1_2", "TLSv1_2"),
    "TLSv1_3": ("TLSv1_3", "TLSv1_3"),
}
_BROKEN = {"SSLv2": "RFC 6176", "SSLv3": "RFC 7568", "TLSv1": "RFC 8996", "TLSv1_1": "RFC 8996"}


PASSPHRASES = {
    "": ("CONFIGPROXY_SSL_KEY_PASSPHRASE", *variables_of("worker.tls.passphrase")),
    "api_": ("CONFIGPROXY_API_SSL_KEY_PASSPHRASE", *variables_of("api_tls.passphrase")),
}
"""The variables with a key's passphrase, by the listener's side; the first that is set counts."""


def protocol_versions(name: str | None) -> tuple[str, str | None]:
    """Return the (lowest, highest) `ssl.TLSVersion` for one of Node's names. Raises ConfigError."""
    if name is None:
        return _VERSIONS["TLS"]
    plain = re.sub(r"(_server|_client)?_method$", "", name.replace(".", "_"))
    if plain in _BROKEN:
        raise ConfigError(
            f"--ssl-protocol: {name} is broken and not offered ({_BROKEN[plain]});"
            " write TLSv1_2 or TLSv1_3"
        )
    if plain not in _VERSIONS:
        raise ConfigError(f"--ssl-protocol: {name!r} is not known; write TLSv1_2 or TLSv1_3")
    return _VERSIONS[plain]


def server_tls(options: ChpOptions, side: str) -> ServerTLS | None:
    """Return a listener's TLS; `side` is "" for the public one, "api_" for the API's.

    Raises ConfigError for files that cannot be used.
    """
    cert, key = options[f"{side}ssl_cert"], options[f"{side}ssl_key"]
    if not cert and not key:
        return None
    if not cert:
        raise ConfigError(
            f"{_origin(options, side, 'key')} needs {_origin(options, side, 'cert')}; give both"
        )
    lowest, highest = protocol_versions(options["ssl_protocol"])
    asks = options[f"{side}ssl_request_cert"]
    secret, *others = PASSPHRASES[side]
    passphrases = [options.environ.get(name) for name in (secret, *others)]
    tls = ServerTLS(
        cert=cert,
        # A certificate file may hold the key as well.
        key=key or cert,
        ca=options[f"{side}ssl_ca"],
        request_cert=asks,
        # Once Node asks for a certificate it refuses unverified clients, whether or not
        # --ssl-reject-unauthorized is given (tried with CHP 5.3 on Node 20).
        reject_unauthorized=asks,
        passphrase=next(filter(None, passphrases), None),
        min_version=lowest,
        max_version=highest,
        ciphers=options["ssl_ciphers"],
        dhparam=options["ssl_dhparam"],
    )
    _refuse(server_mistakes(tls, partial(_origin, options, side), secret))
    return tls


def client_tls(options: ChpOptions) -> ClientTLS:
    """Return our side of TLS with targets. Raises ConfigError for unusable files.

    `--insecure` does what it says; CHP 5.3 verifies https targets regardless.
    """
    cert, key = options["client_ssl_cert"], options["client_ssl_key"]
    if key and not cert:
        raise ConfigError("--client-ssl-key needs --client-ssl-cert; give both")
    tls = ClientTLS(cert=cert, key=key, ca=options["client_ssl_ca"], verify=not options["insecure"])
    _refuse(client_mistakes(tls, partial(_origin, options, "client_")))
    return tls


def _origin(options: ChpOptions, side: str, name: str) -> str:
    if name == "dhparam":
        return "--ssl-dhparam"
    return options.origin(f"{side}ssl_{name}") if name else f"--{side.replace('_', '-')}ssl-*"


def _refuse(lines: list[str]) -> None:
    if lines:
        raise ConfigError(*lines)
