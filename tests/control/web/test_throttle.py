"""Throttle over real connections: slow for those who keep trying, and for nobody else."""

import asyncio
import logging
import time

import pytest

from hubgate.control.web import failed_attempts as failed_attempts_module
from hubgate.control.web import throttle as throttle_module
from hubgate.control.web.failed_attempts import FREE
from hubgate.tasks import spawn
from tests.control.serving import Answer, Api, serving

pytestmark = pytest.mark.real_time

TOKEN = "s3cret"


async def timed(api: Api, token: str) -> tuple[int, float]:
    begun = time.monotonic()
    answer = await api.ask("GET", "/api/routes", token=token)
    return answer.status, time.monotonic() - begun


async def test_who_keeps_trying_waits_and_a_right_token_never_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Longer than in earnest, so that a busy machine does not hide the difference.
    monkeypatch.setattr(failed_attempts_module, "FORGIVEN", 1e9)
    monkeypatch.setattr(failed_attempts_module, "STEP", 4.0)
    monkeypatch.setattr(failed_attempts_module, "LONGEST", 4.0)
    async with serving(token=TOKEN) as api:
        free = await asyncio.gather(*(timed(api, f"wrong-{n}") for n in range(FREE)))
        slow = [spawn(timed(api, "wrong"), "a wrong token") for _ in range(20)]
        rights = await asyncio.gather(*(timed(api, TOKEN) for _ in range(10)))
        assert not any(task.done() for task in slow), "right tokens came after the wrong ones"
        assert {status for status, _ in rights} == {200}
        assert {status for status, _ in (*free, *await asyncio.gather(*slow))} == {403}
        assert all(task.result()[1] > 1.0 for task in slow)


async def test_beyond_the_most_that_wait_the_answer_is_429_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(throttle_module, "MOST_WAITING", 3)
    monkeypatch.setattr(failed_attempts_module, "FREE", 0)
    monkeypatch.setattr(failed_attempts_module, "STEP", 6.0)
    monkeypatch.setattr(failed_attempts_module, "LONGEST", 6.0)
    async with serving(token=TOKEN) as api:
        answers: list[Answer] = await asyncio.gather(
            *(api.ask("GET", "/api/routes", token="wrong") for _ in range(8))
        )
        assert sorted(answer.status for answer in answers) == [403] * 3 + [429] * 5
        hurried = next(answer for answer in answers if answer.status == 429)
        assert hurried.headers["retry-after"] == "1"
        assert (await api.ask("GET", "/api/routes", token=TOKEN)).status == 200
        monkeypatch.setattr(failed_attempts_module, "LONGEST", 0.1)
        assert (await api.ask("GET", "/api/routes", token="wrong")).status == 403


async def test_a_storm_is_a_line_a_second(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving(token=TOKEN) as api:
        begun = time.monotonic()
        await asyncio.gather(
            *(api.ask("GET", f"/api/routes/{n}", token="hush-hush") for n in range(30))
        )
        while "more before it" not in caplog.text:
            await api.ask("GET", "/api/routes", token="hush-hush")
        lasted = time.monotonic() - begun
    lines = [line for line in caplog.messages if line.startswith("403")]
    assert 2 <= len(lines) <= 2 + lasted
    assert "a wrong token, from 127.0.0.1" in lines[0]
    assert "hush" not in caplog.text
