"""Busy is not hung: beside clients that send without end, a worker answers whoever asks it."""

import asyncio
from pathlib import Path

import pytest

from hubgate.tasks import spawn
from tests.system.served import serving

ATTACKERS, CHANGES = 16, 10
PIPELINE = b"GET /none HTTP/1.1\r\nHost: hub\r\n\r\n" * 2000
PATIENCE = 5.0
"""Seconds for one answer of the supervisor, which asks the worker; without turns it takes ten."""


async def attack(port: int) -> None:
    """Send requests without end, and drop what is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while True:
            writer.write(PIPELINE)
            await asyncio.gather(writer.drain(), reader.read(1 << 20))
    finally:
        writer.transport.abort()


@pytest.mark.processes
async def test_the_supervisor_is_answered_whatever_the_load(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "127.0.0.1") as served:
        workers = [worker.pid for worker in served.workers]
        attackers = [spawn(attack(served.port), "attack") for _ in range(ATTACKERS)]
        await asyncio.sleep(1)
        for number in range(CHANGES):
            async with asyncio.timeout(PATIENCE):
                await asyncio.to_thread(served.add, f"/user/{number}", "http://127.0.0.1:9")
        async with asyncio.timeout(PATIENCE):
            assert await asyncio.to_thread(served.call, "GET", "/api/routes") == 200
        for attacker in attackers:
            attacker.cancel()
        await asyncio.gather(*attackers, return_exceptions=True)
        assert [worker.pid for worker in served.workers] == workers
