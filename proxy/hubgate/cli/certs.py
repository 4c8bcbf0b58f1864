"""`proxyctl certs`: certificates to develop with, under certs/."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from hubgate.certificates.authority import (
    Pair,
    general_name,
    make_authority,
    make_server,
    signed_by,
)
from hubgate.errors import ConfigError
from hubgate.settings.urls import check_host

DEFAULT_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Files:
    """Where a certificate and its key are kept."""

    cert: Path
    key: Path


@click.command()
@click.option(
    "--dir",
    "folder",
    metavar="DIR",
    default="certs",
    type=click.Path(path_type=Path),
    help="Where to put them (certs).",
)
@click.option(
    "--host",
    "hosts",
    metavar="HOST",
    multiple=True,
    default=DEFAULT_HOSTS,
    help="Name or address the server is reached by; may be repeated (localhost, 127.0.0.1, ::1).",
)
@click.option(
    "--days",
    metavar="N",
    default=365,
    type=click.IntRange(1, 3650),
    help="How long the server's certificate is valid (365).",
)
@click.option("--force", is_flag=True, help="Replace a server certificate that is there.")
def certs(folder: Path, hosts: tuple[str, ...], days: int, force: bool) -> None:
    """Make a development CA and a server certificate that it signs.

    Writes ca.pem, ca-key.pem, hub.pem and hub-key.pem. A valid CA that is there is used again,
    so a browser that trusts it need not be told twice; nothing is overwritten without --force.
    """
    for host in hosts:
        _check_name(host)
    authority_files = Files(folder / "ca.pem", folder / "ca-key.pem")
    server_files = Files(folder / "hub.pem", folder / "hub-key.pem")
    authority = _existing_authority(authority_files, days, force)
    if not force and _keep_server(server_files, authority, hosts):
        return
    if authority is None:
        authority = make_authority()
        _write(authority_files, authority, force)
        click.echo(f"made {authority_files.cert}, {_until(authority)}; trust it where you browse")
    else:
        click.echo(f"kept {authority_files.cert}, {_until(authority)}")
    server = make_server(authority, hosts, days)
    _write(server_files, server, force)
    click.echo(f"made {server_files.cert} for {', '.join(hosts)}, {_until(server)}")
    click.echo(f"try: proxyctl serve --tls-cert {server_files.cert} --tls-key {server_files.key}")


def _check_name(host: str) -> None:
    try:
        check_host(host.removeprefix("*."))
    except ConfigError as error:
        raise ConfigError(f"--host: {error}") from None


def _existing_authority(files: Files, days: int, force: bool) -> Pair | None:
    try:
        pair = _read(files)
        if pair is not None:
            _check_authority(pair, files, days)
    except ConfigError:
        if not force:
            raise
        return None
    return pair


def _check_authority(pair: Pair, files: Files, days: int) -> None:
    again = "--force makes a new CA"
    try:
        constraints = pair.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        is_authority = constraints.value.ca
    except x509.ExtensionNotFound:
        is_authority = False
    if not is_authority:
        raise ConfigError(f"{files.cert}: is no certificate authority; {again}")
    if pair.certificate.not_valid_after_utc < datetime.now(UTC) + timedelta(days=days):
        raise ConfigError(f"{files.cert}: {_until(pair)}, less than --days {days}; {again}")


def _keep_server(files: Files, authority: Pair | None, hosts: tuple[str, ...]) -> bool:
    """Say whether the certificate that is there will do. Raises ConfigError if it will not."""
    pair = _read(files)
    if pair is None:
        return False
    again = "--force makes a new one"
    if authority is None or not signed_by(pair.certificate, authority.certificate):
        raise ConfigError(f"{files.cert}: is there, but not from this CA; {again}")
    if pair.certificate.not_valid_after_utc <= datetime.now(UTC):
        raise ConfigError(f"{files.cert}: has expired; {again}")
    if missing := [host for host in hosts if general_name(host) not in _names(pair)]:
        raise ConfigError(f"{files.cert}: is there, but not for {', '.join(missing)}; {again}")
    click.echo(f"kept {files.cert} for {', '.join(hosts)}, {_until(pair)}; {again}")
    return True


def _names(pair: Pair) -> list[x509.GeneralName]:
    try:
        found = pair.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return list(found.value)


def _read(files: Files) -> Pair | None:
    """Return the pair in `files`, None if neither is there. Raises ConfigError."""
    there = [path for path in (files.cert, files.key) if path.exists()]
    if not there:
        return None
    if len(there) == 1:
        raise ConfigError(f"{there[0]}: is there without its other half; --force makes both anew")
    try:
        certificate = x509.load_pem_x509_certificate(files.cert.read_bytes())
        key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    except (ValueError, TypeError):
        raise ConfigError(f"{files.cert}: cannot be read; --force makes it anew") from None
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be read: {error.strerror}") from None
    if certificate.public_key() != key.public_key():
        raise ConfigError(f"{files.key}: is not the key of {files.cert}; --force makes both anew")
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ConfigError(f"{files.key}: is neither an EC nor an RSA key; --force makes it anew")
    return Pair(certificate, key)


def _write(files: Files, pair: Pair, force: bool) -> None:
    folder = files.cert.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be made a folder: {error.strerror}") from None
    try:
        _write_file(files.key, pair.key_pem(), 0o600, force)
        _write_file(files.cert, pair.certificate_pem(), 0o644, force)
    except FileExistsError as error:
        raise ConfigError(f"{error.filename}: is there already; --force replaces it") from None
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be written: {error.strerror}") from None


def _write_file(path: Path, data: bytes, mode: int, force: bool) -> None:
    # Created with its mode, never narrowed later; O_EXCL follows no link someone has put there.
    place = path.with_name(f".{path.name}.{os.getpid()}") if force else path
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    if force:
        os.replace(place, path)


def _until(pair: Pair) -> str:
    return f"valid until {pair.certificate.not_valid_after_utc:%Y-%m-%d}"
