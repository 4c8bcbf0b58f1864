"""One round of reports serves everybody who waits for it."""

import asyncio

import pytest

from hubgate.control.routes import report_refresh as report_refresh_module
from hubgate.control.routes.report_refresh import ReportRefresh
from hubgate.tasks import spawn
from tests.control.recording import RecordingWorkers


async def test_concurrent_callers_share_a_round() -> None:
    workers = RecordingWorkers()
    workers.gate.clear()
    fresh = ReportRefresh(workers)
    waiting = [spawn(fresh.refresh(), "refresh") for _ in range(20)]
    await asyncio.sleep(0)
    workers.gate.set()
    await asyncio.gather(*waiting)
    assert workers.collected == 1
    await fresh.refresh()
    assert workers.collected == 2


async def test_a_caller_that_leaves_does_not_end_the_round_of_the_others() -> None:
    workers = RecordingWorkers()
    workers.gate.clear()
    fresh = ReportRefresh(workers)
    leaving, staying = (spawn(fresh.refresh(), "refresh") for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    assert not staying.done()
    workers.gate.set()
    await staying
    assert workers.collected == 1


async def test_workers_that_do_not_report_are_not_waited_for_in_vain(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(report_refresh_module, "REFRESH_TIMEOUT", 0.05)
    workers = RecordingWorkers()
    workers.gate.clear()
    async with asyncio.timeout(30):
        await ReportRefresh(workers).refresh()
    assert "no fresh reports" in caplog.text


async def test_a_failing_round_is_logged_and_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(RecordingWorkers):
        async def collect(self) -> None:
            raise OSError("the link is gone")

    await ReportRefresh(Failing()).refresh()
    assert "the link is gone" in caplog.text
