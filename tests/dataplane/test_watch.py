"""Time limits of a request, and what does not count against them."""

import asyncio

import pytest

from proxy.dataplane.watch import Expired, Watch, watches
from proxy.model import Timeouts
from proxy.tasks import spawn
from tests.dataplane.conftest import StartFront
from tests.dataplane.peers import ANSWER, Target, flood, until
from tests.dataplane.wire import request, response


@pytest.mark.parametrize(
    ("timeouts", "watched"),
    [
        (Timeouts(), False),
        (Timeouts(response=1), True),
        (Timeouts(request=1), True),
        (Timeouts(total=1), True),
        (Timeouts(head=1, body=1, keep_alive=1), False),
    ],
)
def test_without_limits_nothing_is_watched(timeouts: Timeouts, watched: bool) -> None:
    assert watches(timeouts) is watched


@pytest.mark.parametrize(
    ("timeouts", "limit"),
    [
        (Timeouts(response=0.1), Expired.RESPONSE),
        (Timeouts(request=0.1), Expired.REQUEST),
        (Timeouts(total=0.1), Expired.TOTAL),
        (Timeouts(response=30, request=0.1, total=30), Expired.REQUEST),
        (Timeouts(response=0.1, request=30, total=30), Expired.RESPONSE),
    ],
)
async def test_the_first_limit_that_passes_is_named_once(
    timeouts: Timeouts, limit: Expired
) -> None:
    expired: list[Expired] = []
    Watch(asyncio.get_running_loop(), timeouts, expired.append)
    await until(lambda: expired, "it expires")
    await asyncio.sleep(0.3)

    assert expired == [limit]


async def test_a_request_that_is_over_never_expires() -> None:
    expired: list[Expired] = []
    Watch(asyncio.get_running_loop(), Timeouts(total=0.05), expired.append).cancel()
    await asyncio.sleep(0.3)

    assert not expired


async def test_what_moves_puts_a_limit_off_but_for_the_total() -> None:
    expired: list[Expired] = []
    watch = Watch(
        asyncio.get_running_loop(), Timeouts(response=2, request=2, total=3), expired.append
    )
    for _ in range(20):
        watch.moved()
        await asyncio.sleep(0.1)
    assert not expired
    while not expired:
        watch.moved()
        await asyncio.sleep(0.1)

    assert expired == [Expired.TOTAL]


async def test_a_long_upload_is_no_silence_of_the_target(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(timeouts=Timeouts(response=1.5))
    front.route("/", target.url)
    client = await front.client()
    await client.send(request("PUT", "/", "Content-Length: 30"))
    wire = await target.accept()
    await wire.read_head()
    for _ in range(30):
        await client.send(b"x")
        assert await wire.read_exactly(1) == b"x"
        await asyncio.sleep(0.1)
    await wire.send(ANSWER)

    assert (await client.read_response()).status == 200


async def test_a_client_that_reads_slowly_is_no_silence_of_the_target(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(timeouts=Timeouts(response=0.3))
    front.route("/", target.url)
    client = await front.client()
    await client.send(request("GET", "/"))
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, body=None))
    sent = await flood(wire, bytes(1 << 20), 64 << 20)
    await asyncio.sleep(1.0)
    wire.close()

    await client.read_head()
    assert len(await client.read_chunked()) == sent


async def test_a_target_that_does_not_read_is_silent(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(timeouts=Timeouts(response=0.5))
    front.route("/", target.url)
    client = await front.client()
    await client.send(request("PUT", "/", "Content-Length: 1000000000"))
    await target.accept()
    spawn(client.send(bytes(32 << 20)), "an upload")

    assert (await client.read_response()).status == 503


async def test_a_client_on_which_nothing_moves_is_dropped(
    start_front: StartFront, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    front = await start_front(timeouts=Timeouts(request=0.3))
    front.route("/", target.url)
    client = await front.client()
    await client.send(request("GET", "/a?token=secret"))
    wire = await target.accept()
    await wire.read_request()

    assert await client.ending() == "reset"
    assert await wire.ending() in ("end", "reset")
    assert "dropped GET /a nothing moved on the client's connection for too long" in caplog.text
    assert "secret" not in caplog.text
