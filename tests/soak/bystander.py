"""`python -m tests.soak.bystander PORT [CA]`: one honest user in a process of its own.

It serves a target, whose port is the first line that it prints, and asks for it through the
proxy on PORT once it has been sent a line. When it has been sent the end, it prints a JSON list of
pairs: when a request began (`time.monotonic`) and how long its answer took, both in seconds.
Whoever is busy in the soak's own process does not slow it down.
"""

import asyncio
import contextlib
import json
import ssl
import subprocess
import sys
import time
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import uvloop

from hubgate.tasks import spawn
from tests.soak.stage import GET, GONE, PUBLIC, Stage, read_answer
from tests.soak.targets import Target

ROUTE = "/bystander"
# How long it waits for one answer, and between two requests, in seconds; requests on a connection.
_PATIENCE = 30.0
_PAUSE = 0.05
_KEPT = 20

Taken = list[tuple[float, float]]


async def _watch(stage: Stage, taken: Taken) -> None:
    """Ask again and again."""
    while True:
        with contextlib.suppress(*GONE):
            await _ask(stage, taken)


async def _ask(stage: Stage, taken: Taken) -> None:
    """Ask several times on one connection; the first time includes connecting."""
    begun = time.monotonic()
    writer = None
    try:
        async with asyncio.timeout(_PATIENCE) as limit:
            reader, writer = await stage.connect()
            for _ in range(_KEPT):
                limit.reschedule(asyncio.get_running_loop().time() + _PATIENCE)
                writer.write(GET % f"{ROUTE}/page".encode())
                status, _ = await read_answer(reader)
                failed = status != 200
                taken.append((begun, _PATIENCE if failed else time.monotonic() - begun))
                await asyncio.sleep(_PAUSE)
                begun = time.monotonic()
    except TimeoutError:
        taken.append((begun, _PATIENCE))
    except GONE:
        # An answer that never comes is as bad as one that comes too late.
        taken.append((begun, _PATIENCE))
        await asyncio.sleep(_PAUSE)
    finally:
        if writer is not None:
            writer.transport.abort()


async def _main(port: int, ca: str | None) -> None:
    target = Target()
    await target.start()
    print(target.port, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    tls = None if ca is None else ssl.create_default_context(cafile=ca)
    taken: Taken = []
    watch = spawn(_watch(Stage({PUBLIC: port}, tls, [], []), taken), "watch")
    await asyncio.to_thread(sys.stdin.read)
    watch.cancel()
    print(json.dumps(taken))


@dataclass
class Bystander:
    """The process, as the soak sees it; `port` is its target's."""

    process: "subprocess.Popen[str]"
    port: int

    def begin(self) -> None:
        """Let it ask."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> Taken:
        """Let it stop; return what it has measured."""
        printed, _ = self.process.communicate(timeout=60)
        return [(begun, lasted) for begun, lasted in json.loads(printed)]


@contextlib.contextmanager
def standing_by(port: int, ca: str | None) -> Iterator[Bystander]:
    """Run a bystander in a process of its own."""
    command = [sys.executable, "-m", __name__, str(port), *([] if ca is None else [ca])]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            assert process.stdout is not None
            yield Bystander(process, int(process.stdout.readline()))
        finally:
            process.kill()


def split(taken: Taken, changes: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return what requests took in calm times and during attacks.

    `changes` are the times at which attacks began or ended, in turn; before the first it is calm.
    """
    kinds: tuple[list[float], list[float]] = [], []
    for begun, lasted in taken:
        kinds[bisect(changes, begun) % 2].append(lasted)
    return kinds


def p99(times: Sequence[float]) -> float:
    """Return what 99 of 100 requests took at most, in seconds; 0 if there were none."""
    return sorted(times)[len(times) * 99 // 100] if times else 0.0


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
