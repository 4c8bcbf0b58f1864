"""Which settings keep an installed release from taking over, also one that has more of them."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest

from hubgate.control.upgrade import rehearsal
from hubgate.control.upgrade.memory_file import memory_file
from hubgate.errors import UpgradeError
from hubgate.model import Address
from hubgate.settings import Settings

Compare = Callable[[Settings, Settings], Awaitable[None]]
HEALTH = (Address("127.0.0.1", 8003),)
OWN = Settings(store="sqlite:/home/me/.local/state/hubgate/api-8001.routes.db", own_store=True)
# What a release without these settings compares.
EARLIER = ("listen", "listen.redirect_port", "api", "metrics", "store")


async def answered(settings: Settings) -> dict[str, Any]:
    """Return what a release with these settings answers."""
    with memory_file("answer") as file:
        await rehearsal.answer(settings, os.dup(file.fileno()))
        file.seek(0)
        found: dict[str, Any] = json.loads(file.read())
        return found


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> Compare:
    """Rehearse one release under another, each with its own settings."""
    monkeypatch.setattr(rehearsal.WorkerPool, "start", _no_workers)

    async def rehearse(running: Settings, installed: Settings) -> None:
        found = await answered(installed)

        async def run(answer: IO[bytes], _: IO[bytes]) -> int:
            answer.write(json.dumps(found).encode())
            return 0

        monkeypatch.setattr(rehearsal, "_run", run)
        await rehearsal.rehearse(running)

    return rehearse


async def _no_workers(*_: object) -> None:
    await asyncio.sleep(0)


async def test_an_earlier_release_knows_all_that_it_is_told(compare: Compare) -> None:
    """It had memory where nobody named a store, and no port for the health pages."""
    found = (await answered(OWN))["pinned"]
    assert "health" not in found
    before = rehearsal._pinned(Settings())
    assert {name: found[name] for name in EARLIER} == {name: before[name] for name in EARLIER}
    assert "health" in (await answered(replace(OWN, health=HEALTH)))["pinned"]


async def test_what_only_a_restart_changes_is_told(compare: Compare, tmp_path: Path) -> None:
    await compare(OWN, OWN)
    await compare(Settings(), OWN)
    await compare(replace(OWN, health=HEALTH), replace(OWN, health=HEALTH))
    named = replace(Settings(), store=f"sqlite:{tmp_path}/routes.db")
    for running, installed, name in (
        (OWN, replace(OWN, health=HEALTH), "health"),
        (replace(OWN, health=HEALTH), OWN, "health"),
        (OWN, named, "store"),
        (named, OWN, "store"),
    ):
        with pytest.raises(UpgradeError, match=f"^changed, and needs a restart: {name}$"):
            await compare(running, installed)
