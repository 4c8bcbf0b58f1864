"""Plays hostile replies while other clients ask for something else through the same route."""

import itertools
from dataclasses import dataclass

from tests.hostile.answers import Answer
from tests.hostile.canonical import NotCanonical
from tests.hostile.conversation import Conversation, Port
from tests.hostile.recorder import Recorder
from tests.hostile.reply import Broken, Got, Reply, Sending

_PATH = b"/reply"
_numbers = itertools.count()


@dataclass(frozen=True)
class Result:
    """What the asking client got: an answer, or None when the connection broke."""

    answer: Answer | None
    hung: bool = False
    malformed: str = ""


class Bystanders:
    """Other clients: one whose connection lasts, and fresh ones."""

    def __init__(self, port: Port, recorder: Recorder, patience: float) -> None:
        self._port = port
        self._recorder = recorder
        self._patience = patience
        self._lasting = Conversation(port, patience)

    def objections(self, when: str) -> list[str]:
        """Ask on the lasting connection and on two fresh ones; say who got the wrong thing."""
        found = [self.ask(self._lasting, f"a client with an old connection, {when}")]
        for _ in range(2):
            talk = Conversation(self._port, self._patience)
            found.append(self.ask(talk, f"a new client, {when}"))
            talk.close()
        if found[0]:
            self._lasting.close()
            self._lasting = Conversation(self._port, self._patience)
        return [each for each in found if each]

    def ask(self, talk: Conversation, who: str) -> str:
        """Ask; return what is wrong with the answer, or nothing."""
        path = b"/bystander/%d" % next(_numbers)
        mark = self._recorder.mark()
        talk.send(b"GET %b HTTP/1.1\r\nHost: hub\r\n\r\n" % path)
        try:
            answer = talk.answer()
        except NotCanonical as error:
            return f"{who}: {error}"
        if answer is None:
            return f"{who}: no answer"
        own = [r for r in self._recorder.since(mark).records if r.request.path == path]
        if answer.status != 200 or len(own) != 1 or answer.record != own[0].number:
            return f"{who}: {answer.status} {answer.body[:60]!r} is not its own answer"
        return ""

    def close(self) -> None:
        """Close the lasting connection."""
        self._lasting.close()


class Stand:
    """Plays replies through one port, with bystanders around."""

    def __init__(self, port: Port, recorder: Recorder, patience: float = 15.0) -> None:
        self._port = port
        self._recorder = recorder
        self._patience = patience
        self._bystanders = Bystanders(port, recorder, patience)

    def objections(self, reply: Reply) -> list[str]:
        """Play `reply`; return what went wrong with its own client and with all others."""
        sending = Sending(reply.pieces)
        self._recorder.reply(_PATH, sending)
        mark = self._recorder.mark()
        talk = Conversation(self._port, self._patience)
        try:
            talk.send(reply.ask)
            talk.wait(lambda: self._recorder.got(mark, _PATH))
            found = self._bystanders.objections("meanwhile") if reply.long else []
            _hear(talk, reply)
            sending.heard.set()
            result = _result(talk, reply)
            # What comes unasked has to come before anybody asks: else it is the target's answer.
            sending.done.wait(self._patience)
            found += _against(reply, result)
            if result.answer is not None and not _closes(result.answer):
                talk.send(reply.rest)
                found += self._follow_up(talk)
        finally:
            talk.close()
        return [*found, *self._bystanders.objections("afterwards")]

    def _follow_up(self, talk: Conversation) -> list[str]:
        """Ask again on the same connection: its own answer, or none if it is closed by now."""
        objection = self._bystanders.ask(talk, "the next request of the same client")
        return [] if not objection or (talk.ended and not talk.buffer) else [objection]

    def close(self) -> None:
        """Send the bystanders home."""
        self._bystanders.close()


def _closes(answer: Answer) -> bool:
    return answer.status == 101 or answer.ended_by_close or answer.says_close


def _hear(talk: Conversation, reply: Reply) -> None:
    """Receive what the target waits for."""
    while reply.heard not in talk.buffer and not talk.ended and not talk.timed_out:
        talk.receive()


def _result(talk: Conversation, reply: Reply) -> Result:
    try:
        answer = talk.answer(reply.bodiless)
    except NotCanonical as error:
        return Result(None, malformed=str(error))
    return Result(answer, hung=answer is None and talk.timed_out)


def _against(reply: Reply, result: Result) -> list[str]:
    if result.malformed:
        return [f"the client got no proper answer: {result.malformed}"]
    if result.hung:
        return ["the client was left hanging"]
    for outcome in reply.outcomes:
        if isinstance(outcome, Broken) and result.answer is None:
            return []
        if isinstance(outcome, Got) and result.answer is not None and _fits(outcome, result.answer):
            return []
    return [f"the client got {_text(result.answer)}"]


def _fits(outcome: Got, answer: Answer) -> bool:
    return (
        answer.status in outcome.statuses
        and outcome.body in (None, answer.body)
        and not any(answer.all(name) for name in outcome.absent)
    )


def _text(answer: Answer | None) -> str:
    if answer is None:
        return "a broken connection"
    return f"{answer.status} {answer.fields} {answer.body[:80]!r}"
