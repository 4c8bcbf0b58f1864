"""Real certificates, made for one test run and never kept."""

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

# The public group of RFC 7919, appendix A.1: making one of one's own takes minutes.
FFDHE2048 = """\
-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, as PEM files."""

    cert: str
    key: str


class Authority:
    """A certificate authority that writes what it signs into `folder`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        cert = _builder(self._name, self._name, self._key).add_extension(constraints, critical=True)
        self.cert = _write(folder / f"{name}.pem", _pem(cert.sign(self._key, hashes.SHA256())))

    def identity(
        self,
        name: str,
        *hosts: str,
        key: Key | None = None,
        passphrase: str | None = None,
    ) -> Identity:
        """Sign a certificate for `hosts`, names or IP addresses; return its files."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([_general_name(host) for host in (*hosts, name)])
        cert = _builder(subject, self._name, key).add_extension(names, critical=False)
        return Identity(
            _write(self._folder / f"{name}.pem", _pem(cert.sign(self._key, hashes.SHA256()))),
            _write(self._folder / f"{name}-key.pem", _key_pem(key, passphrase)),
        )


@dataclass(frozen=True)
class Certificates:
    """What the TLS tests need; `stranger` is signed by an authority that nobody trusts."""

    ca: str
    server: Identity
    server_rsa: Identity
    encrypted: Identity
    client: Identity
    stranger: Identity
    elsewhere: Identity

    PASSPHRASE = "open sesame"

    def client_context(self, identity: Identity | None = None) -> ssl.SSLContext:
        """Return a context that trusts our authority and may show `identity`."""
        context = ssl.create_default_context(cafile=self.ca)
        if identity:
            context.load_cert_chain(identity.cert, identity.key)
        return context

    def server_context(
        self, identity: Identity | None = None, *, client_cert: bool = False
    ) -> ssl.SSLContext:
        """Return a target's context; with `client_cert` it wants a certificate of ours."""
        identity = identity or self.server
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.ca)
        context.load_cert_chain(identity.cert, identity.key)
        if client_cert:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def make_certificates(folder: Path) -> Certificates:
    """Make every certificate of `Certificates` in `folder`."""
    ours, theirs = Authority(folder, "ca"), Authority(folder, "other-ca")
    local = ("localhost", "127.0.0.1", "::1")
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return Certificates(
        ca=ours.cert,
        server=ours.identity("server", *local),
        server_rsa=ours.identity("server-rsa", *local, key=rsa_key),
        encrypted=ours.identity("encrypted", *local, passphrase=Certificates.PASSPHRASE),
        client=ours.identity("client"),
        stranger=theirs.identity("stranger", *local),
        elsewhere=ours.identity("elsewhere.example.org"),
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: Key) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(cert: x509.Certificate) -> bytes:
    return cert.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: Key, passphrase: str | None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, encryption)


def _write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)
