"""The figures so far, written to disk after each one, and how they are said in a line."""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.record import say

PATH = Path("build/strangers/results.json")


class Results:
    """Part → row → contender → figures. A run that is stopped keeps its figures so far."""

    def __init__(self, about: Mapping[str, Any], path: Path = PATH) -> None:
        self.found: dict[str, Any] = dict(about)
        self._path = path
        self._begun = time.monotonic()

    @property
    def minutes(self) -> float:
        """The run's time so far."""
        return (time.monotonic() - self._begun) / 60

    def go_on(self) -> None:
        """Keep the last run's figures until they are measured again."""
        if self._path.exists():
            earlier = json.loads(self._path.read_text())
            self.found = {**earlier, **self.found, "failed": []}

    def add(self, part: str, row: str, contender: str, figures: Any) -> None:
        """Set a contender's figures."""
        self.found.setdefault(part, {}).setdefault(row, {})[contender] = figures
        self.write()

    @contextlib.contextmanager
    def attempt(self, part: str, row: str, contender: str) -> Iterator[None]:
        """Turn a failure inside into a remark, so that the run goes on."""
        try:
            yield
        except Exception as error:
            first = (str(error).splitlines() or [""])[0]
            text = f"{type(error).__name__}: {first}"[:200]
            say(f"  {contender:8} {part} {row}: failed: {text}")
            self.found.setdefault("failed", []).append([part, row, contender, text])
            self.write()

    def write(self) -> None:
        """Write everything to disk."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".part")
        draft.write_text(json.dumps(self.found, indent=1))
        draft.replace(self._path)


def shown(figures: Mapping[str, Any]) -> str:
    """Return a bystander's figures in a line."""
    if "p99" not in figures:
        return f"all {figures['failed']} requests failed: {figures['how']}"
    return (
        f"p50 {figures['p50']:.1f}, p99 {figures['p99']:.1f}, max {figures['max']:.1f} ms;"
        f" {figures['requests']} requests, {figures['failed']} failed {figures['how'] or ''},"
        f" {figures['unanswered']} unanswered; {figures['lost']} processes lost;"
        f" {figures['mib']:+.1f} MiB; {did(figures['attack'])}"
    )


def did(attack: Mapping[str, int]) -> str:
    """Return what attackers did in a line."""
    return (
        f"sent {attack['sent'] / (1 << 20):.1f} MiB, received {attack['received'] / (1 << 20):.1f},"
        f" {attack['connected']} connections, {attack['refused']} refused"
    )
