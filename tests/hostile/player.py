"""Plays an entry: sends its bytes, reads what comes back, looks at what the targets got."""

import itertools
import re
import time
from dataclasses import dataclass, replace
from functools import partial

from tests.hostile.answers import Answer
from tests.hostile.canonical import NotCanonical
from tests.hostile.conversation import Conversation, Port
from tests.hostile.entry import Door, End, Entry, HalfClose, Outcome, Pause, Step, UntilSeen
from tests.hostile.recorder import Mark, Recorder, Sighting
from tests.hostile.stream import Record

_WAYS = {
    "hub": (b"/", b"hub"),
    "alice": (b"/user/alice/", b"hub"),
    "bob": (b"/user/bob/", b"hub"),
    "docs": (b"/docs/", b"hub"),
    "inner": (b"/", b"inner.example.org"),
}
"""Under which path and host each target is reached."""

NOT_KEPT = "the target's connection was not kept"

_TLS_ALERT = b"\x15\x03"
_OURS = re.compile(rb"/(probe|canary)/[0-9]+$")
_numbers = itertools.count()


@dataclass(frozen=True)
class Observation:
    """All that happened. `troubles` are things that may never happen, whatever the entry."""

    answers: tuple[Answer, ...]
    end: End
    sighting: Sighting
    tunnel: bytes = b""
    troubles: tuple[str, ...] = ()


class Player:
    """Plays entries at one port; the routes lead to `recorder`'s targets.

    `others` is the port where another client asks when it is not the same one.
    """

    def __init__(
        self, port: Port, recorder: Recorder, patience: float = 15.0, others: Port | None = None
    ) -> None:
        self._port = port
        self._others = others or port
        self._recorder = recorder
        self._patience = patience

    def play(self, entry: Entry) -> Observation:
        """Send the entry's bytes and return everything that happened."""
        mark = self._recorder.mark()
        talk = Conversation(self._port, self._patience)
        try:
            for step in entry.steps:
                self._take(talk, step, mark)
            observation = self._read(talk, entry, mark)
        finally:
            talk.close()
        return self._with_canary(observation, mark)

    def _take(self, talk: Conversation, step: Step, mark: Mark) -> None:
        if isinstance(step, bytes):
            talk.send(step)
        elif isinstance(step, Pause):
            time.sleep(step.seconds)
        elif isinstance(step, HalfClose):
            talk.half_close()
        elif isinstance(step, UntilSeen):
            talk.wait(partial(self._recorder.got, mark, step.data))

    def _read(self, talk: Conversation, entry: Entry, mark: Mark) -> Observation:
        answers: list[Answer] = []
        try:
            while not _complete(entry.outcomes, answers):
                answer = talk.answer(entry.bodiless)
                if answer is None:
                    break
                answers.append(answer)
                if answer.status == 101:
                    return self._read_tunnel(talk, answers, entry, mark)
        except NotCanonical as error:
            if entry.door is not Door.TLS_PORT or not talk.buffer.startswith(_TLS_ALERT):
                return Observation((), End.CLOSED, self._recorder.since(mark), b"", (f"{error}",))
            while not talk.ended and not talk.timed_out:
                talk.receive()
        sighting = self._recorder.since(mark)
        if talk.timed_out:
            return Observation(tuple(answers), End.HUNG, sighting)
        if talk.ended:
            return Observation(tuple(answers), End.CLOSED, sighting)
        return Observation(tuple(answers), End.KEPT, sighting, b"", self._probe(talk))

    def _read_tunnel(
        self, talk: Conversation, answers: list[Answer], entry: Entry, mark: Mark
    ) -> Observation:
        """Read the tunnel's echo as far as any outcome says it goes."""
        wanted = max(len(outcome.tunnel or b"") for outcome in entry.outcomes)
        while len(talk.buffer) < wanted and not talk.ended and not talk.timed_out:
            talk.receive()
        sighting = self._recorder.since(mark)
        return Observation(tuple(answers), End.CLOSED, sighting, talk.buffer)

    def _probe(self, talk: Conversation) -> tuple[str, ...]:
        """Ask again on the connection that was kept: the answer has to be this request's."""
        return self._ask(talk, "hub", b"probe", "the next request")[1]

    def _ask(
        self, talk: Conversation, at: str, word: bytes, who: str
    ) -> tuple[Record | None, tuple[str, ...]]:
        """Ask target `at` for a path of `word` and a number; return its record, or why not."""
        mark = self._recorder.mark()
        prefix, host = _WAYS[at]
        end = b"%b/%d" % (word, next(_numbers))
        talk.send(b"GET %b%b HTTP/1.1\r\nHost: %b\r\n\r\n" % (prefix, end, host))
        try:
            answer = talk.answer()
        except NotCanonical as error:
            return None, (f"{who} got no proper answer: {error}",)
        if answer is None:
            return None, (f"{who} got no answer",)
        for record in self._recorder.since(mark).records:
            if record.request.path.endswith(b"/" + end) and answer.record == record.number:
                return record, ()
        text = f"{who} got {answer.status} {answer.body[:60]!r} instead of its own answer"
        return None, (text,)

    def _with_canary(self, observation: Observation, mark: Mark) -> Observation:
        """Ask on a fresh connection, the way of the last request if any came through."""
        records = observation.sighting.records
        talk = Conversation(self._others, self._patience)
        try:
            at = records[-1].at if records else "hub"
            canary, troubles = self._ask(talk, at, b"canary", "another client")
        finally:
            talk.close()
        kept = observation.end is End.KEPT and _answered_last(observation)
        if canary and kept and canary.connection != records[-1].connection:
            troubles = (NOT_KEPT, *troubles)
        sighting = self._recorder.since(mark)
        return replace(
            observation,
            sighting=_without_ours(sighting),
            troubles=(*observation.troubles, *troubles, *sighting.violations),
        )


def _answered_last(observation: Observation) -> bool:
    """Say whether the last answer is the target's to the last request."""
    records, answers = observation.sighting.records, observation.answers
    return bool(records and answers) and answers[-1].record == records[-1].number


def _complete(outcomes: tuple[Outcome, ...], answers: list[Answer]) -> bool:
    """Say whether an outcome that keeps the connection has all its answers."""
    if answers and answers[-1].says_close:
        return False
    statuses = [answer.status for answer in answers]
    return any(
        outcome.end is End.KEPT
        and len(outcome.answers) == len(statuses)
        and all(status in good for status, good in zip(statuses, outcome.answers, strict=True))
        for outcome in outcomes
    )


def _without_ours(sighting: Sighting) -> Sighting:
    """Leave out the probes and canaries that the player sent itself."""
    kept = [each for each in sighting.records if not _OURS.search(each.request.path)]
    return replace(sighting, records=tuple(kept))
