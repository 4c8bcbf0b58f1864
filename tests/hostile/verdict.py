"""Says whether what happened is one of an entry's acceptable outcomes, and else why not."""

from collections.abc import Iterator

from tests.hostile.entry import Entry, Outcome, Seen
from tests.hostile.player import Observation
from tests.hostile.stream import Record


def objections(entry: Entry, observation: Observation) -> list[str]:
    """Return nothing if all is well, else what speaks against the nearest outcome."""
    against = [list(_against(outcome, observation)) for outcome in entry.outcomes]
    return [*observation.troubles, *min(against, key=len)]


def _against(outcome: Outcome, observation: Observation) -> Iterator[str]:
    sighting, answers = observation.sighting, observation.answers
    records = _in_order(observation)
    statuses = [answer.status for answer in answers]
    expected = [sorted(good) for good in outcome.answers]
    if len(statuses) != len(expected) or any(
        status not in good for status, good in zip(statuses, expected, strict=True)
    ):
        yield f"answers {statuses} instead of {expected}"
    if observation.end is not outcome.end:
        yield f"the connection was {observation.end.value}, not {outcome.end.value}"
    if len(sighting.records) != len(outcome.seen):
        lines = [record.request.line for record in sighting.records]
        yield f"the targets got {lines} instead of {len(outcome.seen)} requests"
    else:
        for record, seen in zip(records, outcome.seen, strict=True):
            yield from _differences(record, seen)
    if sighting.begun and not outcome.begun:
        yield f"a target got the beginning {sighting.begun[0][:200]!r}"
    own = {record.number for record in records}
    if any(each.status in (101, 200) and each.record not in own for each in answers):
        yield "an answer belongs to another request"
    if outcome.tunnel is not None and sighting.tunnels != (outcome.tunnel,):
        yield f"the tunnel carried {sighting.tunnels!r}"


def _in_order(observation: Observation) -> list[Record]:
    """Return the requests in the order of their answers: which target saw which first is open."""
    records = {record.number: record for record in observation.sighting.records}
    answered = {answer.record for answer in observation.answers}
    others = [record for record in records.values() if record.number not in answered]
    ordered = []
    for answer in observation.answers:
        if answer.record in records:
            ordered.append(records.pop(answer.record))
        elif answer.status >= 500 and others:
            # The proxy's own answer to a request that its target spoiled.
            ordered.append(others.pop(0))
    return [*ordered, *others]


def _differences(record: Record, seen: Seen) -> Iterator[str]:
    request = record.request
    if record.at != seen.at:
        yield f"{request.line!r} went to {record.at} instead of {seen.at}"
    if request.line != seen.line:
        yield f"{request.line[:200]!r} instead of {seen.line[:200]!r}"
    if request.body != seen.body:
        yield f"the body {request.body[:200]!r} instead of {seen.body[:200]!r}"
    for name, value in seen.fields:
        if request.get(name) != value:
            yield f"{name.decode()}: {request.get(name)!r} instead of {value!r}"
