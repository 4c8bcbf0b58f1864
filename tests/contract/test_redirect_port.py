"""--redirect-port: plain HTTP there is sent on to HTTPS."""

from dataclasses import dataclass

import pytest

from tests.contract.better import better
from tests.contract.certificates import Certificates
from tests.contract.client import Client
from tests.contract.conftest import StartProxy
from tests.contract.harness import RunningProxy, accepts
from tests.contract.polling import eventually
from tests.contract.ports import free_port, is_free
from tests.contract.wire import Response


@dataclass(frozen=True)
class Redirect:
    """A proxy with a port that redirects."""

    proxy: RunningProxy
    port: int

    def ask(self, path: str, host: str = "hub.example.org", method: str = "GET") -> Response:
        with Client(("127.0.0.1", self.port)) as client:
            return client.ask(path, ("Host", host), method=method)


def redirecting(start: StartProxy, certificates: Certificates, port: int, *more: str) -> Redirect:
    identity = certificates.server
    flags = ("--ssl-key", identity.key, "--ssl-cert", identity.cert, "--redirect-port", str(port))
    proxy = start(*flags, *more)
    assert eventually(lambda: accepts(("127.0.0.1", port)))
    return Redirect(proxy, port)


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture
def redirect(start: StartProxy, certificates: Certificates, port: int) -> Redirect:
    return redirecting(start, certificates, port)


@pytest.mark.parametrize("path", ["/", "/a/b", "/a%20b?x=%2F&y=1", "/?next=/c"])
def test_a_request_is_sent_to_the_public_port(redirect: Redirect, path: str) -> None:
    response = redirect.ask(path)
    assert response.status == 301
    assert response.all("Location") == [f"https://hub.example.org:{redirect.proxy.port}{path}"]


def test_the_port_asked_for_is_left_out(redirect: Redirect) -> None:
    expected = f"https://hub.example.org:{redirect.proxy.port}/x"
    assert redirect.ask("/x", "hub.example.org:80").get("Location") == expected


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT"])
def test_every_method_is_redirected(redirect: Redirect, method: str) -> None:
    assert redirect.ask("/x", method=method).status == 301


def test_the_redirect_leads_to_the_proxy(redirect: Redirect, certificates: Certificates) -> None:
    location = redirect.ask("/_chp_healthz", "localhost").get("Location")
    assert location == f"https://localhost:{redirect.proxy.port}/_chp_healthz"
    with Client(redirect.proxy.public, certificates.client_context()) as client:
        assert client.ask("/_chp_healthz").status == 200


@pytest.mark.parametrize("line", ["GET /x HTTP/1.0", "GET /x HTTP/1.1"])
def test_a_request_without_a_host_is_400(redirect: Redirect, line: str) -> None:
    with Client(("127.0.0.1", redirect.port)) as client:
        client.send(f"{line}\r\n\r\n".encode())
        assert client.read_head().line.split(" ")[1] == "400"


def test_another_port_may_be_named(own: StartProxy, certificates: Certificates) -> None:
    redirect = redirecting(own, certificates, free_port(), "--redirect-to", "8443")
    assert redirect.ask("/x").get("Location") == "https://hub.example.org:8443/x"


@better("it leaves 443 out only if that is its own public port")
def test_port_443_is_left_out(own: StartProxy, certificates: Certificates) -> None:
    redirect = redirecting(own, certificates, free_port(), "--redirect-to", "443")
    assert redirect.ask("/x").get("Location") == "https://hub.example.org/x"


def test_a_public_port_of_443_is_left_out(own: StartProxy, certificates: Certificates) -> None:
    if not is_free(443, "127.0.0.1"):
        pytest.skip("port 443 cannot be had here")
    public = ("--ip", "127.0.0.1", "--port", "443")
    identity, port = certificates.server, free_port()
    flags = ("--ssl-key", identity.key, "--ssl-cert", identity.cert, "--redirect-port", str(port))
    redirect = Redirect(own(*flags, public=public), port)
    assert eventually(lambda: accepts(("127.0.0.1", port)))
    assert redirect.ask("/x").get("Location") == "https://hub.example.org/x"


@better("it cuts the address at its first colon")
def test_an_ipv6_host_is_kept_whole(redirect: Redirect) -> None:
    expected = f"https://[::1]:{redirect.proxy.port}/x"
    assert redirect.ask("/x", "[::1]:80").get("Location") == expected
