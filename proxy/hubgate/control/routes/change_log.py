"""The latest changes of the table, each with its revision: for ETags, and for who watches."""

import asyncio
import secrets
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from hubgate.errors import HubgateError
from hubgate.model import Route
from hubgate.routing.scope import EVERYTHING, Scope

KEPT = 10_000
"""Routes put and keys deleted that are remembered, over all changes."""

LARGEST = 1000
"""Those of one change; of a larger one it is only remembered that there was one."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One state of the table as the API shows it, activity apart.

    Numbers count up within a `history`, which is never that of another table, nor this one's after
    a restart.
    """

    history: str
    number: int

    def __str__(self) -> str:
        return f"{self.history}.{self.number}"

    @classmethod
    def parsed(cls, text: str) -> "Revision | None":
        """Return the revision that is written like this; None if none is."""
        history, _, number = text.rpartition(".")
        ascii_digits = number.isascii() and number.isdecimal() and len(number) < 20
        return cls(history, int(number)) if history and ascii_digits else None


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """What made the table the one of `revision`; the routes are as the API shows them."""

    revision: Revision
    put: tuple[Route, ...]
    delete: tuple[str, ...]


class MissedError(HubgateError):
    """The changes since a revision are not known; `too_slow` if they once were.

    Otherwise one was too large to be kept, or another history has begun.
    """

    def __init__(self, too_slow: bool) -> None:
        super().__init__("the changes since then are no longer known")
        self.too_slow = too_slow


class ChangeLog:
    """Numbers all changes and keeps the latest, for everybody: `kept` routes and keys of them.

    A shared store has a history and revisions of its own: it begins with those, and each `note`
    has its number.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.closed = False
        self._kept = kept
        self._changes: deque[LoggedChange] = deque()
        self._size = 0
        # Set at the next change; made by the first who waits for it.
        self._grown: asyncio.Event | None = None
        self.begin(secrets.token_hex(8), 0)

    def __repr__(self) -> str:
        return f"<ChangeLog at {self.revision}, {len(self._changes)} changes>"

    @property
    def revision(self) -> Revision:
        """The table's current one."""
        return self._revision

    def begin(self, history: str, number: int) -> None:
        """Begin a history: the table is as of `number` in it, and nothing before is known."""
        self._revision = Revision(history, number)
        self._forget(by_size=False)
        self._wake()

    def note(self, put: Iterable[Route], delete: Iterable[str], number: int | None = None) -> None:
        """Note a change, which was number so-and-so; by default the next."""
        self._advance(number)
        self._changes.append(LoggedChange(self._revision, tuple(put), tuple(delete)))
        self._size += _size(self._changes[-1])
        while self._size > self._kept:
            oldest = self._changes.popleft()
            self._size -= _size(oldest)
            self._known_since = oldest.revision.number
        self._wake()

    def note_large(self, number: int | None = None) -> None:
        """Note a change that is too large to be kept."""
        self._advance(number)
        self._forget(by_size=True)
        self._wake()

    def after(self, revision: Revision) -> Sequence[LoggedChange]:
        """Return every change since `revision`, the oldest first.

        Raises MissedError if not all of them are known, or it is of another history.
        """
        now = self._revision
        if revision.history != now.history or revision.number > now.number:
            raise MissedError(too_slow=False)
        if revision.number < self._known_since:
            raise MissedError(too_slow=revision.number >= self._large)
        return [each for each in self._changes if each.revision.number > revision.number]

    async def wait(self, seen: Revision, seconds: float) -> None:
        """Wait, so many seconds at most, until `seen` is not the current one, or it is closed."""
        if not self.closed and seen == self._revision:
            grown = self._grown = self._grown or asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(grown.wait(), seconds)

    def close(self) -> None:
        """Wake all that wait, for the last time."""
        self.closed = True
        self._wake()

    def _advance(self, number: int | None) -> None:
        number = self._revision.number + 1 if number is None else number
        self._revision = Revision(self._revision.history, number)

    def _forget(self, by_size: bool) -> None:
        self._changes.clear()
        self._size = 0
        self._known_since = self._revision.number
        self._large = self._revision.number if by_size else 0

    def _wake(self) -> None:
        if self._grown is not None:
            self._grown.set()
            self._grown = None


@dataclass(frozen=True, slots=True)
class SeenTable:
    """The revisions of which a client has seen the part of the table that is in its `scope`."""

    revisions: frozenset[str]
    scope: Scope = EVERYTHING

    def is_current(self, log: ChangeLog) -> bool:
        """Return whether nothing in the scope has changed since one of these revisions."""
        return any(self._is_unchanged(text, log) for text in self.revisions)

    def _is_unchanged(self, text: str, log: ChangeLog) -> bool:
        revision = Revision.parsed(text)
        try:
            changes = () if revision is None else log.after(revision)
        except MissedError:
            return False
        keys = (key for each in changes for key in (*each.delete, *(r.key for r in each.put)))
        return revision is not None and not any(map(self.scope.sees, keys))


def _size(change: LoggedChange) -> int:
    return len(change.put) + len(change.delete)
