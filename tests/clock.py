"""A clock of the time of day that a test may put forward and back; the machine's is not touched."""

import time

import pytest


class SetClock:
    """What `time.time` says in this process while `monkeypatch` holds: it is `ahead` by seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + self.ahead)
