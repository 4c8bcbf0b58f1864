"""Time limits of a request, and what does not count against them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hubgate.dataplane.forwarding.time_limits import Expired, TimeLimits, any_time_limit
from hubgate.model import Timeouts
from hubgate.tasks import spawn
from tests.dataplane.conftest import StartFront
from tests.dataplane.peers import ANSWER, Target, flood, watch_of
from tests.dataplane.wire import request, response


class Timer:
    """A callback that is due at `when`."""

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class HandWound:
    """As much of an event loop as a TimeLimits uses; its time, in seconds, goes on by hand."""

    def __init__(self) -> None:
        self._now = 0.0
        self._timers: list[Timer] = []

    def time(self) -> float:
        return self._now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(when, callback)
        self._timers.append(timer)
        return timer

    def go_on_to(self, now: float) -> None:
        """Let it be `now` and call what is due."""
        self._now = now
        due = [timer for timer in self._timers if timer.when <= now]
        self._timers = [timer for timer in self._timers if timer.when > now]
        for timer in due:
            if not timer.cancelled:
                timer.callback()


def watching(timeouts: Timeouts) -> tuple[HandWound, list[Expired], TimeLimits]:
    """Return a loop at 0 seconds, what has expired on it, and the watch that says so."""
    loop: Any = HandWound()
    expired: list[Expired] = []
    return loop, expired, TimeLimits(loop, timeouts, expired.append)


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
    assert any_time_limit(timeouts) is watched


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
def test_the_first_limit_that_passes_is_named_once(timeouts: Timeouts, limit: Expired) -> None:
    loop, expired, _ = watching(timeouts)
    loop.go_on_to(0.05)
    assert not expired

    loop.go_on_to(0.15)
    assert expired == [limit]
    loop.go_on_to(60)
    assert expired == [limit]


def test_a_request_that_is_over_never_expires() -> None:
    loop, expired, watch = watching(Timeouts(total=0.05))
    watch.cancel()
    loop.go_on_to(60)

    assert not expired


def test_what_moves_puts_a_limit_off_but_for_the_total() -> None:
    loop, expired, watch = watching(Timeouts(response=2, request=2, total=3))
    for tenth in range(1, 30):
        loop.go_on_to(tenth / 10)
        watch.moved()
    assert not expired
    loop.go_on_to(3.1)

    assert expired == [Expired.TOTAL]


async def test_a_long_upload_is_no_silence_of_the_target(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(timeouts=Timeouts(response=30))
    front.route("/", target.url)
    client = await front.client()
    await client.send(request("PUT", "/", "Content-Length: 5"))
    wire = await target.accept()
    await wire.read_head()
    watch = watch_of(front)
    for _ in range(5):
        before = watch._upstream = asyncio.get_running_loop().time() - 20
        await client.send(b"x")
        assert await wire.read_exactly(1) == b"x"
        assert watch._upstream > before
    await wire.send(ANSWER)

    assert (await client.read_response()).status == 200


@pytest.mark.real_time
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


@pytest.mark.real_time
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


@pytest.mark.real_time
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
    assert "dropped GET /a no data moved on the client's connection for too long" in caplog.text
    assert "secret" not in caplog.text
