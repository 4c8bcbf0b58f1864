"""Kept-alive clients of a slow target lose no request to a reload, an upgrade or a stop."""

import asyncio
import signal
import ssl
import sys
from pathlib import Path

import pytest

import hubgate
from tests.certificates.made import make_files
from tests.system.askers import Askers, head_first_target
from tests.system.served import Served, serving
from tests.system.upgrading import MINUTES, Code, upgrade

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="an upgrade is for Linux"),
    pytest.mark.timeout(600),
]

# A client that hears of its answer later than this cannot ask again in time.
LATE = 0.5


async def disturb(served: Served, askers: Askers, code: Code, folder: Path) -> None:
    """Reload, reconfigure, and upgrade to fewer workers and to more."""
    file = folder / "routes.yaml"
    settings = file.read_text()
    served.process.send_signal(signal.SIGHUP)
    await askers.more(200)
    file.write_text(settings + "timeouts: {keep_alive: 70}\n")
    served.process.send_signal(signal.SIGHUP)
    await askers.more(200)
    release = hubgate.__version__
    for workers, successor in ((1, "7.7.7"), (2, "8.8.8")):
        code.install(successor)
        file.write_text(f"workers: {workers}\n")
        said = f"upgraded from {release} to {successor}\n"
        assert await upgrade(served) == (0, said)
        release = successor
        await askers.more(300)


@pytest.mark.parametrize(
    ("clients", "secure"), [(16, True), (200, False)], ids=["16-tls", "200-cleartext"]
)
async def test_not_a_request_is_lost(
    code: Code, tmp_path: Path, clients: int, secure: bool
) -> None:
    (tmp_path / "routes.yaml").write_text("workers: 2\n")
    files = make_files(tmp_path)
    tls = ssl.create_default_context(cafile=files.ca) if secure else None
    flags = ("--tls-cert", files.cert, "--tls-key", files.key, "--host", "127.0.0.1")
    async with head_first_target() as target:
        with serving(tmp_path, *(flags if secure else ())) as served:
            await asyncio.to_thread(served.add, "/a", target)
            askers = Askers(served.port, tls)
            askers.start(clients)
            try:
                await askers.more(200)
                await disturb(served, askers, code, tmp_path)
                assert askers.failures == []
                askers.lag, askers.stopping = 0.0, True
                served.process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(served.process.wait, MINUTES) == 0
            finally:
                await askers.stop()
    assert askers.failures == [] or askers.lag > LATE
    print(f"{askers.answered} answers, late by {askers.lag:.3f} s at most")
