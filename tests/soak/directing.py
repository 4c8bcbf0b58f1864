"""What goes on in a soak beside the traffic itself."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from tests.soak.attackers import attack
from tests.soak.stage import Stage

PATIENCE = 180.0
"""For what an actor does in all, on a machine that may be busy with other things, in seconds."""
# How long attacks go on, and how long it is calm between them, in seconds.
_TIDE = 20.0
Actor = Callable[[Stage], Awaitable[None]]


async def act(actor: Actor, stage: Stage, until: float) -> None:
    """Let one actor do its thing again and again."""
    while time.monotonic() < until:
        try:
            await asyncio.wait_for(actor(stage), PATIENCE)
            stage.done[actor.__name__] += 1
        except TimeoutError:
            stage.fault(f"{actor.__name__} waited for over {PATIENCE:g} s")
        except Exception as error:
            stage.fault(f"{actor.__name__}: {error!r}")
        await asyncio.sleep(random.random() / 20)


async def assail(attacker: Actor, stage: Stage, until: float) -> None:
    """Let one attacker strike again and again."""
    while time.monotonic() < until:
        await attack(attacker, stage)


async def turn_tides(stage: Stage, until: float, changes: list[float]) -> None:
    """Let attackers have their time and their rest in turn; note in `changes` when they do."""
    while time.monotonic() + 2 * _TIDE < until:
        await asyncio.sleep(_TIDE)
        changes.append(time.monotonic())
        stage.calm = not stage.calm
    if not stage.calm:
        stage.calm = True
        changes.append(time.monotonic())


async def shake(stage: Stage, until: float) -> None:
    """Kill targets and bring them back."""
    while time.monotonic() < until:
        target = random.choice(stage.shaky)
        await (target.stop() if target.up else target.start())
        stage.done["deaths"] += not target.up
        await asyncio.sleep(random.random())
