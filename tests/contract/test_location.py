"""Rewriting the Location of redirects: --auto-rewrite and --protocol-rewrite."""

import pytest

from tests.contract.better import better
from tests.contract.conftest import MakeTarget, StartProxy
from tests.contract.harness import RunningProxy
from tests.contract.target import Connection, Target, answer

OUTSIDE = "hub.example.org:8443"


def redirecting(connection: Connection) -> None:
    """Answer with the status and the location that the request asks for."""
    while True:
        request = connection.read_request()
        status, location = request.get("X-Status"), request.get("X-Location")
        connection.send(answer(int(status or 0), b"", ("Location", location or "")))


@pytest.fixture
def backend(make_target: MakeTarget) -> Target:
    return make_target(redirecting)


def location(
    proxy: RunningProxy, backend: Target, given: str, status: int = 302, host: str = OUTSIDE
) -> str | None:
    proxy.add("/x", backend.url)
    response = proxy.get("/x", ("Host", host), ("X-Status", str(status)), ("X-Location", given))
    assert response.status == status
    return response.get("Location")


@pytest.mark.parametrize("status", [201, 301, 302, 303, 307, 308])
def test_without_a_flag_it_is_left_alone(proxy: RunningProxy, backend: Target, status: int) -> None:
    given = f"{backend.url}/a?b"
    assert location(proxy, backend, given, status) == given


@pytest.mark.parametrize("status", [201, 301, 302, 307, 308])
def test_auto_rewrite_puts_the_clients_host_there(
    start: StartProxy, backend: Target, status: int
) -> None:
    rewritten = location(start("--auto-rewrite"), backend, f"{backend.url}/a?b=%20#c", status)
    assert rewritten == f"http://{OUTSIDE}/a?b=%20#c"


@pytest.mark.parametrize("status", [200, 303, 404])
def test_other_statuses_are_left_alone(start: StartProxy, backend: Target, status: int) -> None:
    given = f"{backend.url}/a"
    assert location(start("--auto-rewrite"), backend, given, status) == given


@pytest.mark.parametrize(
    "given",
    [
        "http://other.example.org/a",
        "http://127.0.0.1:1/a",
        "http://127.0.0.1/a",
        "/a",
        "a/b?c",
        "?d",
        "//other.example.org/a",
    ],
)
def test_another_host_is_left_alone(start: StartProxy, backend: Target, given: str) -> None:
    assert location(start("--auto-rewrite"), backend, given) == given


@better("it keeps the target's port")
def test_auto_rewrite_takes_a_host_without_a_port(start: StartProxy, backend: Target) -> None:
    rewritten = location(
        start("--auto-rewrite"), backend, f"{backend.url}/a", host="hub.example.org"
    )
    assert rewritten == "http://hub.example.org/a"


def test_protocol_rewrite_changes_the_scheme_only(start: StartProxy, backend: Target) -> None:
    rewritten = location(start("--protocol-rewrite", "https"), backend, f"{backend.url}/a?b")
    assert rewritten == f"https://{backend.host}/a?b"


@pytest.mark.parametrize("given", ["http://other.example.org/a", "/a"])
def test_protocol_rewrite_leaves_another_host_alone(
    start: StartProxy, backend: Target, given: str
) -> None:
    assert location(start("--protocol-rewrite", "https"), backend, given) == given


@pytest.mark.parametrize("status", [200, 303])
def test_protocol_rewrite_leaves_other_statuses_alone(
    start: StartProxy, backend: Target, status: int
) -> None:
    given = f"{backend.url}/a"
    assert location(start("--protocol-rewrite", "https"), backend, given, status) == given


def test_both_flags_together(start: StartProxy, backend: Target) -> None:
    proxy = start("--auto-rewrite", "--protocol-rewrite", "https")
    assert location(proxy, backend, f"{backend.url}/a") == f"https://{OUTSIDE}/a"
