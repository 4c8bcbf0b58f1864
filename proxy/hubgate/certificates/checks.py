"""Checks of certificates and keys before anything starts: one clear line for each mistake."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hubgate.certificates.contexts import client_context, server_context
from hubgate.errors import ConfigError
from hubgate.file_reading import read_file
from hubgate.model import ClientTLS, ServerTLS

if TYPE_CHECKING:
    # Imported where needed, so that a start without TLS does not wait for it.
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

Where = Callable[[str], str]

_SOON = timedelta(days=14)


def server_mistakes(tls: ServerTLS, where: Where, secret: str) -> list[str]:
    """Return a line for each reason why a listener cannot use these files.

    `where` returns the name of a field's setting, or for "" of all of TLS; `secret` is the
    variable that holds the passphrase.
    """
    files: list[tuple[str, str | None]] = [("ca", tls.ca), ("dhparam", tls.dhparam)]
    lines = [
        *_pair_mistakes(tls.cert, tls.key, tls.passphrase, where, secret),
        *_text_mistakes(files, where),
    ]
    return lines or _refusal(lambda: server_context(tls), where)


def client_mistakes(tls: ClientTLS, where: Where) -> list[str]:
    """Return a line for each reason why these files cannot be used with targets."""
    lines = list(_text_mistakes([("ca", tls.ca)], where))
    if tls.cert:
        lines += _pair_mistakes(tls.cert, tls.key or tls.cert, None, where, "")
    return lines or _refusal(lambda: client_context(tls), where)


def certificate_dates(sides: Iterable[ServerTLS | ClientTLS]) -> list[str]:
    """Return a line for each certificate that is expired, expires soon or is not yet valid."""
    paths = dict.fromkeys(side.cert for side in sides if side.cert)
    now = datetime.now(UTC)
    return [line for path in paths if (line := _validity(path, now))]


def _validity(path: str, now: datetime) -> str | None:
    certificate = _certificates(path)[0]
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin:
        return f"{path}: is not valid before {begin:%Y-%m-%d %H:%M} UTC; is the clock right?"
    if now >= end:
        return f"{path}: expired on {end:%Y-%m-%d}; renew it"
    return f"{path}: expires on {end:%Y-%m-%d}; renew it soon" if end - now < _SOON else None


def _refusal(build: Callable[[], object], where: Where) -> list[str]:
    """Return OpenSSL's own objections: keys that are too short, unknown ciphers."""
    try:
        build()
    except ConfigError as error:
        return [f"{where('')}: {error}"]
    return []


def _pair_mistakes(
    cert: str, key: str, passphrase: str | None, where: Where, secret: str
) -> Iterator[str]:
    certificate = private = None
    try:
        certificate = _certificates(cert)[0]
    except ConfigError as error:
        yield f"{where('cert')}: {error}"
    try:
        private = _private_key(key, passphrase, secret)
    except ConfigError as error:
        yield f"{where('key')}: {error}"
    if certificate and private and not _match(certificate, private):
        yield f"{where('key')}: {key}: is not the key of {cert}; give a pair made together"


def _text_mistakes(files: list[tuple[str, str | None]], where: Where) -> Iterator[str]:
    for name, path in files:
        try:
            if path and name == "ca":
                _certificates(path)
            elif path:
                _dh_parameters(path)
        except ConfigError as error:
            yield f"{where(name)}: {error}"


def _certificates(path: str) -> "list[x509.Certificate]":
    from cryptography import x509

    data = _read(path)
    try:
        with warnings.catch_warnings():
            # An odd serial number in a CA is of no interest in our log.
            warnings.simplefilter("ignore")
            return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise ConfigError(f"{path}: contains no PEM certificate; {_hint(data)}") from None


def _private_key(path: str, passphrase: str | None, secret: str) -> "PrivateKeyTypes":
    from cryptography.hazmat.primitives import serialization

    data = _read(path)
    try:
        return serialization.load_pem_private_key(data, passphrase.encode() if passphrase else None)
    except TypeError:
        if passphrase:
            # A needless passphrase is not a reason to refuse the key.
            return _private_key(path, None, secret)
        way = f"; set {secret}" if secret else "; use one that is not"
        raise ConfigError(f"{path}: the key is encrypted{way}") from None
    except ValueError:
        if passphrase and b"ENCRYPTED" in data:
            raise ConfigError(f"{path}: the passphrase in {secret} is wrong") from None
        raise ConfigError(f"{path}: contains no PEM private key; {_hint(data)}") from None


def _dh_parameters(path: str) -> None:
    # OpenSSL checks whether they are any good.
    if b"DH PARAMETERS-----" not in _read(path):
        raise ConfigError(
            f"{path}: contains no PEM DH parameters; make some with openssl dhparam 2048"
        )


def _match(certificate: "x509.Certificate", key: "PrivateKeyTypes") -> bool:
    from cryptography.hazmat.primitives import serialization

    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return certificate.public_key().public_bytes(*form) == key.public_key().public_bytes(*form)


def _read(path: str) -> bytes:
    try:
        return read_file(path, once=False)  # OpenSSL reads it again
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; `proxyctl certs` makes some for testing"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _hint(data: bytes) -> str:
    kinds = {
        b"PRIVATE KEY-----": "it contains a private key",
        b"BEGIN CERTIFICATE-----": "it contains a certificate",
    }
    found = next((text for mark, text in kinds.items() if mark in data), None)
    return found or "PEM starts with -----BEGIN"
