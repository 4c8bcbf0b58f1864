"""Routes for a host and all its subdomains."""

import pytest

from hubgate.model import Route, RouteOptions
from hubgate.routing.table import RouteTable
from tests.routing.test_table import TARGET, key_of, table_of

DOMAIN = ".hub.example.org"


@pytest.mark.parametrize(
    "host", ["hub.example.org", "Alice.Hub.example.org:8000", "a.b.hub.example.org."]
)
def test_a_domain_is_its_host_and_all_below(host: str) -> None:
    table = table_of(f"{DOMAIN}/", native_routes=True)
    assert key_of(table, host, "/user/alice") == f"{DOMAIN}/"


@pytest.mark.parametrize(
    "host", ["", "example.org", "xhub.example.org", "hub.example.org.evil", "."]
)
def test_a_domain_is_nothing_else(host: str) -> None:
    assert key_of(table_of(f"{DOMAIN}/", native_routes=True), host, "/") is None
    assert key_of(table_of(f"{DOMAIN}/", "/", native_routes=True), host, "/") == "/"


@pytest.mark.parametrize(
    ("host", "target", "key"),
    [
        ("alice.hub.example.org", "/user/alice/x", "alice.hub.example.org/user/alice"),
        ("alice.hub.example.org", "/user/bob", f"{DOMAIN}/"),
        ("alice.hub.example.org", "/services/x/y", f"{DOMAIN}/services/x"),
        ("team.hub.example.org", "/wiki", ".team.hub.example.org/wiki"),
        ("x.team.hub.example.org", "/wiki/x", ".team.hub.example.org/wiki"),
        # What the smaller domain has no route for is the larger one's.
        ("x.team.hub.example.org", "/hub", f"{DOMAIN}/"),
        ("elsewhere.example.org", "/services/x", "/services"),
    ],
)
def test_the_host_itself_comes_first_and_then_the_smallest_domain(
    host: str, target: str, key: str
) -> None:
    table = table_of(
        "/services",
        f"{DOMAIN}/",
        f"{DOMAIN}/services/x",
        ".team.hub.example.org/wiki",
        "alice.hub.example.org/user/alice",
        native_routes=True,
    )
    assert key_of(table, host, target) == key
    assert key_of(table, host, target) == key, "the same once it is known"


def test_domains_come_and_go() -> None:
    table = table_of("/", "hub.example.org/x", native_routes=True)
    table.apply([Route(f"{DOMAIN}/", TARGET), Route(f"{DOMAIN}/a", TARGET)], ())
    assert (len(table), key_of(table, "x.hub.example.org", "/a/b")) == (4, f"{DOMAIN}/a")
    table.apply((), [f"{DOMAIN}/a"])
    assert key_of(table, "x.hub.example.org", "/a/b") == f"{DOMAIN}/"
    assert key_of(table, "hub.example.org", "/x") == "hub.example.org/x"
    table.apply((), [f"{DOMAIN}/"])
    assert (len(table), key_of(table, "x.hub.example.org", "/a/b")) == (2, "/")
    table.replace([Route(f"{DOMAIN}/", TARGET)])
    assert key_of(table, "x.hub.example.org", "/") == f"{DOMAIN}/"


def test_its_host_is_no_segment_of_the_prefix() -> None:
    table = table_of(native_routes=True)
    table.replace([Route(f"{DOMAIN}/a/b", TARGET, options=RouteOptions(strip_prefix=True))])
    entry = table.match("x.hub.example.org", "/a/b/c")
    assert entry is not None
    assert (entry.segments, entry.strip_prefix) == (2, True)


@pytest.mark.parametrize("rules", [{}, {"host_routing": True}])
def test_there_are_none_in_chps_modes(rules: dict[str, bool]) -> None:
    table = table_of("/.hub.example.org", "/", **rules)
    assert key_of(table, "x.hub.example.org", "/a") == "/"


def test_a_host_longer_than_any_name_is_in_no_domain() -> None:
    """Or every dot in a host of 60 kB would cost a copy of the rest."""
    table: RouteTable = table_of(f"{DOMAIN}/", "/", native_routes=True)
    assert key_of(table, f"{'a.' * 119}hub.example.org", "/") == f"{DOMAIN}/"
    assert key_of(table, f"{'a.' * 121}hub.example.org", "/") == "/"
