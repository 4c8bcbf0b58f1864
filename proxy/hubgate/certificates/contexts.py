"""TLS contexts, built from the settings' dataclasses: TLS 1.2 and 1.3, nothing older."""

import ssl

from hubgate.errors import ConfigError
from hubgate.file_reading import read_file
from hubgate.model import ClientTLS, ServerTLS
from hubgate.transport.tls_reading import Context

# TLS 1.2: forward secrecy and authenticated encryption only (RFC 9325, section 4.2). DHE is used
# only with dhparam. TLS 1.3 has its own list, all of it sound.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL:!PSK:!SRP"


def server_context(tls: ServerTLS) -> ssl.SSLContext:
    """Return the context of a listener. Raises ConfigError.

    A client may omit a certificate that is requested but not required; one that it sends must
    verify, as Python's ssl cannot let an unverified one through.
    """
    context = Context(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
    _set_versions(context, tls.min_version, tls.max_version)
    _set_ciphers(context, tls.ciphers or CIPHERS)
    _load_pair(context, tls.cert, tls.key, tls.passphrase)
    if tls.dhparam:
        _load_dhparam(context, tls.dhparam)
    if tls.request_cert:
        context.verify_mode = ssl.CERT_REQUIRED if tls.reject_unauthorized else ssl.CERT_OPTIONAL
        _load_authorities(context, tls.ca, ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    return context


def renew_pair(context: ssl.SSLContext, tls: ServerTLS) -> None:
    """Reread certificate and key for new connections.

    Raises ConfigError, and leaves the context unchanged, if they cannot be used.
    """
    _load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tls.cert, tls.key, tls.passphrase)
    _load_pair(context, tls.cert, tls.key, tls.passphrase)


def client_context(tls: ClientTLS) -> ssl.SSLContext:
    """Return the context for targets. Raises ConfigError.

    A target's certificate must be from `ca`, else from an authority this machine trusts, and
    name the host of the target's URL. (CHP compares with the browser's Host header; a hub with
    internal TLS asks for the target's own host itself, so its certificates have that name.)
    """
    # Not create_default_context: from Python 3.13 on it is strict about RFC 5280, and the
    # authorities that JupyterHub makes lack a key identifier.
    context = Context(ssl.PROTOCOL_TLS_CLIENT)
    _set_versions(context, "TLSv1_2", None)
    context.check_hostname = tls.check_hostname and tls.verify
    context.verify_mode = ssl.CERT_REQUIRED if tls.verify else ssl.CERT_NONE
    _load_authorities(context, tls.ca, ssl.Purpose.SERVER_AUTH)
    if tls.cert:
        _load_pair(context, tls.cert, tls.key or tls.cert, None)
    context.set_alpn_protocols(["http/1.1"])
    return context


def pinned_context(certificate: str, tls: ClientTLS) -> ssl.SSLContext:
    """Return the context for a server that has exactly this certificate (PEM), whatever its names.

    `tls` has what we present. Raises ConfigError.
    """
    context = Context(ssl.PROTOCOL_TLS_CLIENT)
    _set_versions(context, "TLSv1_2", None)
    context.check_hostname = False
    # It need not be an authority, nor do we need the one that signed it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=certificate)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(f"cannot use the API's certificate: {_why(error)}") from None
    if tls.cert:
        _load_pair(context, tls.cert, tls.key or tls.cert, None)
    return context


def _set_versions(context: ssl.SSLContext, lowest: str, highest: str | None) -> None:
    context.minimum_version = ssl.TLSVersion[lowest]
    if highest is not None:
        context.maximum_version = ssl.TLSVersion[highest]


def _set_ciphers(context: ssl.SSLContext, ciphers: str) -> None:
    try:
        context.set_ciphers(ciphers)
    except ssl.SSLError:
        raise ConfigError(
            f"the cipher list {ciphers!r} matches no cipher; write OpenSSL names such as"
            " ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"
        ) from None


def _load_pair(context: ssl.SSLContext, cert: str, key: str, passphrase: str | None) -> None:
    try:
        _require_files(cert, key)
        # A function even without a passphrase, else OpenSSL would ask on the terminal.
        context.load_cert_chain(cert, key, lambda: passphrase or "")
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot use certificate {cert} with key {key}: {_why(error)}") from None


def _load_dhparam(context: ssl.SSLContext, path: str) -> None:
    try:
        _require_files(path)
        context.load_dh_params(path)
    except OSError as error:
        raise ConfigError(f"cannot use DH parameters {path}: {_why(error)}") from None


def _load_authorities(context: ssl.SSLContext, ca: str | None, purpose: ssl.Purpose) -> None:
    if ca is None:
        context.load_default_certs(purpose)
        return
    try:
        _require_files(ca)
        context.load_verify_locations(ca)
    except OSError as error:
        raise ConfigError(f"cannot use CA certificates {ca}: {_why(error)}") from None


def _require_files(*paths: str) -> None:
    """Raise OSError for what OpenSSL would read for ever, such as /dev/zero."""
    for path in paths:
        read_file(path, once=False)


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "OpenSSL cannot read it").replace("_", " ").lower()
    return getattr(error, "strerror", None) or str(error)
