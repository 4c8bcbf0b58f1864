"""What moves a route's last_activity, and what does not."""

import pytest

from tests.contract.activity import Witness, last
from tests.contract.conftest import MakeTarget
from tests.contract.harness import RunningProxy
from tests.contract.ports import free_port
from tests.contract.target import Connection, Target, answer, replying


@pytest.fixture
def good(make_target: MakeTarget) -> Target:
    return make_target()


@pytest.mark.parametrize("status", [200, 201, 204, 206, 299])
def test_a_response_below_300_counts(
    proxy: RunningProxy, make_target: MakeTarget, good: Target, status: int
) -> None:
    witness = Witness(proxy, make_target(replying(answer(status, b"", length=status != 204))), good)
    assert proxy.get("/x").status == status
    assert witness.moved()


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 400, 401, 403, 404, 429, 500, 503])
def test_a_response_of_300_or_more_does_not_count(
    proxy: RunningProxy, make_target: MakeTarget, good: Target, status: int
) -> None:
    witness = Witness(proxy, make_target(replying(answer(status, b""))), good)
    assert proxy.get("/x").status == status
    assert witness.stayed()


@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_request_body_data_counts_whatever_the_answer(
    proxy: RunningProxy, make_target: MakeTarget, good: Target, status: int
) -> None:
    witness = Witness(proxy, make_target(replying(answer(status, b""))), good)
    with proxy.connect() as client:
        assert client.ask("/x", method="POST", body=b"data").status == status
    assert witness.moved()


def test_request_body_data_counts_before_the_response(
    proxy: RunningProxy, make_target: MakeTarget, good: Target
) -> None:
    def waiting(connection: Connection) -> None:
        connection.read_request(body=False)
        connection.read_exactly(4)
        connection.closes()

    witness = Witness(proxy, make_target(waiting), good)
    with proxy.connect() as client:
        client.start("/x", ("Content-Length", "1000"), method="POST", body=b"data")
        assert witness.moved()


def test_an_empty_body_is_no_data(
    proxy: RunningProxy, make_target: MakeTarget, good: Target
) -> None:
    witness = Witness(proxy, make_target(replying(answer(404, b""))), good)
    with proxy.connect() as client:
        assert client.ask("/x", method="POST", body=b"").status == 404
    assert witness.stayed()


def test_the_start_of_a_response_does_not_count(
    proxy: RunningProxy, make_target: MakeTarget, good: Target
) -> None:
    def unfinished(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 Fine\r\nContent-Length: 9\r\n\r\nhello")
        connection.closes()

    witness = Witness(proxy, make_target(unfinished), good)
    with proxy.connect() as client:
        client.start("/x")
        client.read_head()
        assert client.read_exactly(5) == b"hello"
        assert witness.stayed()


def test_a_dead_target_does_not_count(
    proxy: RunningProxy, make_target: MakeTarget, good: Target
) -> None:
    # A port that the kernel chooses may be another's as soon as it is free.
    dead = make_target(address=("127.0.0.1", free_port()))
    dead.stop()
    witness = Witness(proxy, dead, good)
    assert [proxy.get("/x").status for _ in range(3)] == [503] * 3
    assert witness.stayed()


def test_only_the_route_that_matched_counts(
    proxy: RunningProxy, target: Target, good: Target
) -> None:
    witness = Witness(proxy, target, good)
    proxy.add("/x/deeper", good.url)
    assert proxy.get("/x/deeper/y").status == 200
    assert witness.stayed()


def test_reading_the_table_does_not_count(
    proxy: RunningProxy, target: Target, good: Target
) -> None:
    witness = Witness(proxy, target, good)
    for _ in range(3):
        proxy.routes()
        proxy.call("GET", "/api/routes/x")
    assert witness.stayed()


def test_activity_never_goes_back(proxy: RunningProxy, target: Target) -> None:
    proxy.add("/x", target.url)
    seen = []
    for _ in range(20):
        proxy.get("/x")
        seen.append(last(proxy, "/x"))
    assert seen == sorted(seen)
