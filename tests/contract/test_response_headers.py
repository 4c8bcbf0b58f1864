"""What happens to a response's headers on the way to the client."""

import pytest

from tests.contract.better import better
from tests.contract.conftest import MakeTarget
from tests.contract.harness import RunningProxy
from tests.contract.passing import Pair
from tests.contract.target import answer, replying
from tests.contract.wire import Response


def relayed(proxy: RunningProxy, make_target: MakeTarget, *fields: Pair) -> Response:
    """Return what the client gets when the target answers with `fields`."""
    proxy.add("/x", make_target(replying(answer(200, b"hello", *fields))).url)
    return proxy.get("/x")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Type", 'text/html; charset="utf-8"'),
        ("Content-Encoding", "br"),
        ("Content-Security-Policy", "frame-ancestors 'self'; report-uri /x"),
        ("Cache-Control", "no-cache, no-store"),
        ("Date", "Tue, 15 Nov 1994 08:12:31 GMT"),
        ("ETag", 'W/"abc"'),
        ("Server", "TornadoServer/6.4"),
        ("Vary", "Accept, Cookie"),
        ("X-Odd_name.1", "odd"),
        ("X-Latin", "caf\u00e9"),
        ("X-Empty", ""),
        ("WWW-Authenticate", 'Basic realm="x"'),
    ],
)
def test_end_to_end_headers_go_through(
    proxy: RunningProxy, make_target: MakeTarget, name: str, value: str
) -> None:
    assert relayed(proxy, make_target, (name, value)).all(name) == [value]


def test_cookies_are_kept_apart_and_in_order(proxy: RunningProxy, make_target: MakeTarget) -> None:
    cookies = ["a=1; Path=/; Expires=Tue, 15 Nov 2044 08:12:31 GMT", "b=2; HttpOnly", "a=3"]
    response = relayed(proxy, make_target, *[("Set-Cookie", cookie) for cookie in cookies])
    assert response.all("Set-Cookie") == cookies


def test_a_cookies_domain_and_path_are_left_alone(
    proxy: RunningProxy, make_target: MakeTarget
) -> None:
    cookie = "a=1; Domain=backend.example.org; Path=/user/x"
    assert relayed(proxy, make_target, ("Set-Cookie", cookie)).all("Set-Cookie") == [cookie]


def test_other_repeated_headers_keep_all_their_values(
    proxy: RunningProxy, make_target: MakeTarget
) -> None:
    response = relayed(proxy, make_target, ("Vary", "Accept"), ("X-A", "-"), ("Vary", "Cookie"))
    assert response.get("Vary") == "Accept, Cookie"


def test_the_order_of_headers_is_kept(proxy: RunningProxy, make_target: MakeTarget) -> None:
    given = [(f"X-{letter}", letter) for letter in "ZAMBY"]
    names = [name for name in relayed(proxy, make_target, *given).names if len(name) == 3]
    assert names == ["x-z", "x-a", "x-m", "x-b", "x-y"]


@better("it writes names in lower case")
def test_names_keep_their_case(proxy: RunningProxy, make_target: MakeTarget) -> None:
    assert b"\r\nX-CamelCase: 1\r\n" in relayed(proxy, make_target, ("X-CamelCase", "1")).raw


def test_nothing_of_the_proxys_own_is_added(proxy: RunningProxy, make_target: MakeTarget) -> None:
    names = set(relayed(proxy, make_target, ("X-One", "1")).names)
    assert names <= {"content-length", "x-one", "date", "connection", "keep-alive"}


def test_the_targets_date_is_not_doubled(proxy: RunningProxy, make_target: MakeTarget) -> None:
    given = "Tue, 15 Nov 1994 08:12:31 GMT"
    assert relayed(proxy, make_target, ("Date", given)).all("Date") == [given]


@better("it lets them through")
@pytest.mark.parametrize(
    ("name", "value"), [("Keep-Alive", "timeout=1234"), ("Proxy-Connection", "keep-alive")]
)
def test_hop_by_hop_headers_stay_behind(
    proxy: RunningProxy, make_target: MakeTarget, name: str, value: str
) -> None:
    assert value not in relayed(proxy, make_target, (name, value)).all(name)


@better("it lets them through")
def test_a_header_named_by_connection_stays_behind(
    proxy: RunningProxy, make_target: MakeTarget
) -> None:
    response = relayed(proxy, make_target, ("Connection", "X-Hop"), ("X-Hop", "1"))
    assert response.get("X-Hop") is None


@better("it leaves the client waiting for ever", hangs=True)
def test_trailer_is_dropped(proxy: RunningProxy, make_target: MakeTarget) -> None:
    response = relayed(proxy, make_target, ("Trailer", "X-Checksum"))
    assert (response.get("Trailer"), response.body) == (None, b"hello")


@better("it closes the client's connection as well")
def test_a_target_that_closes_does_not_close_the_clients_connection(
    proxy: RunningProxy, make_target: MakeTarget
) -> None:
    proxy.add("/x", make_target(replying(answer(200, b"", ("Connection", "close")))).url)
    with proxy.connect() as client:
        assert client.ask("/x").status == 200
        assert client.ask("/x").status == 200
