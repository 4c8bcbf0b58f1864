"""Sorts what happened to an entry or a reply into a few kinds, to compare proxies by."""

from enum import Enum

from tests.hostile.entry import End, Entry
from tests.hostile.player import NOT_KEPT, Observation
from tests.hostile.verdict import objections


class Finding(Enum):
    """What became of one hostile message, from good to bad."""

    RIGHT = "as required"
    REFUSED = "refused or answered in another way than required"
    HUNG = "left hanging"
    PASSED = "passed on in a form that was not acceptable"
    AMBIGUOUS = "passed on with framing that readers take differently"
    HIDDEN = "let a request through that hid behind a bad one"
    OWN = "gave its own client a malformed or false answer"
    OTHERS = "harmed another client"


def of_request(entry: Entry, observation: Observation) -> tuple[Finding, str]:
    """Return what became of a request, and why that is not right."""
    against = [each for each in objections(entry, observation) if each != NOT_KEPT]
    return (_kind(entry, observation, against) if against else Finding.RIGHT), "; ".join(against)


def _kind(entry: Entry, observation: Observation, against: list[str]) -> Finding:
    sighting = observation.sighting
    if any("another client" in trouble for trouble in observation.troubles):
        return Finding.OTHERS
    if sighting.violations:
        return Finding.AMBIGUOUS
    if any(b"smuggled" in record.request.path for record in sighting.records):
        return Finding.HIDDEN
    if sighting.records and not all(_about_answers(each) for each in against):
        return Finding.PASSED
    nothing = observation.end is End.HUNG and not observation.answers
    return Finding.HUNG if nothing else Finding.REFUSED


def _about_answers(objection: str) -> bool:
    return objection.startswith(("answers ", "the connection was "))


def of_reply(against: list[str]) -> tuple[Finding, str]:
    """Return what became of a reply, given the objections to it."""
    text = "; ".join(against)
    if not against:
        return Finding.RIGHT, ""
    if "a new client" in text or "an old connection" in text:
        return Finding.OTHERS, text
    return (Finding.HUNG if "left hanging" in text else Finding.OWN), text
