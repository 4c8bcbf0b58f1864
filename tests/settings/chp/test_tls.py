"""The drop-in's options for TLS, and what settings they mean."""

from pathlib import Path

import pytest

from hubgate.model import Address, ClientTLS
from tests.certificates.made import Files, encrypt
from tests.cli.drop import Drop


def test_public_tls(drop: Drop, files: Files) -> None:
    args = ["--ssl-cert", files.cert, "--ssl-key", files.key]
    tls = drop.run(*args).worker.tls
    assert tls is not None
    assert (tls.cert, tls.key, tls.request_cert) == (files.cert, files.key, False)
    assert (tls.min_version, tls.max_version) == ("TLSv1_2", None)
    redirecting = drop.run(*args, *["--port", "443", "--redirect-port", "80"])
    assert redirecting.redirect == (Address("", 80),)
    assert redirecting.worker.redirect_to == 443
    told = drop.run(*args, *["--redirect-port", "80", "--redirect-to", "8443"])
    assert told.worker.redirect_to == 8443


def test_a_requested_certificate_is_required_as_with_node(drop: Drop, files: Files) -> None:
    args = ["--ssl-cert", files.cert, "--ssl-key", files.key, "--ssl-ca", files.ca]
    asked = drop.run(*args, "--ssl-request-cert").worker.tls
    both = drop.run(*args, "--ssl-request-cert", "--ssl-reject-unauthorized").worker.tls
    alone = drop.run(*args, "--ssl-reject-unauthorized").worker.tls
    assert asked is not None
    assert alone is not None
    assert asked == both
    assert asked.reject_unauthorized
    assert not alone.request_cert


def test_a_hubs_internal_tls(drop: Drop, files: Files) -> None:
    pair = [f"ssl-{name}" for name in ("key", "cert", "ca", "request-cert", "reject-unauthorized")]
    values = [files.key, files.cert, files.ca]
    args = []
    for side in ("api", "client"):
        for name, value in zip(pair, values, strict=False):
            args += [f"--{side}-{name}", value]
        args += [f"--{side}-{name}" for name in pair[3:]]
    settings = drop.run(*args)
    assert settings.worker.tls is None
    assert settings.api_tls is not None
    assert settings.api_tls.reject_unauthorized
    assert settings.worker.client_tls == ClientTLS(files.cert, files.key, files.ca)
    assert "not authenticated" not in drop.log


def test_insecure_means_what_it_says(drop: Drop) -> None:
    assert not drop.run("--insecure").worker.client_tls.verify


def test_passphrases_come_from_chps_variables(drop: Drop, files: Files) -> None:
    secret = encrypt(files, "open")
    settings = drop.run(
        *["--ssl-cert", secret.cert, "--ssl-key", secret.key],
        *["--api-ssl-cert", secret.cert, "--api-ssl-key", secret.key],
        CONFIGPROXY_SSL_KEY_PASSPHRASE="open",
        CONFIGPROXY_API_SSL_KEY_PASSPHRASE="open",
    )
    assert settings.worker.tls is not None
    assert settings.api_tls is not None
    assert settings.worker.tls.passphrase == settings.api_tls.passphrase == "open"
    assert "'open'" not in repr(settings)


def test_one_file_may_hold_certificate_and_key(drop: Drop, files: Files, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(Path(files.key).read_bytes() + Path(files.cert).read_bytes())
    tls = drop.run("--ssl-cert", str(both)).worker.tls
    assert tls is not None
    assert tls.key == tls.cert == str(both)


@pytest.mark.parametrize(
    ("name", "versions"),
    [
        ("TLSv1_2", ("TLSv1_2", "TLSv1_2")),
        ("TLSv1_2_method", ("TLSv1_2", "TLSv1_2")),
        ("TLSv1.2", ("TLSv1_2", "TLSv1_2")),
        ("TLSv1_2_server_method", ("TLSv1_2", "TLSv1_2")),
        ("TLSv1_3", ("TLSv1_3", "TLSv1_3")),
        ("TLS", ("TLSv1_2", None)),
        ("SSLv23", ("TLSv1_2", None)),
    ],
)
def test_nodes_names_of_protocols(
    drop: Drop, files: Files, name: str, versions: tuple[str, str | None]
) -> None:
    args = ["--ssl-cert", files.cert, "--ssl-key", files.key]
    tls = drop.run(*args, "--ssl-protocol", name).worker.tls
    assert tls is not None
    assert (tls.min_version, tls.max_version) == versions
