"""Which route serves a request, while routes come and go."""

import random
import time
from typing import Any

import pytest

from hubgate.errors import BadRequestError
from hubgate.model import ForwardRules, Route, RouteOptions
from hubgate.routing.table import RouteTable, bare_host
from tests.clock import SetClock

TARGET = "http://127.0.0.1:9001"


def table_of(*keys: str, **rules: Any) -> RouteTable:
    table = RouteTable(ForwardRules(**rules))
    table.replace([Route(key, TARGET) for key in keys])
    return table


def key_of(table: RouteTable, host: str, target: str) -> str | None:
    entry = table.match(host, target)
    return None if entry is None else entry.key


# --- matching --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("/", "/"),
        ("/hub", "/"),
        ("/user/alice", "/user/alice"),
        ("/user/alice/lab?next=/user/bob", "/user/alice"),
        ("/user/alice?next=/user/bob", "/user/alice"),
        ("/user/al%69ce/x", "/user/alice"),
        ("/user/al", "/"),
        ("/user/a%40b/x", "/user/a@b"),
        ("/user/a@b", "/user/a@b"),
        ("/user/%C3%A9ric", "/user/éric"),
        ("/user%2Falice", "/user/alice"),
    ],
)
def test_requests_go_to_the_longest_prefix(target: str, key: str) -> None:
    table = table_of("/", "/user/alice", "/user/a@b", "/user/éric")

    assert key_of(table, "hub", target) == key


def test_there_may_be_no_route() -> None:
    assert key_of(table_of("/user/alice"), "hub", "/user/bob") is None
    assert key_of(table_of(), "hub", "/") is None


def test_a_path_that_cannot_be_decoded_has_no_route_at_all() -> None:
    with pytest.raises(BadRequestError):
        table_of("/").match("hub", "/%zz")


# --- hosts, as CHP does it -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "target", "key"),
    [
        ("hub.example", "/user/a", "/hub.example/user/a"),
        ("hub.example:8000", "/user/a/x", "/hub.example/user/a"),
        ("HUB.example", "/user/a", "/hub.example/user/a"),
        ("hub.example", "/other", "/hub.example"),
        ("other.example", "/user/a", "/"),
        ("", "/hub.example/user/a", "/"),
        ("[::1]:8000", "/", "/[::1]"),
    ],
)
def test_host_routing_puts_the_host_in_front(host: str, target: str, key: str) -> None:
    table = table_of("/", "/hub.example", "/hub.example/user/a", "/[::1]", host_routing=True)

    assert key_of(table, host, target) == key


def test_host_routing_without_a_root_knows_only_its_hosts() -> None:
    table = table_of("/hub.example", host_routing=True)

    assert key_of(table, "other.example", "/") is None
    assert key_of(table, "hub.example", "/") == "/hub.example"


# --- hosts of our own ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "target", "key"),
    [
        ("hub.example", "/", "hub.example/"),
        ("hub.example:8000", "/user/a", "hub.example/user/a"),
        ("Hub.Example", "/user/a", "hub.example/user/a"),
        ("hub.example", "/user/b", "hub.example/"),
        ("docs.example", "/a/b", "docs.example/a"),
        ("docs.example", "/user/b", "/user/b"),
        ("other.example", "/user/b", "/user/b"),
        ("other.example", "/", "/"),
        ("", "/user/a", "/"),
    ],
)
def test_native_routes_with_a_host_come_before_those_without(
    host: str, target: str, key: str
) -> None:
    table = table_of(
        "/", "/user/b", "hub.example/", "hub.example/user/a", "docs.example/a", native_routes=True
    )

    assert key_of(table, host, target) == key


def test_in_native_mode_a_path_that_looks_like_a_host_is_a_path() -> None:
    table = table_of("/", "/hub.example", native_routes=True)

    assert key_of(table, "hub.example", "/") == "/"
    assert key_of(table, "other", "/hub.example/x") == "/hub.example"


def test_without_native_routes_hosts_do_not_matter() -> None:
    table = table_of("/", "/hub.example")

    assert key_of(table, "hub.example", "/x") == "/"


def test_the_last_host_route_can_go() -> None:
    table = table_of("/", "hub.example/", native_routes=True)
    table.apply((), ["hub.example/"])
    assert key_of(table, "hub.example", "/x") == "/"

    table.apply([Route("hub.example/", TARGET)], ())
    assert key_of(table, "hub.example", "/x") == "hub.example/"


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("hub", "hub"),
        ("HUB:8000", "hub"),
        ("hub:", "hub"),
        ("[::1]", "[::1]"),
        ("[2001:DB8::1]:443", "[2001:db8::1]"),
        ("", ""),
    ],
)
def test_a_host_header_without_its_port(header: str, host: str) -> None:
    assert bare_host(header) == host


# --- changes ---------------------------------------------------------------------------------


def test_replacing_forgets_everything_else() -> None:
    table = table_of("/", "/a", "/b")
    table.replace([Route("/a", TARGET), Route("/c", TARGET)])

    assert len(table) == 2
    assert key_of(table, "", "/b") is None
    assert key_of(table, "", "/c") == "/c"


def test_deletes_come_before_puts() -> None:
    table = table_of("/a")
    table.apply([Route("/a", "http://127.0.0.1:9002")], ["/a"])

    entry = table.match("", "/a")
    assert entry is not None
    assert entry.target is not None
    assert entry.target.peer.port == 9002


def test_deleting_what_is_not_there_changes_nothing() -> None:
    table = table_of("/a")
    table.apply((), ["/", "/b", "/a/b"])

    assert len(table) == 1
    assert key_of(table, "", "/a") == "/a"


def test_an_open_stream_keeps_the_entry_it_began_with() -> None:
    table = table_of("/a")
    before = table.match("", "/a")
    table.apply([Route("/a", "http://127.0.0.1:9002")], ())

    assert before is not None
    assert before.target is not None
    assert before.target.peer.port == 9001


def test_a_target_that_is_no_url_leaves_the_route_without_one() -> None:
    table = RouteTable(ForwardRules())
    table.replace([Route("/a", "nonsense"), Route("/b", TARGET)])

    entry = table.match("", "/a/x")
    assert entry is not None
    assert entry.target is None
    assert key_of(table, "", "/b") == "/b"


def test_what_a_route_does_to_its_requests() -> None:
    table = RouteTable(ForwardRules(native_routes=True))
    options = RouteOptions(strip_prefix=True, headers=(("X-Team", "physics"),))
    table.replace(
        [Route("/a/b", TARGET, options=options), Route("hub.example/c", TARGET), Route("/", TARGET)]
    )

    entry = table.match("", "/a/b/c")
    assert entry is not None
    assert (entry.strip_prefix, entry.segments) == (True, 2)
    assert entry.header_lines == (b"X-Team: physics",)

    hosted = table.match("hub.example", "/c/d")
    assert hosted is not None
    assert (hosted.strip_prefix, hosted.segments) == (False, 1)

    root = table.match("", "/")
    assert root is not None
    assert root.segments == 0


def test_plain_routes_may_come_as_targets_by_key() -> None:
    table = RouteTable(ForwardRules(native_routes=True))
    targets = {"/": TARGET, "/a/": TARGET, "hub.example/b": TARGET, "/bad": "", "/c//d": TARGET}
    table.replace([Route("/a/x", TARGET)], targets)

    assert targets == {}
    assert len(table) == 6
    assert key_of(table, "hub.example", "/b/c") == "hub.example/b"
    assert [key_of(table, "", path) for path in ("/a/y", "/a/x/y", "/c//d", "/c/d")] == [
        *("/a/", "/a/x", "/c//d", "/"),
    ]
    bad, hosted = table.match("", "/bad"), table.match("hub.example", "/b")
    assert bad is not None
    assert bad.target is None
    assert hosted is not None
    assert hosted.segments == 1


def test_a_route_is_one_entry_from_its_first_request_on() -> None:
    table = table_of("/a", "/b")

    assert table.match("", "/a/x") is table.match("", "/a/y")
    assert table.match("", "/b") is not table.match("", "/a")


@pytest.mark.parametrize("asked_before", [False, True])
def test_routes_are_removed_whether_or_not_anybody_asked_for_them(asked_before: bool) -> None:
    table = table_of("/a", "hub.example/b", native_routes=True)
    table.apply([Route("/c", "")], ())
    if asked_before:
        assert [key_of(table, "hub.example", path) for path in ("/a", "/b", "/c")] == [
            *("/a", "hub.example/b", "/c"),
        ]
    table.apply((), ["/a", "hub.example/b", "/c"])

    assert len(table) == 0
    assert [key_of(table, "hub.example", path) for path in ("/a", "/b", "/c")] == [None] * 3
    assert table.take_activity() == {}


def test_of_two_keys_for_one_place_only_the_present_one_can_be_removed() -> None:
    table = table_of("/Hub.example/a", host_routing=True)
    table.apply([Route("/hub.example/a", TARGET)], ())
    table.apply((), ["/Hub.example/a"])

    assert key_of(table, "hub.example", "/a") == "/hub.example/a"


# --- activity --------------------------------------------------------------------------------


def test_activity_is_told_once_it_happened() -> None:
    table = table_of("/a", "/b")
    begun = time.time()
    assert table.take_activity() == {}

    entry = table.match("", "/a")
    assert entry is not None
    entry.touch()

    activity = table.take_activity()
    assert activity.keys() == {"/a"}
    assert begun <= activity["/a"] <= time.time()
    assert table.take_activity() == {}


def test_activity_of_a_clock_that_was_ahead_is_told_once_and_never_of_the_future(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, table = SetClock(monkeypatch), table_of("/a", "/b")
    first, second = table.match("", "/a"), table.match("", "/b")
    assert first is not None
    assert second is not None
    clock.ahead = 86400.0
    first.touch()
    clock.ahead = 0.0
    assert table.take_activity()["/a"] <= time.time()

    # Nor is anything lost that happened after the clock was put back.
    second.touch()
    assert table.take_activity().keys() == {"/b"}
    assert table.take_activity() == {}


def test_replacing_a_route_keeps_its_activity_and_removing_it_does_not() -> None:
    table = table_of("/a")
    entry = table.match("", "/a")
    assert entry is not None
    entry.touch()

    table.apply([Route("/a", TARGET)], ())
    assert table.take_activity().keys() == {"/a"}

    table.apply((), ["/a"])
    table.apply([Route("/a", TARGET)], ())
    assert table.take_activity() == {}


# --- size ------------------------------------------------------------------------------------


def test_ten_thousand_users_come_and_go() -> None:
    chance = random.Random(1)
    names = [f"user-{number}@example.org" for number in range(10000)]
    table = table_of("/", *(f"/user/{name}" for name in names))
    gone = set(chance.sample(names, 3000))
    table.apply((), [f"/user/{name}" for name in gone])

    assert len(table) == 7001
    for name in chance.sample(names, 3000):
        escaped = name.replace("@", "%40")
        expected = "/" if name in gone else f"/user/{name}"
        assert key_of(table, "hub", f"/user/{escaped}/lab") == expected
