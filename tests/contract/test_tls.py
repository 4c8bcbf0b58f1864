"""TLS of the public port: --ssl-*."""

import ssl
from pathlib import Path

import pytest

from tests.contract.certificates import FFDHE2048, Certificates, Identity
from tests.contract.client import Client
from tests.contract.conftest import StartProxy
from tests.contract.frames import FrameServer, client_frame, handshake, read_frame
from tests.contract.harness import RunningProxy
from tests.contract.target import Target
from tests.frames import TEXT

CIPHERS = [
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
]


def pair(identity: Identity) -> tuple[str, ...]:
    return ("--ssl-key", identity.key, "--ssl-cert", identity.cert)


@pytest.fixture
def secured(start: StartProxy, certificates: Certificates) -> RunningProxy:
    return start(*pair(certificates.server))


def status(proxy: RunningProxy, context: ssl.SSLContext, path: str = "/_chp_healthz") -> int:
    with Client(proxy.public, context) as client:
        return client.ask(path).status


def refused(proxy: RunningProxy, context: ssl.SSLContext) -> bool:
    """Say whether a request fails in TLS, be it at the handshake or right after it."""
    try:
        with Client(proxy.public, context) as client:
            client.ask("/_chp_healthz")
    except (ssl.SSLError, ConnectionError):
        return True
    except Exception as error:
        return type(error).__name__ == "Closed"
    return False


def test_requests_are_served(
    secured: RunningProxy, certificates: Certificates, target: Target
) -> None:
    secured.add("/x", target.url)
    assert status(secured, certificates.client_context(), "/x/y") == 200
    assert target.paths == ["/x/y"]


def test_the_certificate_is_the_one_given(
    secured: RunningProxy, certificates: Certificates
) -> None:
    with Client(secured.public, certificates.client_context()) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        shown = client.socket.getpeercert(binary_form=True)
    assert shown == ssl.PEM_cert_to_DER_cert(Path(certificates.server.cert).read_text())


def test_plain_http_is_not_answered(secured: RunningProxy) -> None:
    with Client(secured.public) as client:
        client.start("/_chp_healthz")
        assert b"200" not in client.read_rest()


def test_the_api_stays_plain(secured: RunningProxy) -> None:
    assert secured.call("GET", "/api/routes").status == 200


@pytest.mark.parametrize(
    ("name", "value"), [("Proto", "https"), ("Port", "443"), ("Host", "hub.example.org")]
)
def test_the_target_is_told_of_tls(
    secured: RunningProxy, certificates: Certificates, target: Target, name: str, value: str
) -> None:
    secured.add("/x", target.url)
    with Client(secured.public, certificates.client_context()) as client:
        assert client.ask("/x", ("Host", "hub.example.org")).status == 200
    assert target.last.all(f"X-Forwarded-{name}") == [value]


def test_a_port_asked_for_comes_before_the_schemes_own(
    secured: RunningProxy, certificates: Certificates, target: Target
) -> None:
    secured.add("/x", target.url)
    with Client(secured.public, certificates.client_context()) as client:
        client.ask("/x", ("Host", "hub.example.org:8443"))
    assert target.last.all("X-Forwarded-Port") == ["8443"]


def test_websockets_are_served(secured: RunningProxy, certificates: Certificates) -> None:
    target = Target(FrameServer(echo=True))
    try:
        secured.add("/x", target.url)
        with Client(secured.public, certificates.client_context()) as client:
            assert handshake(client, "/x", ("Host", "hub.example.org")).status == 101
            client.send(client_frame(TEXT, b"hello"))
            assert read_frame(client) == (TEXT, b"hello")
        assert target.last.all("X-Forwarded-Proto") == ["wss"]
        assert target.last.all("X-Forwarded-Port") == ["443"]
    finally:
        target.stop()


def test_megabytes_go_through(secured: RunningProxy, certificates: Certificates) -> None:
    payload = bytes(range(256)) * 16384
    target = Target(FrameServer(echo=True))
    try:
        secured.add("/x", target.url)
        with Client(secured.public, certificates.client_context()) as client:
            handshake(client, "/x")
            client.send(client_frame(2, payload))
            assert read_frame(client) == (2, payload)
    finally:
        target.stop()


def test_connections_are_kept_alive(secured: RunningProxy, certificates: Certificates) -> None:
    with Client(secured.public, certificates.client_context()) as client:
        assert [client.ask("/_chp_healthz").status for _ in range(3)] == [200] * 3


def limited(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = version
    return context


def test_tls_1_2_is_spoken(secured: RunningProxy, certificates: Certificates) -> None:
    context = limited(certificates.client_context(), ssl.TLSVersion.TLSv1_2)
    assert status(secured, context) == 200


def test_tls_1_3_is_spoken(secured: RunningProxy, certificates: Certificates) -> None:
    context = limited(certificates.client_context(), ssl.TLSVersion.TLSv1_3)
    assert status(secured, context) == 200


class TestOptions:
    """What else can be told about the listener's TLS."""

    def test_a_passphrase_comes_from_the_environment(
        self, start: StartProxy, certificates: Certificates
    ) -> None:
        env = {"CONFIGPROXY_SSL_KEY_PASSPHRASE": Certificates.PASSPHRASE}
        proxy = start(*pair(certificates.encrypted), env=env)
        assert status(proxy, certificates.client_context()) == 200

    def test_a_protocol_is_kept_to(self, start: StartProxy, certificates: Certificates) -> None:
        proxy = start(*pair(certificates.server), "--ssl-protocol", "TLSv1_2")
        two = limited(certificates.client_context(), ssl.TLSVersion.TLSv1_2)
        three = limited(certificates.client_context(), ssl.TLSVersion.TLSv1_3)
        assert status(proxy, two) == 200
        assert refused(proxy, three)

    @pytest.fixture
    def choosy(self, start: StartProxy, certificates: Certificates) -> RunningProxy:
        return start(*pair(certificates.server), "--ssl-ciphers", ":".join(CIPHERS[:2]))

    def test_ciphers_are_kept_to(self, choosy: RunningProxy, certificates: Certificates) -> None:
        context = limited(certificates.client_context(), ssl.TLSVersion.TLSv1_2)
        context.set_ciphers(CIPHERS[2])
        assert refused(choosy, context)
        context.set_ciphers(":".join(CIPHERS[1:]))
        with Client(choosy.public, context) as client:
            assert isinstance(client.socket, ssl.SSLSocket)
            assert (client.socket.cipher() or [""])[0] == CIPHERS[1]

    def test_the_servers_order_of_ciphers_counts(
        self, choosy: RunningProxy, certificates: Certificates
    ) -> None:
        context = limited(certificates.client_context(), ssl.TLSVersion.TLSv1_2)
        context.set_ciphers(":".join(reversed(CIPHERS)))
        with Client(choosy.public, context) as client:
            assert isinstance(client.socket, ssl.SSLSocket)
            assert (client.socket.cipher() or [""])[0] == CIPHERS[0]

    def test_diffie_hellman_parameters_are_used(
        self, start: StartProxy, certificates: Certificates, tmp_path: Path
    ) -> None:
        file = tmp_path / "dh.pem"
        file.write_text(FFDHE2048)
        proxy = start(*pair(certificates.server_rsa), "--ssl-dhparam", str(file))
        context = limited(certificates.client_context(), ssl.TLSVersion.TLSv1_2)
        context.set_ciphers("DHE-RSA-AES128-GCM-SHA256")
        assert status(proxy, context) == 200


class TestClientCertificates:
    """--ssl-ca, --ssl-request-cert and --ssl-reject-unauthorized."""

    @pytest.fixture
    def strict(self, start: StartProxy, certificates: Certificates) -> RunningProxy:
        wants = ("--ssl-ca", certificates.ca, "--ssl-request-cert", "--ssl-reject-unauthorized")
        return start(*pair(certificates.server), *wants)

    def test_a_certificate_of_the_authority_is_let_in(
        self, strict: RunningProxy, certificates: Certificates
    ) -> None:
        assert status(strict, certificates.client_context(certificates.client)) == 200

    def test_no_certificate_is_kept_out(
        self, strict: RunningProxy, certificates: Certificates
    ) -> None:
        assert refused(strict, certificates.client_context())

    def test_a_strangers_certificate_is_kept_out(
        self, strict: RunningProxy, certificates: Certificates
    ) -> None:
        assert refused(strict, certificates.client_context(certificates.stranger))

    @pytest.mark.parametrize(
        ("who", "let_in"), [("client", True), (None, False), ("stranger", False)]
    )
    def test_a_request_alone_is_as_strict(
        self, start: StartProxy, certificates: Certificates, who: str | None, let_in: bool
    ) -> None:
        # Node rejects unless it is told not to, and CHP has no flag that tells it.
        wants = ("--ssl-ca", certificates.ca, "--ssl-request-cert")
        proxy = start(*pair(certificates.server), *wants)
        identity = getattr(certificates, who) if who else None
        assert refused(proxy, certificates.client_context(identity)) is not let_in

    def test_rejecting_without_requesting_keeps_nobody_out(
        self, start: StartProxy, certificates: Certificates
    ) -> None:
        # --ssl-allow-rc4 is of no use any more, and still no mistake.
        wants = ("--ssl-ca", certificates.ca, "--ssl-reject-unauthorized", "--ssl-allow-rc4")
        proxy = start(*pair(certificates.server), *wants)
        assert status(proxy, certificates.client_context()) == 200
