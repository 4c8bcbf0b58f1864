"""`python -m tests.soak SECONDS`: mixed traffic for a while, then nothing may have grown."""

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from proxy.tasks import spawn
from tests.soak.actors import ACTORS, Stage
from tests.soak.targets import Target
from tests.system.served import Served, serving

ALLOWED = 1.10
PATIENCE = 60.0
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


async def shake(stage: Stage, until: float) -> None:
    """Kill targets and bring them back."""
    while time.monotonic() < until:
        target = random.choice(stage.shaky)
        await (target.stop() if target.up else target.start())
        await asyncio.sleep(random.random())


async def change(served: Served, stage: Stage, until: float) -> None:
    """Add and remove routes all the time."""
    while time.monotonic() < until:
        path = f"/passing/{random.randrange(200)}"
        url = f"http://127.0.0.1:{stage.steady[0].port}"
        added = await asyncio.to_thread(served.call, "POST", f"/api/routes{path}", {"target": url})
        removed = await asyncio.to_thread(served.call, "DELETE", f"/api/routes{path}")
        if (added, removed) != (201, 204):
            stage.fault(f"the API answered {added} and {removed}")
        await asyncio.sleep(0.05)


def use(served: Served) -> dict[str, int]:
    """Return what all processes hold: proportional memory in KiB, descriptors."""
    processes = [served.process, *served.workers]
    memory = sum(each.memory_full_info().pss for each in processes) // 1024
    return {"memory in KiB": memory, "descriptors": served.descriptors}


async def soak(served: Served, seconds: float) -> list[str]:
    """Run everything; return what is wrong."""
    stage = Stage(served.port, [Target() for _ in range(4)], [Target() for _ in range(3)])
    for kind, targets in (("steady", stage.steady), ("shaky", stage.shaky)):
        for number, target in enumerate(targets):
            await target.start()
            await asyncio.to_thread(
                served.add, f"/{kind}/{number}", f"http://127.0.0.1:{target.port}"
            )
    begun = time.monotonic()
    until = begun + seconds
    tasks = [spawn(act(actor, stage, until), actor.__name__) for actor, n in ACTORS.items()
             for _ in range(n)]  # fmt: skip
    tasks += [spawn(shake(stage, until), "shake"), spawn(change(served, stage, until), "change")]
    await asyncio.sleep(min(60.0, seconds / 4))
    early = use(served)
    print(f"after {time.monotonic() - begun:.0f} s: {early}, {dict(stage.done)}", flush=True)
    await asyncio.sleep(max(0.0, until - time.monotonic() - 1))
    late = use(served)
    await asyncio.gather(*tasks)
    print(f"after {time.monotonic() - begun:.0f} s: {late}, {dict(stage.done)}", flush=True)
    for target in (*stage.steady, *stage.shaky):
        await target.stop()
    grown = [
        f"{name} went from {early[name]} to {late[name]}"
        for name in early
        if late[name] > early[name] * ALLOWED
    ]
    return [*stage.faults, *grown]


def main() -> int:
    """Soak a hubgate with two workers."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    with tempfile.TemporaryDirectory() as name, serving(Path(name), "--workers", "2") as served:
        wrong = uvloop.run(soak(served, seconds))
        log = (Path(name) / "serve.log").read_text()
    wrong += [line for line in log.splitlines() if "Traceback" in line or "fault in" in line]
    for line in wrong:
        print(f"wrong: {line}")
    print("nothing grew, nothing failed unprovoked" if not wrong else f"{len(wrong)} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
