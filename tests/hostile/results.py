"""Plays the whole corpus against the command in CONTRACT_COMMAND and writes what happened.

    CONTRACT_COMMAND=configurable-http-proxy python -m tests.hostile.results FILE.json

Without CONTRACT_COMMAND it is hubgate's own drop-in command.
"""

import contextlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.hostile import corpus, replies, stage
from tests.hostile.entry import Door, Entry
from tests.hostile.finding import Finding, of_reply, of_request
from tests.hostile.reply import Reply
from tests.hostile.stage import Stage
from tests.hostile.victims import Stand

Results = dict[str, dict[str, tuple[str, str]]]
Play = Callable[[Stage], tuple[Finding, str]]

PATIENCE = 2.0
"""Seconds that a proxy has for an answer: it may be one that leaves clients hanging."""

_INSIDE = (Door.INSIDE_TLS, Door.TLS_PORT)


class Run:
    """Runs the proxy, again whenever a message has ended it."""

    def __init__(self, secure: bool, folder: Path) -> None:
        self._make = stage.secure if secure else stage.drop_in
        self._folder = folder
        self._running = contextlib.ExitStack()
        self._stage: Stage | None = None

    def play(self, play: Play) -> tuple[Finding, str]:
        """Play one thing; a proxy that is gone afterwards has harmed everybody."""
        if self._stage is None:
            self._stage = self._running.enter_context(self._make(self._folder))
        try:
            return play(self._stage)
        except (ConnectionError, TimeoutError) as error:
            self.stop()
            return Finding.OTHERS, f"the proxy was gone: {error}"

    def stop(self) -> None:
        """Stop the proxy and its targets."""
        self._running.close()
        self._stage = None


def request(entry: Entry) -> Play:
    """Return a function that plays `entry`."""

    def play(on: Stage) -> tuple[Finding, str]:
        door = Door.DROP_IN if entry.door is Door.PUBLIC else entry.door
        return of_request(entry, on.player(door, PATIENCE).play(entry))

    return play


def reply(hostile: Reply) -> Play:
    """Return a function that plays `hostile`."""

    def play(on: Stage) -> tuple[Finding, str]:
        stand = Stand(on.doors[Door.DROP_IN], on.recorder, PATIENCE)
        try:
            return of_reply(stand.objections(hostile))
        finally:
            stand.close()

    return play


def play_all(folder: Path) -> Results:
    """Play everything that a drop-in command can be asked; return findings by topic and name."""
    found: Results = {}
    plain, secure = Run(False, folder), Run(True, folder)
    try:
        for topic, entries in corpus.TOPICS.items():
            for entry in entries:
                if entry.door is not Door.NATIVE:
                    run = secure if entry.door in _INSIDE else plain
                    finding, why = run.play(request(entry))
                    found.setdefault(topic, {})[entry.name] = (finding.name, why)
        for topic, hostile in replies.TOPICS.items():
            for each in hostile:
                finding, why = plain.play(reply(each))
                found.setdefault(topic, {})[each.name] = (finding.name, why)
    finally:
        plain.stop()
        secure.stop()
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        Path(sys.argv[1]).write_text(json.dumps(play_all(Path(scratch)), indent=1))
