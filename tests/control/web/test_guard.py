"""One guard for every page of the API's port: who fails on one page is slowed on all."""

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hubgate.control.web import failed_attempts as failed_attempts_module
from hubgate.control.web import throttle as throttle_module
from hubgate.control.web.failed_attempts import FREE
from tests.control.launched import SETTINGS, call, launched
from tests.control.serving import serving

TOKEN = "s3cret"

# The last one does not exist, which nobody learns without the token.
PAGES = ("/api/routes", "/api/reload", "/api/upgrade", "/api/nothing")
OPEN_PAGES = ("/", "/api/openapi.json")

# Run before hubgate starts: nothing is forgiven, and who would have to wait is sent away.
HARSH = """
from hubgate.control.web import failed_attempts as failed_attempts_module
from hubgate.control.web import throttle as throttle_module
failed_attempts_module.FORGIVEN, throttle_module.MOST_WAITING = 1e9, 0
"""


@pytest.fixture
def harsh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is forgiven, and who would have to wait is sent away with 429."""
    monkeypatch.setattr(failed_attempts_module, "FORGIVEN", 1e9)
    monkeypatch.setattr(throttle_module, "MOST_WAITING", 0)


@pytest.mark.usefixtures("harsh")
@pytest.mark.parametrize("first", PAGES)
async def test_who_fails_on_one_page_is_slowed_on_every_other(first: str) -> None:
    async with serving(token=TOKEN) as api:
        for _ in range(FREE):
            assert (await api.ask("GET", first, token="wrong")).status == 403
        for page in PAGES:
            assert (await api.ask("GET", page, token="wrong")).status == 429


@pytest.mark.usefixtures("harsh")
async def test_failures_are_counted_over_all_pages_together() -> None:
    async with serving(token=TOKEN) as api:
        for page in itertools.islice(itertools.cycle(PAGES), FREE):
            assert (await api.ask("GET", page, token="wrong")).status == 403
        assert (await api.ask("GET", PAGES[0], token="wrong")).status == 429


@pytest.mark.usefixtures("harsh")
async def test_a_right_token_and_an_open_page_never_wait() -> None:
    async with serving(token=TOKEN) as api:
        for _ in range(2 * FREE):
            await api.ask("GET", "/api/routes", token="wrong")
        found = [(await api.ask("GET", page, token=TOKEN)).status for page in PAGES]
        assert found == [200, 405, 200, 404]
        assert {(await api.ask("GET", page)).status for page in OPEN_PAGES} == {200}


async def test_another_token_counts_on_every_page_from_the_next_request_on() -> None:
    async with serving(token=TOKEN) as api:
        api.guard.replace("another", (), ())
        for page in PAGES:
            assert (await api.ask("GET", page, token=TOKEN)).status == 403
            assert (await api.ask("GET", page, token="another")).status != 403


@pytest.mark.processes
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_running_hubgate_has_one_guard(tmp_path: Path) -> None:
    async with launched(tmp_path, replace(SETTINGS, api_token=TOKEN), HARSH) as hubgate:
        await hubgate.serving()
        for _ in range(FREE):
            assert (await call(hubgate.api_port, "GET", "/api/routes")).status == 403
        assert (await call(hubgate.api_port, "GET", "/api/upgrade")).status == 429
