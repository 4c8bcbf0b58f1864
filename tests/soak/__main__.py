"""`python -m tests.soak SECONDS`: mixed traffic for a while, then nothing may have grown.

Two hubgates are soaked, one of them over TLS, each with two workers.
"""

import asyncio
import contextlib
import random
import ssl
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import fmean

import uvloop

from hubgate.tasks import spawn
from tests.certificates.made import Files, make_files
from tests.soak.actors import ACTORS, GET, Stage, read_answer
from tests.soak.targets import Target
from tests.system.served import Served, serving

ALLOWED = 1.10
# For what an actor does in all, on a machine that may be busy with other things.
PATIENCE = 180.0
SAMPLES = 10
Actor = Callable[[Stage], Awaitable[None]]
Use = dict[str, int]


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


def use(served: Served) -> Use:
    """Return what all processes hold: proportional memory in KiB, descriptors."""
    processes = [served.process, *served.workers]
    memory = sum(each.memory_full_info().pss for each in processes) // 1024
    return {"memory in KiB": memory, "descriptors": served.descriptors}


async def usual(served: Served, pause: float) -> Use:
    """Return the mean of a few looks: who is there at one moment is chance."""
    looks = []
    for _ in range(SAMPLES):
        looks.append(use(served))
        await asyncio.sleep(pause)
    return {name: round(fmean(each[name] for each in looks)) for name in looks[0]}


async def emptied(served: Served, before: Use) -> Use:
    """Wait until as many descriptors are open as before anybody came; return what is."""
    end = time.monotonic() + PATIENCE
    while True:
        now = use(served)
        if now["descriptors"] <= before["descriptors"] or time.monotonic() > end:
            return now
        await asyncio.sleep(1)


async def set_up(served: Served, tls: ssl.SSLContext | None) -> Stage:
    """Start targets and add their routes."""
    stage = Stage(served.port, tls, [Target() for _ in range(4)], [Target() for _ in range(3)])
    for kind, targets in (("steady", stage.steady), ("shaky", stage.shaky)):
        for number, target in enumerate(targets):
            await target.start()
            url = f"http://127.0.0.1:{target.port}"
            await asyncio.to_thread(served.add, f"/{kind}/{number}", url)
    return stage


async def run(served: Served, stage: Stage, seconds: float) -> tuple[Use, Use]:
    """Have all at it for a while; return what is used early, and at the end."""
    begun = time.monotonic()
    until = begun + seconds

    def say(use: Use) -> None:
        done = ", ".join(f"{count} {what}" for what, count in stage.done.items())
        print(f"{stage} after {time.monotonic() - begun:.0f} s: {use}; {done}", flush=True)

    tasks = [spawn(act(actor, stage, until), actor.__name__) for actor, n in ACTORS.items()
             for _ in range(n)]  # fmt: skip
    tasks += [spawn(shake(stage, until), "shake"), spawn(change(served, stage, until), "change")]
    pause = min(1.0, seconds / 8 / SAMPLES)
    await asyncio.sleep(min(60.0, seconds / 4))
    early = await usual(served, pause)
    say(early)
    await asyncio.sleep(max(0.0, until - time.monotonic() - 1 - SAMPLES * pause))
    late = await usual(served, pause)
    say(late)
    # Whoever holds a tunnel to a shaky target is told by its death that it is over.
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0.5)
        if time.monotonic() > until:
            await asyncio.gather(*(target.stop() for target in stage.shaky))
    await asyncio.gather(*tasks)
    return early, late


async def soak(served: Served, tls: ssl.SSLContext | None, seconds: float) -> list[str]:
    """Run everything at one hubgate; return what is wrong."""
    stage = await set_up(served, tls)
    before = use(served)
    early, late = await run(served, stage, seconds)
    await asyncio.gather(*(target.stop() for target in stage.steady))
    left = await emptied(served, before)
    print(f"{stage} before: {before}, when all had left: {left}", flush=True)
    wrong = [
        f"{what} went from {early[what]} to {late[what]}"
        for what in early
        if late[what] > early[what] * ALLOWED
    ]
    if left["descriptors"] > before["descriptors"]:
        wrong.append(f"descriptors: {before} before, {left} when all had left")
    return [f"{stage}: {what}" for what in (*stage.faults, *wrong)]


async def soak_both(plain: Served, secure: Served, files: Files, seconds: float) -> list[str]:
    """Soak both at the same time."""
    context = ssl.create_default_context(cafile=files.ca)
    wrong = await asyncio.gather(soak(plain, None, seconds), soak(secure, context, seconds))
    return [line for lines in wrong for line in lines]


def faults(log: list[str]) -> list[str]:
    """Return what a log tells of our own faults, each with what stands around it."""
    return [
        "\n  ".join(log[max(0, number - 3) : number + 20])
        for number, line in enumerate(log)
        if "Traceback" in line or "fault in" in line
    ]


def main() -> int:
    """Soak two hubgates with two workers each."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as running:
        folders = [Path(name, kind) for kind in ("plain", "tls")]
        for folder in folders:
            folder.mkdir()
        files = make_files(Path(name))
        tls = ("--host", "127.0.0.1", "--tls-cert", files.cert, "--tls-key", files.key)
        plain = running.enter_context(serving(folders[0], "--workers", "2"))
        secure = running.enter_context(serving(folders[1], "--workers", "2", *tls))
        wrong = uvloop.run(soak_both(plain, secure, files, seconds))
        logs = [(folder / "serve.log").read_text() for folder in folders]
    wrong += faults("".join(logs).splitlines())
    for line in wrong:
        print(f"wrong: {line}")
    print("nothing grew, nothing failed unprovoked" if not wrong else f"{len(wrong)} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
