"""What goes on in a soak beside the traffic itself."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from tests.soak.attackers import attack
from tests.soak.stage import GET, Stage, read_answer
from tests.system.served import Served

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


async def change(served: Served, stage: Stage, until: float) -> None:
    """Add routes, go to each at once, and remove them again."""
    while time.monotonic() < until:
        path = f"/passing/{random.randrange(200)}"
        url = f"http://127.0.0.1:{stage.steady[0].port}"
        added = await asyncio.to_thread(served.call, "POST", f"/api/routes{path}", {"target": url})
        reader, writer = await stage.connect()
        writer.write(GET % path.encode())
        status, _ = await read_answer(reader)
        writer.close()
        removed = await asyncio.to_thread(served.call, "DELETE", f"/api/routes{path}")
        if (added, status, removed) != (201, 200, 204):
            stage.fault(f"a route that came and went gave {added}, {status} and {removed}")
        stage.done["routes"] += 1
        await asyncio.sleep(0.05)
