"""Histories of the shared table: which of several states is the one to go on with.

A revision says something only within its history. A history begins when Redis has come back, as
its data may then be older, or none; it continues some revision of one before. The same facts are
on both sides: in Redis (`Meta`) and in each hubgate that follows it (`Held`).
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_REMEMBERED = 50


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A revision of a history. Later histories have higher numbers; `id` tells equal ones apart."""

    number: int
    revision: int
    id: str


@dataclass(frozen=True, slots=True)
class Step:
    """A history in a lineage: it continues `parent`'s revision `base`."""

    number: int
    id: str
    parent: str
    base: int


@dataclass(frozen=True, slots=True)
class Meta:
    """What Redis says of the table; `history` is "" if there is none.

    `began` is the run id of the Redis on which the history began, `run` that of the one asked now.
    What was changed in this history has a later version than `since`.
    """

    history: str
    began: str
    run: str
    revision: int
    whole: bool
    lineage: tuple[Step, ...] = ()
    format: int = 0
    since: int = 0

    @property
    def point(self) -> Point | None:
        """Where Redis stands; None if it has no table."""
        return point_of(self.history, self.revision) if self.history else None

    def continues(self, history: str, revision: int) -> bool:
        """Return whether that history goes on here, with nothing of it lost."""
        return (
            self.history == history
            and self.began == self.run
            and self.revision >= revision
            and self.whole
        )


def point_of(history: str, revision: int) -> Point:
    """Return the point of a history by its name, "NUMBER-ID"."""
    number, _, name = history.partition("-")
    return Point(int(number), revision, name)


def next_history(number: int) -> str:
    """Return the name of a new history after that number."""
    return f"{number + 1}-{secrets.token_hex(8)}"


def lineage_text(lineage: Sequence[Step]) -> str:
    """Return a lineage as Redis keeps it."""
    return json.dumps([[s.number, s.id, s.parent, s.base] for s in lineage[-_REMEMBERED:]])


def lineage_of(text: str) -> tuple[Step, ...]:
    """Return the lineage in a text of `lineage_text`."""
    return tuple(Step(*row) for row in json.loads(text)) if text else ()


def continued(lineage: Sequence[Step], parent: str, base: int, history: str) -> tuple[Step, ...]:
    """Return the lineage with one more history."""
    return (*lineage, Step(point_of(history, 0).number, history, parent, base))


def kept_up_to(ours: str, own: Sequence[Step], theirs: Sequence[Step]) -> int | None:
    """Return up to which revision of `ours` the lineage `theirs` goes on with; None if nothing.

    What came later in our history has not reached Redis's.
    """
    known = {step.id: step for step in theirs}
    chain = [ours, *(step.parent for step in reversed(own) if step.parent)]
    bases = {step.parent: step.base for step in theirs}
    limit: int | None = None
    for history in chain:
        if history in bases:
            base = bases[history]
            return base if limit is None else min(base, limit)
        mine = next((step for step in own if step.id == history), None)
        if history in known:
            return limit
        limit = mine.base if mine is not None else limit
    return None


def winner(claims: Mapping[str, Point], stored: Point | None) -> str:
    """Return whose state goes on: a name of `claims`, or "" for what Redis has.

    The highest revision of the newest history; Redis's own if nobody has more.
    """
    best = max(claims, key=lambda name: (claims[name], name), default="")
    if not best or (stored is not None and stored >= claims[best]):
        return ""
    return best
