"""Certificates for tests, made anew each time and never older than the test."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hubgate.certificates.authority import Pair, make_authority, make_server


@dataclass(frozen=True)
class Files:
    """A certificate, its key and its authority, as paths."""

    cert: str
    key: str
    ca: str


def write(folder: Path, name: str, pair: Pair, authority: Pair) -> Files:
    """Write `pair` as NAME.pem and NAME-key.pem, its authority as NAME-ca.pem."""
    files = Files(*(str(folder / f"{name}{part}.pem") for part in ("", "-key", "-ca")))
    Path(files.cert).write_bytes(pair.certificate_pem())
    Path(files.key).write_bytes(pair.key_pem())
    Path(files.ca).write_bytes(authority.certificate_pem())
    return files


def make_files(folder: Path, name: str = "hub", hosts: tuple[str, ...] = ("127.0.0.1",)) -> Files:
    """Make a server certificate for `hosts` with an authority of its own."""
    authority = make_authority()
    return write(folder, name, make_server(authority, hosts, days=30), authority)


def encrypt(files: Files, passphrase: str) -> Files:
    """Return `files` with the key replaced by an encrypted copy."""
    key = serialization.load_pem_private_key(Path(files.key).read_bytes(), None)
    path = files.key.replace("-key", "-secret-key")
    Path(path).write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase.encode()),
        )
    )
    return replace(files, key=path)


def make_dated(folder: Path, begin: timedelta, end: timedelta) -> Files:
    """Make a self-signed certificate valid from `begin` to `end`, both counted from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "dated")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begin)
        .not_valid_after(now + end)
        .sign(key, hashes.SHA256())
    )
    pair = Pair(certificate, key)
    return write(folder, "dated", pair, pair)
