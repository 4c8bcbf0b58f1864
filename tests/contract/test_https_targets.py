"""Targets that speak TLS: whom we trust, and what we show them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.better import better
from tests.contract.certificates import Certificates
from tests.contract.conftest import MakeTarget, StartProxy
from tests.contract.frames import FrameServer, client_frame, handshake, read_frame
from tests.contract.harness import RunningProxy
from tests.contract.target import Connection, Target, answer
from tests.frames import TEXT


@pytest.fixture
def backend(certificates: Certificates) -> Iterator[Target]:
    target = Target(tls=certificates.server_context())
    yield target
    target.stop()


@pytest.fixture
def picky(certificates: Certificates) -> Iterator[Target]:
    """Return a target that wants a certificate of our authority."""
    target = Target(tls=certificates.server_context(client_cert=True))
    yield target
    target.stop()


def trusting(start: StartProxy, certificates: Certificates) -> RunningProxy:
    return start("--client-ssl-ca", certificates.ca)


def showing(start: StartProxy, certificates: Certificates) -> RunningProxy:
    identity = certificates.client
    return start(
        *("--client-ssl-ca", certificates.ca),
        *("--client-ssl-key", identity.key, "--client-ssl-cert", identity.cert),
        *("--client-ssl-request-cert", "--client-ssl-reject-unauthorized", "--change-origin"),
    )


def status(proxy: RunningProxy, url: str) -> int:
    proxy.add("/x", url)
    return proxy.get("/x").status


def test_a_target_of_the_authority_is_trusted(
    start: StartProxy, certificates: Certificates, backend: Target
) -> None:
    assert status(trusting(start, certificates), backend.url) == 200
    assert backend.last.all("X-Forwarded-Proto") == ["http"]


def test_an_unknown_authority_is_503(proxy: RunningProxy, backend: Target) -> None:
    assert status(proxy, backend.url) == 503
    assert not backend.requests


def test_a_target_of_another_authority_is_503(
    start: StartProxy, certificates: Certificates
) -> None:
    target = Target(tls=certificates.server_context(certificates.stranger))
    try:
        assert status(trusting(start, certificates), target.url) == 503
        assert not target.requests
    finally:
        target.stop()


def test_a_certificate_for_another_name_is_503(
    start: StartProxy, certificates: Certificates
) -> None:
    target = Target(tls=certificates.server_context(certificates.elsewhere))
    try:
        assert status(trusting(start, certificates), target.url) == 503
        assert not target.requests
    finally:
        target.stop()


@better("it checks the certificate against the request's Host")
def test_the_name_checked_is_the_targets_own(
    start: StartProxy, certificates: Certificates, backend: Target
) -> None:
    proxy = trusting(start, certificates)
    proxy.add("/x", backend.url)
    assert proxy.get("/x", ("Host", "hub.example.org")).status == 200


def test_our_certificate_is_shown(
    start: StartProxy, certificates: Certificates, picky: Target
) -> None:
    assert status(showing(start, certificates), picky.url) == 200


def test_without_a_certificate_of_ours_it_is_503(
    start: StartProxy, certificates: Certificates, picky: Target
) -> None:
    assert status(trusting(start, certificates), picky.url) == 503
    assert not picky.requests


@better("it verifies all the same")
@pytest.mark.parametrize("who", ["server", "stranger", "elsewhere"])
def test_insecure_trusts_everybody(start: StartProxy, certificates: Certificates, who: str) -> None:
    target = Target(tls=certificates.server_context(getattr(certificates, who)))
    try:
        assert status(start("--insecure"), target.url) == 200
    finally:
        target.stop()


def test_plain_http_to_a_tls_target_is_an_error(proxy: RunningProxy, backend: Target) -> None:
    assert status(proxy, backend.url.replace("https", "http")) == 503


def test_tls_to_a_plain_target_is_503(
    start: StartProxy, certificates: Certificates, make_target: MakeTarget
) -> None:
    def plain(connection: Connection) -> None:
        connection.read_exactly(1)
        connection.send(answer(400, b"what is this"))

    proxy = trusting(start, certificates)
    assert status(proxy, make_target(plain).url.replace("http", "https")) == 503


def test_websockets_are_served(start: StartProxy, certificates: Certificates) -> None:
    target = Target(FrameServer(echo=True), tls=certificates.server_context())
    try:
        proxy = trusting(start, certificates)
        proxy.add("/x", target.url)
        with proxy.connect() as client:
            assert handshake(client, "/x").status == 101
            client.send(client_frame(TEXT, b"hello"))
            assert read_frame(client) == (TEXT, b"hello")
    finally:
        target.stop()


def test_connections_are_kept_alive(
    start: StartProxy, certificates: Certificates, backend: Target
) -> None:
    proxy = trusting(start, certificates)
    proxy.add("/x", backend.url)
    assert [proxy.get("/x").status for _ in range(3)] == [200] * 3
    assert [request.connection for request in backend.requests] == [0, 0, 0]


def test_change_origin_sends_the_targets_host(
    start: StartProxy, certificates: Certificates, backend: Target
) -> None:
    proxy = showing(start, certificates)
    proxy.add("/x", backend.url)
    assert proxy.get("/x", ("Host", "hub.example.org")).status == 200
    assert backend.last.all("Host") == [backend.host]


def test_several_authorities_in_one_file_are_all_trusted(
    start: StartProxy, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bundle = tmp_path_factory.mktemp("bundle") / "ca.pem"
    other = certificates.ca.replace("ca.pem", "other-ca.pem")
    bundle.write_text(Path(certificates.ca).read_text() + Path(other).read_text())
    proxy = start("--client-ssl-ca", str(bundle))
    for identity in (certificates.server, certificates.stranger):
        target = Target(tls=certificates.server_context(identity))
        try:
            assert status(proxy, target.url) == 200
        finally:
            target.stop()
