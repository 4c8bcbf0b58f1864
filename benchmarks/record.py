"""What has been measured so far, on the disk after every figure."""

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
    """Figures, row → contender → values; `notes` says what a reader must know about them.

    A run that is stopped leaves what it had.
    """

    def __init__(self, about: Mapping[str, Any], path: Path = PATH) -> None:
        self.result: dict[str, Any] = {**about, "figures": {}, "notes": {}, "cores": {}}
        self._path = path
        self._begun = time.monotonic()

    def go_on_from(self, earlier: Mapping[str, Any]) -> None:
        """Keep an earlier run's rows until they are measured anew."""
        for part in ("figures", "notes", "cores"):
            self.result[part] = {**earlier.get(part, {})}

    def forget(self, keys: Iterable[str]) -> None:
        """Drop what an earlier run said of these rows."""
        for key in keys:
            for part in ("figures", "notes", "cores"):
                self.result[part].pop(key, None)

    def add(self, key: str, contender: str, value: float) -> None:
        """Keep one more figure."""
        taken = self.result["figures"].setdefault(key, {}).setdefault(contender, [])
        taken.append(value)
        row = ROWS[key]
        median = statistics.median(taken)
        say(f"  {contender:8} {row.title(self.result['scale'])}: "
            f"{value:.4g} {row.unit} (median {median:.4g})")  # fmt: skip
        self.write()

    def add_cores(self, key: str, contender: str, cores: Mapping[str, float]) -> None:
        """Keep how busy the cores were while a figure was taken, and how much was done."""
        self.result["cores"].setdefault(key, {}).setdefault(contender, []).append(dict(cores))

    def note(self, key: str, contender: str, text: str) -> None:
        """Keep a remark, once."""
        notes = self.result["notes"].setdefault(key, {}).setdefault(contender, [])
        if text not in notes:
            notes.append(text)
        say(f"  {contender:8} {key}: {text}")

    @contextlib.contextmanager
    def attempt(self, keys: Iterable[str], contender: str) -> Iterator[None]:
        """Let whatever fails inside cost no more than these figures."""
        try:
            yield
        except Exception as error:
            first = (str(error).splitlines() or [""])[0]
            for key in keys:
                self.note(key, contender, f"failed: {type(error).__name__}: {first}"[:200])
            self.write()

    def write(self) -> None:
        """Put everything on the disk."""
        self.result["minutes"] = round((time.monotonic() - self._begun) / 60, 1)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".part")
        draft.write_text(json.dumps(self.result, indent=1))
        draft.replace(self._path)


def say(text: str) -> None:
    """Tell whoever watches the run."""
    print(text, file=sys.stderr, flush=True)
