"""No answer says which version it comes from, on any port, not even to rubbish.

Which software it is, only the pages say that are for operators (docs/token.md).
"""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hubgate import __version__
from tests.certificates.made import make_files
from tests.contract.client import Address, open_socket
from tests.contract.harness import RunningProxy, wait_until_listening
from tests.contract.ports import free_ports
from tests.contract.target import Target, answer, replying
from tests.system.dropin import dropin

NAMES = (b"hubgate", b"configurable-http-proxy", b"uvloop")
# Without a token, and named after us: the pages of operators.
NAMED = {("api", b"/"), ("api", b"/api/openapi.json"), ("metrics", b"/metrics")}
METHODS = (b"HEAD", b"POST", b"OPTIONS", b"TRACE", b"CONNECT", b"LOCK")
PATHS = (
    *(b"/", b"/nowhere", b"/down", b"/_chp_healthz", b"/metrics", b"/favicon.ico", b"*"),
    *(b"/api", b"/api/", b"/api/routes", b"/api/openapi.json", b"/api/reload", b"/api/upgrade"),
    *(b"/%00", b"/../x", b"http://localhost/"),
)
GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%b\r\n"
UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
RUBBISH = (
    GET % (b"/", b"bad field\r\n"),
    GET % (b"/", b"X: " + b"a" * 100_000 + b"\r\n"),
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: -1\r\n\r\n",
)


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Address]]:
    """Every kind of port: the public one with a target that is down, and one without TLS."""
    folder = tmp_path_factory.mktemp("ports")
    metrics, redirect = free_ports()
    files = make_files(folder)
    with dropin(folder) as plain, dropin(folder) as tls:
        first = plain.start("--metrics-port", str(metrics), "--metrics-ip", "127.0.0.1")
        first.add("/down", "http://127.0.0.1:9")
        second = tls.start(
            *("--ssl-key", files.key, "--ssl-cert", files.cert, "--redirect-port", str(redirect))
        )
        loopback = {"metrics": ("127.0.0.1", metrics), "redirect": ("127.0.0.1", redirect)}
        wait_until_listening(second, list(loopback.values()))
        yield {"public": first.public, "api": first.api, "tls": second.public, **loopback}


def unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def exchange(address: Address, request: bytes, tls: bool = False) -> bytes:
    """Send bytes and return all that comes back."""
    with ExitStack() as stack:
        sock = stack.enter_context(open_socket(address))
        sock.settimeout(20)
        if tls:
            sock = stack.enter_context(unverified().wrap_socket(sock))
        received = b""
        try:
            sock.sendall(request)
            while part := sock.recv(65536):
                received += part
        except ConnectionError:
            pass  # closed before all of the rubbish was read
        return received


def assert_nameless(response: bytes) -> None:
    lowered = response.lower()
    for name in (b"\r\nserver:", b"\r\nvia:", b"\r\nx-powered-by:", b"aiohttp", b"python/"):
        assert name not in lowered, response[:2000]
    assert __version__.encode() not in lowered


@pytest.mark.parametrize("port", ["public", "api", "metrics", "redirect"])
@pytest.mark.parametrize("request_", RUBBISH, ids=range(len(RUBBISH)))
def test_rubbish(ports: dict[str, Address], port: str, request_: bytes) -> None:
    response = exchange(ports[port], request_)
    if response:
        assert response.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5", b"HTTP/1.0 4"))
    assert_nameless(response)


@pytest.mark.parametrize(
    ("port", "path", "more", "status"),
    [
        ("public", b"/_chp_healthz", b"", 200),
        ("public", b"/nowhere", b"", 404),
        ("public", b"/nowhere", UPGRADE, 404),
        ("public", b"/down", b"", 503),
        ("public", b"/down", UPGRADE, 503),
        ("redirect", b"/x", b"", 301),
        ("metrics", b"/nowhere", b"", 404),
        ("api", b"/", b"", 200),
        ("api", b"/api/openapi.json", b"", 200),
        ("api", b"/api/routes", b"", 403),
        ("api", b"/nowhere", b"", 403),
    ],
)
def test_answers(
    ports: dict[str, Address], port: str, path: bytes, more: bytes, status: int
) -> None:
    response = exchange(ports[port], GET % (path, more))
    assert response.startswith(b"HTTP/1.1 %d " % status)
    assert_nameless(response)


@pytest.mark.parametrize("port", ["public", "tls", "api", "metrics", "redirect"])
def test_only_pages_for_operators_name_us(ports: dict[str, Address], port: str) -> None:
    named = set()
    # Few, because a guesser of tokens waits for up to a second.
    for method, path, more in (
        *((b"GET", path, b"") for path in PATHS),
        *((method, b"/nowhere", b"") for method in METHODS),
        *((b"GET", b"/nowhere", more) for more in (UPGRADE, b"Accept: application/json\r\n")),
    ):
        request = (GET % (path, more)).replace(b"GET", method, 1)
        response = exchange(ports[port], request, tls=port == "tls")
        assert_nameless(response)
        if any(name in response.lower() for name in NAMES):
            named.add((port, path.removeprefix(b"http://localhost")))
    assert named == {(at, path) for at, path in NAMED if at == port}


def test_plain_text_where_tls_is_spoken(ports: dict[str, Address]) -> None:
    assert_nameless(exchange(ports["tls"], GET % (b"/", b"")))


def test_a_targets_name_goes_through(tmp_path: Path) -> None:
    target = Target(replying(answer(200, b"x", ("Server", "Notebook/1.0"))))
    with dropin(tmp_path) as place:
        proxy: RunningProxy = place.start()
        proxy.add("/", target.url)
        assert b"\r\nServer: Notebook/1.0\r\n" in exchange(proxy.public, GET % (b"/", b""))
    target.stop()
