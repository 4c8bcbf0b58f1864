"""X-Forwarded-For, -Port, -Proto and -Host, as the target sees them."""

import pytest

from tests.contract.better import better
from tests.contract.conftest import StartProxy
from tests.contract.harness import RunningProxy
from tests.contract.passing import seen
from tests.contract.target import Target
from tests.contract.wire import Request


def listed(request: Request, name: str) -> list[str]:
    """Return a comma-separated header's items; the blanks between them are nobody's business."""
    return [item.strip() for item in (request.get(name) or "").split(",")]


@pytest.mark.parametrize(
    ("name", "value"), [("For", "127.0.0.1"), ("Proto", "http"), ("Host", "hub.example.org:81")]
)
def test_they_are_added(x: RunningProxy, target: Target, name: str, value: str) -> None:
    request = seen(x, target, ("Host", "hub.example.org:81"))
    assert request.all(f"X-Forwarded-{name}") == [value]


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("hub.example.org:8443", "8443"),
        ("hub.example.org", "80"),
        pytest.param("[::1]:81", "81", marks=better("it takes the address's last part for a port")),
    ],
)
def test_the_port_is_the_one_the_client_asked_for(
    x: RunningProxy, target: Target, host: str, port: str
) -> None:
    assert seen(x, target, ("Host", host)).all("X-Forwarded-Port") == [port]


@pytest.mark.parametrize(
    ("name", "came", "added"),
    [("For", "192.0.2.1", "127.0.0.1"), ("Port", "443", "81"), ("Proto", "https", "http")],
)
def test_what_came_in_is_kept_in_front(
    x: RunningProxy, target: Target, name: str, came: str, added: str
) -> None:
    request = seen(x, target, (f"X-Forwarded-{name}", came), ("Host", "hub.example.org:81"))
    assert listed(request, f"X-Forwarded-{name}") == [came, added]


def test_a_chain_of_proxies_is_kept_in_order(x: RunningProxy, target: Target) -> None:
    request = seen(x, target, ("X-Forwarded-For", "192.0.2.1, 192.0.2.2"))
    assert listed(request, "X-Forwarded-For") == ["192.0.2.1", "192.0.2.2", "127.0.0.1"]


def test_a_chain_on_several_lines_is_kept_in_order(x: RunningProxy, target: Target) -> None:
    request = seen(x, target, ("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-For", "192.0.2.2"))
    assert listed(request, "X-Forwarded-For") == ["192.0.2.1", "192.0.2.2", "127.0.0.1"]


def test_a_forwarded_host_that_came_in_is_kept(x: RunningProxy, target: Target) -> None:
    request = seen(x, target, ("X-Forwarded-Host", "outside.example.org"))
    assert request.all("X-Forwarded-Host") == ["outside.example.org"]


def test_their_names_are_read_in_any_case(x: RunningProxy, target: Target) -> None:
    request = seen(x, target, ("x-FORWARDED-for", "192.0.2.1"))
    assert listed(request, "X-Forwarded-For") == ["192.0.2.1", "127.0.0.1"]


@pytest.mark.parametrize("name", ["For", "Port", "Proto", "Host"])
def test_no_x_forward_adds_none(start: StartProxy, target: Target, name: str) -> None:
    proxy = start("--no-x-forward")
    proxy.add("/x", target.url)
    assert seen(proxy, target).get(f"X-Forwarded-{name}") is None


@pytest.mark.parametrize("name", ["For", "Port", "Proto", "Host"])
def test_no_x_forward_lets_what_came_in_through(
    start: StartProxy, target: Target, name: str
) -> None:
    proxy = start("--no-x-forward")
    proxy.add("/x", target.url)
    assert seen(proxy, target, (f"X-Forwarded-{name}", "given")).all(f"X-Forwarded-{name}") == [
        "given"
    ]


@better("an IPv4 client of a listener on all interfaces gets an IPv6 address")
def test_an_ipv4_client_is_named_by_its_ipv4_address(start: StartProxy, target: Target) -> None:
    proxy = start("--ip", "")
    proxy.add("/x", target.url)
    assert seen(proxy, target).all("X-Forwarded-For") == ["127.0.0.1"]
