"""One request after the other on the same connections, and answers in the order asked."""

import pytest

from hubgate.dataplane.downstream.state import DownstreamState
from tests.dataplane.conftest import StartTarget
from tests.dataplane.peers import ANSWER, Front, Target, echo, flood, hello, until
from tests.dataplane.wire import Wire, chunked, request, response

GET = request("GET", "/")


async def test_both_sides_stay_open(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    for number in range(20):
        await wire.read_request()
        await wire.send(response(200, body=b"%d" % number))
        got = await client.read_response()
        assert got.body == b"%d" % number
        assert got.get("connection") is None
        await client.send(GET)

    assert target.accepted == 1


async def test_clients_share_a_targets_connections(front: Front, start_target: StartTarget) -> None:
    target = await start_target(hello)
    front.route("/", target.url)
    for _ in range(10):
        assert (await front.ask("GET", "/")).body == b"hello"

    assert target.accepted == 1


@pytest.mark.parametrize("line", ["Connection: close", "connection: CLOSE", "Connection: x, close"])
async def test_a_client_that_asks_for_it_is_closed(
    front: Front, start_target: StartTarget, line: str
) -> None:
    target = await start_target(hello)
    front.route("/", target.url)
    client = await front.client()
    await client.send(request("GET", "/", line))
    got = await client.read_response()
    assert got.get("connection") == "close"
    assert await client.ending() == "end"

    # The target's connection is not the client's.
    assert (await front.ask("GET", "/")).status == 200
    assert target.accepted == 1


async def test_http_10_closes(front: Front, start_target: StartTarget) -> None:
    target = await start_target(hello)
    front.route("/", target.url)
    client = await front.client()
    await client.send(b"GET / HTTP/1.0\r\n\r\n")

    assert (await client.read_response()).get("connection") == "close"
    assert await client.ending() == "end"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        response(200, "Connection: close", body=b"hello"),
    ],
)
async def test_a_target_that_says_close_is_not_asked_again(
    joined: Front, target: Target, answer: bytes
) -> None:
    client = await joined.client()
    for _ in range(2):
        await client.send(GET)
        wire = await target.accept()
        await wire.read_request()
        await wire.send(answer)
        assert (await client.read_response()).body == b"hello"
        assert await wire.ending() in ("end", "reset")

    assert target.accepted == 2


async def test_a_request_that_comes_in_pieces(front: Front, start_target: StartTarget) -> None:
    target = await start_target(echo)
    front.route("/", target.url)
    client = await front.client()
    for byte in request("POST", "/a", body=b"data"):
        await client.send(bytes([byte]))

    assert (await client.read_response()).body.endswith(b"\n\ndata")


# --- pipelining ------------------------------------------------------------------------------


async def test_pipelined_requests_are_answered_in_order(
    front: Front, start_target: StartTarget
) -> None:
    target = await start_target(echo)
    front.route("/", target.url)
    client = await front.client()
    sent = [
        request("GET", "/0"),
        request("POST", "/1", body=b"one"),
        request("POST", "/2", "Transfer-Encoding: chunked") + chunked(b"t", b"wo"),
        request("GET", "/_chp_healthz"),
        request("DELETE", "/4"),
    ]
    await client.send(b"".join(sent))
    got = [await client.read_response() for _ in sent]

    assert [answer.body.partition(b" HTTP")[0] for answer in got] == [
        b"GET /0", b"POST /1", b"POST /2", b'{"status": "OK"}', b"DELETE /4",
    ]  # fmt: skip
    assert got[1].body.endswith(b"\n\none")
    assert got[2].body.endswith(b"\n\ntwo")
    assert target.accepted == 1


async def test_a_slow_answer_holds_up_the_following_ones(
    front: Front, target: Target, start_target: StartTarget
) -> None:
    quick = await start_target(hello)
    front.route("/slow", target.url)
    front.route("/quick", quick.url)
    client = await front.client()
    await client.send(request("GET", "/slow") + request("GET", "/quick") + request("GET", "/none"))
    wire = await target.accept()
    await wire.read_request()
    assert quick.accepted == 0

    await wire.send(response(200, body=b"slow"))
    assert (await client.read_response()).body == b"slow"
    assert (await client.read_response()).body == b"hello"
    assert (await client.read_response()).status == 404


@pytest.mark.parametrize("path", ["/a", "/_chp_healthz", "/none"])
async def test_a_thousand_pipelined_requests(
    front: Front, start_target: StartTarget, path: str
) -> None:
    target = await start_target(echo)
    front.route("/a", target.url)
    client = await front.client()
    await client.send(b"".join(request("GET", f"{path}?{number}") for number in range(1000)))
    for number in range(1000):
        got = await client.read_response()
        if path == "/a":
            assert got.body.startswith(b"GET /a?%d HTTP" % number)
        else:
            assert got.status in (200, 404)


async def test_pipelined_requests_that_do_not_fit_a_read(
    front: Front, start_target: StartTarget
) -> None:
    target = await start_target(echo)
    front.route("/", target.url)
    client = await front.client()
    padding = "X-Padding: " + "p" * 10000
    for number in range(100):
        await client.send(request("POST", f"/{number}", padding, body=b"d" * 10000))
    for number in range(100):
        got = await client.read_response()
        assert got.body.startswith(b"POST /%d HTTP" % number)
        assert got.body.endswith(b"\n" + b"d" * 10000)


async def test_a_flood_of_requests_is_not_read_ahead(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await flood(client, GET * 10000, 1 << 26)
    (connection,) = joined.plane._listener.clients
    assert len(connection._reader.requests) * len(GET) < 1 << 19

    await wire.send(ANSWER)
    assert (await client.read_response()).body == b"hello"


async def test_a_request_after_the_last_one_is_not_served(
    front: Front, start_target: StartTarget
) -> None:
    target = await start_target(hello)
    front.route("/", target.url)
    client = await front.client()
    await client.send(request("GET", "/", "Connection: close") + request("GET", "/more"))

    assert (await client.read_response()).get("connection") == "close"
    assert await client.ending() == "end"


@pytest.mark.parametrize("bad", [b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", b"\x00\x01\x02"])
async def test_answers_before_a_malformed_request_still_come(
    joined: Front, target: Target, bad: bytes
) -> None:
    client = await joined.client()
    await client.send(GET + request("GET", "/_chp_healthz") + bad + GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(ANSWER)

    assert (await client.read_response()).body == b"hello"
    assert (await client.read_response()).status == 200
    got = await client.read_response()
    assert got.status == 400
    assert got.get("connection") == "close"
    assert await client.ending() == "end"
    assert target.accepted == 1


async def test_a_pipelined_upgrade_waits_for_its_turn(joined: Front, target: Target) -> None:
    client = await joined.client()
    upgrade = request("GET", "/ws", "Connection: Upgrade", "Upgrade: x")
    await client.send(GET + upgrade + b"early")
    wire = await target.accept()
    await wire.read_request()
    await wire.send(ANSWER)
    assert (await client.read_response()).body == b"hello"

    assert (await wire.read_request()).path == "/ws"
    await wire.send(b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nwelcome")
    assert (await client.read_response()).status == 101
    assert await client.read_exactly(7) == b"welcome"
    assert await wire.read_exactly(5) == b"early"


# --- how a client's connection stands --------------------------------------------------------


async def test_a_client_that_closes_while_idle_is_forgotten(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(request("GET", "/_chp_healthz"))
    await client.read_response()
    assert joined.open == 1
    client.close()
    await until(lambda: joined.open == 0, "the connection is gone")


async def test_a_client_is_idle_between_requests(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    (connection,) = joined.plane._listener.clients
    assert connection.state is DownstreamState.BUSY

    await wire.send(ANSWER)
    await client.read_response()
    assert connection.state is DownstreamState.IDLE


async def settle(wire: Wire) -> None:
    """Wait until the data plane has seen everything that was sent on `wire`."""
    await wire.send(request("GET", "/_chp_healthz"))
    await wire.read_response()


async def test_connections_that_never_ask_cost_nothing_but_themselves(joined: Front) -> None:
    silent = [await joined.client() for _ in range(200)]
    await settle(await joined.client())
    await until(lambda: joined.open == 201, "all are there")
    for wire in silent:
        wire.close()
    await until(lambda: joined.open == 1, "all are gone")


async def test_who_asked_to_go_on_does_not_lose_its_answer_to_a_reset(
    joined: Front, target: Target
) -> None:
    kept = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    client = await joined.client()
    await client.send(kept)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, "Transfer-Encoding: chunked", body=None) + chunked(b"hello"))
    assert await client.read_until(b"hello")
    await client.send(kept)
    assert await client.ending() == "end"


@pytest.mark.parametrize("path", ["/none", "/_chp_healthz"])
async def test_an_old_client_is_told_how_our_own_answers_end(front: Front, path: str) -> None:
    client = await front.client()
    await client.send(f"GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".encode())
    assert (await client.read_response()).get("connection") == "close"
    assert await client.read_rest() == b""
