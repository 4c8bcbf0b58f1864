"""What a front has written to its access log, in JSON."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.dataplane.peers import Front, until


@dataclass
class LogText:
    """A file that is being written to by somebody else."""

    path: Path

    def read(self) -> str:
        """Return all that is in it."""
        return self.path.read_text()

    def rotate(self) -> None:
        """Give it another name."""
        self.path.rename(self.path.with_suffix(".1"))


async def lines(front: Front, log: LogText, count: int) -> list[dict[str, Any]]:
    """Wait until everybody has left; return the lines, of which there must be `count`."""
    await until(lambda: front.open == 0, "everybody has left")
    front.plane.access_log.flush()
    await front.plane.access_log.settle()
    found = [json.loads(line) for line in log.read().splitlines()]
    assert len(found) == count, found
    return found


async def only(front: Front, log: LogText) -> dict[str, Any]:
    """Wait until everybody has left; return the only line."""
    return (await lines(front, log, 1))[0]


def has(line: dict[str, Any], **fields: Any) -> bool:
    """Say whether a line has these fields; fail with the difference."""
    assert {name: line[name] for name in fields} == fields
    return True
