"""A clock of the time of day that a test may put forward and back; the machine's is not touched."""

import time
from pathlib import Path

import pytest

CUSTOMIZE = """
import time
from pathlib import Path

_real, _ahead = time.time, Path({path!r})
time.time = lambda: _real() + float(_ahead.read_text())
"""


class SetClock:
    """What `time.time` says in this process while `monkeypatch` holds: it is `ahead` by seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + self.ahead)


class ProcessClock:
    """The time of day in processes that are started with its `environment`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "ahead"
        self.put(0.0)
        (folder / "sitecustomize.py").write_text(CUSTOMIZE.format(path=str(self._file)))
        self.environment = {"PYTHONPATH": str(folder)}

    def put(self, ahead: float) -> None:
        """Set it to so many seconds ahead of the machine's."""
        new = self._file.with_suffix(".new")
        new.write_text(str(ahead))
        new.replace(self._file)
