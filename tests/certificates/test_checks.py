"""Certificates and keys looked at before the start."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from hubgate.certificates.checks import certificate_dates, client_mistakes, server_mistakes
from hubgate.model import ClientTLS, ServerTLS
from tests.certificates.made import Files, encrypt, make_dated, make_files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return make_files(tmp_path)


def server_lines(tls: ServerTLS, folder: Path) -> list[str]:
    found = server_mistakes(tls, lambda name: f"--{name or 'tls'}", "SECRET")
    return [line.replace(f"{folder}/", "") for line in found]


def tls_of(files: Files) -> ServerTLS:
    return ServerTLS(files.cert, files.key)


def test_a_pair_is_fine(files: Files, tmp_path: Path) -> None:
    assert server_lines(tls_of(files), tmp_path) == []
    assert server_lines(replace(tls_of(files), ca=files.ca, request_cert=True), tmp_path) == []


def test_missing_and_unreadable_files(files: Files, tmp_path: Path) -> None:
    tls = ServerTLS(str(tmp_path / "none"), str(tmp_path), ca=str(tmp_path / "no-ca"))
    assert server_lines(tls, tmp_path) == [
        "--cert: none: no such file; `proxyctl certs` makes some for testing",
        f"--key: {tmp_path}: cannot be read: Is a directory",
        "--ca: no-ca: no such file; `proxyctl certs` makes some for testing",
    ]


def test_files_that_hold_something_else(files: Files, tmp_path: Path) -> None:
    swapped = ServerTLS(files.key, files.cert, ca=files.key, dhparam=files.cert)
    assert server_lines(swapped, tmp_path) == [
        "--cert: hub-key.pem: contains no PEM certificate; it contains a private key",
        "--key: hub.pem: contains no PEM private key; it contains a certificate",
        "--ca: hub-key.pem: contains no PEM certificate; it contains a private key",
        "--dhparam: hub.pem: contains no PEM DH parameters; make some with openssl dhparam 2048",
    ]
    (tmp_path / "junk").write_bytes(b"\0\1\2")
    (tmp_path / "empty").write_bytes(b"")
    junk = ServerTLS(str(tmp_path / "junk"), str(tmp_path / "empty"))
    assert server_lines(junk, tmp_path) == [
        "--cert: junk: contains no PEM certificate; PEM starts with -----BEGIN",
        "--key: empty: contains no PEM private key; PEM starts with -----BEGIN",
    ]


def test_a_key_that_does_not_belong(files: Files, tmp_path: Path) -> None:
    other = make_files(tmp_path, "other")
    assert server_lines(ServerTLS(files.cert, other.key), tmp_path) == [
        "--key: other-key.pem: is not the key of hub.pem; give a pair made together"
    ]


def test_an_encrypted_key_needs_its_passphrase(files: Files, tmp_path: Path) -> None:
    tls = tls_of(encrypt(files, "open"))
    key = "hub-secret-key.pem"
    assert server_lines(tls, tmp_path) == [f"--key: {key}: the key is encrypted; set SECRET"]
    assert server_lines(replace(tls, passphrase="wrong"), tmp_path) == [
        f"--key: {key}: the passphrase in SECRET is wrong"
    ]
    assert server_lines(replace(tls, passphrase="open"), tmp_path) == []


def test_a_needless_passphrase_is_no_mistake(files: Files, tmp_path: Path) -> None:
    assert server_lines(replace(tls_of(files), passphrase="open"), tmp_path) == []


def test_openssl_has_the_last_word(files: Files, tmp_path: Path) -> None:
    bad = replace(tls_of(files), ciphers="NONSENSE")
    (line,) = server_lines(bad, tmp_path)
    assert line.startswith(
        "--tls: the cipher list 'NONSENSE' matches no cipher; write OpenSSL names"
    )


def test_client_files(files: Files, tmp_path: Path) -> None:
    def lines(tls: ClientTLS) -> list[str]:
        found = client_mistakes(tls, lambda name: f"--{name}")
        return [line.replace(f"{tmp_path}/", "") for line in found]

    assert lines(ClientTLS()) == []
    assert lines(ClientTLS(files.cert, files.key, files.ca)) == []
    assert lines(ClientTLS(files.cert, encrypt(files, "x").key)) == [
        "--key: hub-secret-key.pem: the key is encrypted; use one that is not"
    ]
    assert lines(ClientTLS(ca=files.key)) == [
        "--ca: hub-key.pem: contains no PEM certificate; it contains a private key"
    ]


@pytest.mark.parametrize(
    ("begin", "end", "words"),
    [
        (-2, -1, "expired on "),
        (1, 2, "is not valid before "),
        (-1, 5, "expires on "),
    ],
)
def test_dates_are_told(tmp_path: Path, begin: int, end: int, words: str) -> None:
    files = make_dated(tmp_path, timedelta(days=begin), timedelta(days=end))
    (line,) = certificate_dates([tls_of(files), tls_of(files), ClientTLS()])
    assert line.startswith(f"{files.cert}: {words}")


def test_dates_far_from_now_are_not(tmp_path: Path) -> None:
    files = make_dated(tmp_path, timedelta(days=-1), timedelta(days=90))
    assert certificate_dates([tls_of(files)]) == []


def test_a_certificate_and_its_key_may_share_a_file(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(Path(files.key).read_bytes() + Path(files.cert).read_bytes())
    assert server_lines(ServerTLS(str(both), str(both)), tmp_path) == []


def test_a_key_too_short_is_refused(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 1024)
    path = tmp_path / "short.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    files = make_files(tmp_path)
    (line,) = server_lines(ServerTLS(files.cert, str(path)), tmp_path)
    assert line == "--key: short.pem: is not the key of hub.pem; give a pair made together"
