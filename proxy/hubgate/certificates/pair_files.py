"""A certificate and its key as two files: reading, writing, and reusing them while valid."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from hubgate.certificates.authority import Pair, general_name, signed_by
from hubgate.errors import ConfigError
from hubgate.file_reading import read_file


@dataclass(frozen=True)
class PairFiles:
    """Where a certificate and its key are kept."""

    cert: Path
    key: Path


def read_pair(files: PairFiles) -> Pair | None:
    """Return the pair in `files`, None if neither file exists. Raises ConfigError."""
    there = [path for path in (files.cert, files.key) if path.exists()]
    if not there:
        return None
    if len(there) == 1:
        raise ConfigError(f"{there[0]}: exists without its other half; --force makes both anew")
    try:
        certificate = x509.load_pem_x509_certificate(read_file(files.cert, once=False))
        key = serialization.load_pem_private_key(read_file(files.key, once=False), None)
    except (ValueError, TypeError):
        raise ConfigError(f"{files.cert}: cannot be read; --force replaces it") from None
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be read: {error.strerror}") from None
    if certificate.public_key() != key.public_key():
        raise ConfigError(f"{files.key}: is not the key of {files.cert}; --force makes both anew")
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ConfigError(f"{files.key}: is neither an EC nor an RSA key; --force replaces it")
    return Pair(certificate, key)


def write_pair(files: PairFiles, pair: Pair, force: bool) -> None:
    """Write both files; only `force` overwrites existing ones. Raises ConfigError."""
    folder = files.cert.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be created as a folder: {error.strerror}") from None
    try:
        _write_file(files.key, pair.key_pem(), 0o600, force)
        _write_file(files.cert, pair.certificate_pem(), 0o644, force)
    except FileExistsError as error:
        raise ConfigError(f"{error.filename}: already exists; --force replaces it") from None
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be written: {error.strerror}") from None


def _write_file(path: Path, data: bytes, mode: int, force: bool) -> None:
    # Created with its mode, never narrowed later; O_EXCL does not follow a planted link.
    place = path.with_name(f".{path.name}.{os.getpid()}") if force else path
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    if force:
        os.replace(place, path)


def existing_authority(files: PairFiles, days: int, force: bool) -> Pair | None:
    """Return the authority in `files` if it is valid for `days` more, None if there is none.

    Raises ConfigError for an unusable one; with `force`, returns None instead.
    """
    try:
        pair = read_pair(files)
        if pair is not None:
            _check_authority(pair, files, days)
    except ConfigError:
        if not force:
            raise
        return None
    return pair


def existing_server(
    files: PairFiles, authority: Pair | None, hosts: tuple[str, ...]
) -> Pair | None:
    """Return the server's pair in `files` if it is for `hosts`, None if there is none.

    Raises ConfigError for one that `authority` did not sign, or that is unusable.
    """
    pair = read_pair(files)
    if pair is None:
        return None
    again = "--force makes a new one"
    if authority is None or not signed_by(pair.certificate, authority.certificate):
        raise ConfigError(f"{files.cert}: exists, but is not from this CA; {again}")
    if pair.certificate.not_valid_after_utc <= datetime.now(UTC):
        raise ConfigError(f"{files.cert}: has expired; {again}")
    _check_begin(pair, files, again)
    if missing := [host for host in hosts if general_name(host) not in _names(pair)]:
        raise ConfigError(f"{files.cert}: exists, but is not for {', '.join(missing)}; {again}")
    return pair


def validity(pair: Pair) -> str:
    """Return until when a pair is valid."""
    return f"valid until {pair.certificate.not_valid_after_utc:%Y-%m-%d}"


def _check_authority(pair: Pair, files: PairFiles, days: int) -> None:
    again = "--force makes a new CA"
    try:
        constraints = pair.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        is_authority = constraints.value.ca
    except x509.ExtensionNotFound:
        is_authority = False
    if not is_authority:
        raise ConfigError(f"{files.cert}: is not a certificate authority; {again}")
    if pair.certificate.not_valid_after_utc < datetime.now(UTC) + timedelta(days=days):
        raise ConfigError(f"{files.cert}: {validity(pair)}, short of --days {days}; {again}")
    _check_begin(pair, files, again)


def _check_begin(pair: Pair, files: PairFiles, again: str) -> None:
    """Refuse a pair that was made when the clock was ahead."""
    begin = pair.certificate.not_valid_before_utc
    if begin > datetime.now(UTC):
        raise ConfigError(f"{files.cert}: is not valid before {begin:%Y-%m-%d %H:%M} UTC; {again}")


def _names(pair: Pair) -> list[x509.GeneralName]:
    try:
        found = pair.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return list(found.value)
