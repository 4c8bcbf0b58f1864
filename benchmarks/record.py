"""The figures measured so far, written to disk after each one."""

import contextlib
import json
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.catalogue import ROWS

PATH = Path("build/bench/results.json")


class Record:
    """Figures, row → contender → values; `notes` has what a reader must know about them.

    A run that is stopped keeps its figures so far.
    """

    def __init__(self, about: Mapping[str, Any], path: Path = PATH) -> None:
        self.result: dict[str, Any] = {**about, "figures": {}, "notes": {}, "cores": {}}
        self._path = path
        self._begun = time.monotonic()

    def go_on_from(self, earlier: Mapping[str, Any]) -> None:
        """Keep an earlier run's rows until they are measured again."""
        for part in ("figures", "notes", "cores"):
            self.result[part] = {**earlier.get(part, {})}

    def forget(self, keys: Iterable[str]) -> None:
        """Drop an earlier run's results for these rows."""
        for key in keys:
            for part in ("figures", "notes", "cores"):
                self.result[part].pop(key, None)

    def add(self, key: str, contender: str, value: float) -> None:
        """Add a figure."""
        taken = self.result["figures"].setdefault(key, {}).setdefault(contender, [])
        taken.append(value)
        row = ROWS[key]
        median = statistics.median(taken)
        say(f"  {contender:8} {row.title(self.result['scale'])}: "
            f"{value:.4g} {row.unit} (median {median:.4g})")  # fmt: skip
        self.write()

    def add_cores(self, key: str, contender: str, cores: Mapping[str, float]) -> None:
        """Add how busy the cores were while a figure was measured, and how much was done."""
        self.result["cores"].setdefault(key, {}).setdefault(contender, []).append(dict(cores))

    def note(self, key: str, contender: str, text: str) -> None:
        """Add a remark, once."""
        notes = self.result["notes"].setdefault(key, {}).setdefault(contender, [])
        if text not in notes:
            notes.append(text)
        say(f"  {contender:8} {key}: {text}")

    @contextlib.contextmanager
    def attempt(self, keys: Iterable[str], contender: str) -> Iterator[None]:
        """Turn a failure inside into a note on these figures, so that the run goes on."""
        try:
            yield
        except Exception as error:
            first = (str(error).splitlines() or [""])[0]
            for key in keys:
                self.note(key, contender, f"failed: {type(error).__name__}: {first}"[:200])
            self.write()

    def write(self) -> None:
        """Write everything to disk."""
        self.result["minutes"] = round((time.monotonic() - self._begun) / 60, 1)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".part")
        draft.write_text(json.dumps(self.result, indent=1))
        draft.replace(self._path)


def say(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr, flush=True)
