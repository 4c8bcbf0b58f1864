"""TLS contexts, built from the settings' dataclasses."""

import ssl

from proxy.errors import ConfigError
from proxy.model import ClientTLS, ServerTLS

# Forward secrecy and authenticated encryption only; TLS 1.3 has its own list, always sound.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL:!eNULL:!PSK:!SRP"


def server_context(tls: ServerTLS) -> ssl.SSLContext:
    """Return the context of a listener. Raises ConfigError for unusable files or names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.cert, tls.key, lambda: tls.passphrase or "")
        if tls.ca:
            context.load_verify_locations(tls.ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"TLS certificate {tls.cert}, key {tls.key}: {error}") from error
    context.minimum_version = ssl.TLSVersion[tls.min_version]
    if tls.max_version:
        context.maximum_version = ssl.TLSVersion[tls.max_version]
    context.set_ciphers(tls.ciphers or CIPHERS)
    if tls.request_cert:
        context.verify_mode = ssl.CERT_REQUIRED if tls.reject_unauthorized else ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


def client_context(tls: ClientTLS) -> ssl.SSLContext:
    """Return the context towards targets. Raises ConfigError for unusable files."""
    context = ssl.create_default_context(cafile=tls.ca)
    context.check_hostname = tls.check_hostname and tls.verify
    context.verify_mode = ssl.CERT_REQUIRED if tls.verify else ssl.CERT_NONE
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key)
    context.set_alpn_protocols(["http/1.1"])
    return context
