"""Two upgrades under all that wrk can ask, with 500 tunnels: nothing fails, nothing breaks."""

import asyncio
import sys
from pathlib import Path

import pytest

import hubgate
from hubgate.tasks import spawn
from tests.system.load import Tunnels
from tests.system.served import serving
from tests.system.upgrading import Code, upgrade
from tests.system.wrk import WRK, page_target, wrk

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="counts a worker's sockets"),
    pytest.mark.skipif(WRK is None, reason="wrk is not installed"),
    pytest.mark.timeout(600),
]

TUNNELS = 500
SECONDS = 5


async def ask_during(url: str, upgraded: "asyncio.Task[tuple[int, str]]") -> list[str]:
    """Run wrk, again if need be, until it has outlasted an upgrade; return what went wrong."""
    wrong: list[str] = []
    while True:
        answered, errors = await wrk(url, SECONDS)
        assert answered > 100
        wrong += errors
        if upgraded.done():
            return wrong


async def test_wrk_and_500_tunnels_notice_nothing(code: Code, target: str, tmp_path: Path) -> None:
    tunnels = Tunnels(pause=0.5)
    (tmp_path / "routes.yaml").write_text("workers: 2\n")
    async with page_target() as page:
        with serving(tmp_path) as served:
            await asyncio.to_thread(served.add, "/user", target)
            await asyncio.to_thread(served.add, "/page", page)
            await tunnels.open(served.port, TUNNELS)
            try:
                for release, successor in ((hubgate.__version__, "7.7.7"), ("7.7.7", "8.8.8")):
                    code.install(successor)
                    upgraded = spawn(upgrade(served, after=1.0), "upgrade")
                    wrong = await ask_during(f"http://127.0.0.1:{served.port}/page", upgraded)
                    assert await upgraded == (0, f"upgraded from {release} to {successor}\n")
                    assert wrong == []
                await tunnels.more()
                assert not tunnels.broken
                assert len(tunnels.messages) == TUNNELS
                assert len(served.workers) > 2, "tunnels live on in workers of before"
            finally:
                await tunnels.close()
