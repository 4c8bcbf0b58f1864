"""Which Host a request may have where no token protects the port."""

import pytest

from hubgate.control.web.host_names import HostNames, names_of
from hubgate.model import Address
from hubgate.settings import Settings

LOOPBACK, NETWORK = "127.0.0.1", "10.1.2.3"


@pytest.mark.parametrize(
    "field",
    [
        "localhost",
        "localhost:8001",
        "LocalHost.:8001",
        "hub.localhost:8001",
        "127.0.0.1",
        "127.0.0.1:8001",
        "127.8.8.8",
        "127.1:8001",
        "2130706433",
        "10.0.0.7:8001",
        "[::1]:8001",
        "[::ffff:127.0.0.1]",
        " 127.0.0.1:8001 ",
        "127.0.0.1:",
    ],
)
def test_an_address_and_a_loopback_name_pass_everywhere(field: str) -> None:
    for arrived_at in (LOOPBACK, NETWORK, None):
        assert HostNames().known(field, arrived_at)


@pytest.mark.parametrize(
    "field",
    [
        "evil.example",
        "evil.example:8001",
        "127.0.0.1.evil.example:8001",
        "localhost.evil.example",
        "evil.localhost.example",
        "notlocalhost.example",
        "api.hub.example.org",
        "svc.cluster.local",
        "",
        ":8001",
        "127.0.0.1:80x",
        "127.0.0.1, evil.example",
        "evil.example#.localhost",
        "evil.example/.localhost",
        "evil.example\\.localhost",
        "me@127.0.0.1",
        "[evil.example]",
        "[::1",
        "[]",
        "a.١",
    ],
)
def test_a_name_that_a_dns_server_decides_and_what_is_no_name_do_not(field: str) -> None:
    for arrived_at in (LOOPBACK, NETWORK, None):
        assert not HostNames(["hub.example.org"]).known(field, arrived_at)


@pytest.mark.parametrize("field", ["proxy:8001", "proxy-api", "PROXY.:8001"])
def test_a_name_of_the_network_passes_where_the_network_can_connect(field: str) -> None:
    assert HostNames().known(field, NETWORK)
    assert HostNames().known(field, "fd00::7")
    assert HostNames().known(field, "::ffff:10.1.2.3")
    for arrived_at in (LOOPBACK, "127.9.9.9", "::1", "::ffff:127.0.0.1", None, "rubbish"):
        assert not HostNames().known(field, arrived_at)


def test_names_of_the_settings_pass_however_they_are_written() -> None:
    names = HostNames(["Hub.example.org", "proxy"])
    for field in ("hub.example.org", "HUB.Example.org.:8001", "proxy:1"):
        assert names.known(field, LOOPBACK)
    names.replace(["other.example.org"])
    assert not names.known("hub.example.org", LOOPBACK)
    assert names.known("other.example.org", LOOPBACK)


def test_the_settings_name_the_hosts_they_listen_on_too() -> None:
    settings = Settings(
        api=(Address("api.example.org", 1), Address(path="/run/a.sock")),
        metrics=(Address("", 2), Address("metrics.example.org", 2)),
        api_hosts=("proxy.example.org",),
    )
    assert names_of(settings) == {"api.example.org", "metrics.example.org", "proxy.example.org"}
