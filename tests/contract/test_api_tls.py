"""TLS of the API port: --api-ssl-*, as a hub with internal TLS uses it."""

import json
import ssl
from collections.abc import Iterator

import pytest

from tests.contract.certificates import Certificates, Identity
from tests.contract.client import Client
from tests.contract.conftest import StartProxy
from tests.contract.harness import Options, RunningProxy, launch
from tests.contract.wire import Closed

TOKEN = "api-tls"


def pair(identity: Identity) -> tuple[str, ...]:
    return ("--api-ssl-key", identity.key, "--api-ssl-cert", identity.cert)


@pytest.fixture(scope="module")
def strict(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningProxy]:
    flags = (
        *pair(certificates.server),
        *("--api-ssl-ca", certificates.ca),
        *("--api-ssl-request-cert", "--api-ssl-reject-unauthorized"),
    )
    env = (("CONFIGPROXY_AUTH_TOKEN", TOKEN),)
    proxy = launch(Options(flags, env), tmp_path_factory.mktemp("strict"))
    yield proxy
    proxy.kill()


def status(proxy: RunningProxy, context: ssl.SSLContext | None, secret: str = "") -> int | None:
    """Return the status of a request for the table, or None if TLS does not let it in."""
    token = ("Authorization", f"token {secret or proxy.token}")
    try:
        with Client(proxy.api, context) as client:
            return client.ask("/api/routes", token).status
    except (ssl.SSLError, ConnectionError, Closed):
        return None


def test_only_certificates_of_the_authority_are_let_in(
    strict: RunningProxy, certificates: Certificates
) -> None:
    assert status(strict, certificates.client_context(certificates.client)) == 200
    assert status(strict, certificates.client_context()) is None
    assert status(strict, certificates.client_context(certificates.stranger)) is None


def test_a_certificate_does_not_replace_the_token(
    strict: RunningProxy, certificates: Certificates
) -> None:
    assert status(strict, certificates.client_context(certificates.client), "wrong") == 403


def test_routes_are_changed_through_it(strict: RunningProxy, certificates: Certificates) -> None:
    body = json.dumps({"target": "http://127.0.0.1:9"}).encode()
    token = ("Authorization", f"token {TOKEN}")
    with Client(strict.api, certificates.client_context(certificates.client)) as client:
        assert client.ask("/api/routes/a", token, method="POST", body=body).status == 201
        assert client.ask("/api/routes/a", token).status == 200
        assert client.ask("/api/routes/a", token, method="DELETE").status == 204


def test_the_public_port_stays_plain(strict: RunningProxy) -> None:
    assert strict.get("/_chp_healthz").status == 200


def test_plain_http_is_not_answered(strict: RunningProxy) -> None:
    with Client(strict.api) as client:
        client.start("/api/routes", ("Authorization", f"token {TOKEN}"))
        assert b"200" not in client.read_rest()


def test_a_passphrase_opens_the_key_and_the_token_the_api(
    own: StartProxy, certificates: Certificates
) -> None:
    # No certificate is asked for here, so the token is all that a client needs.
    env = {"CONFIGPROXY_API_SSL_KEY_PASSPHRASE": Certificates.PASSPHRASE}
    proxy = own(*pair(certificates.encrypted), env=env)
    assert status(proxy, certificates.client_context()) == 200


def test_a_request_alone_is_as_strict(own: StartProxy, certificates: Certificates) -> None:
    # Node rejects unless it is told not to, and CHP has no flag that tells it.
    wants = ("--api-ssl-ca", certificates.ca, "--api-ssl-request-cert")
    proxy = own(*pair(certificates.server), *wants)
    assert status(proxy, certificates.client_context(certificates.client)) == 200
    assert status(proxy, certificates.client_context()) is None
    assert status(proxy, certificates.client_context(certificates.stranger)) is None
