"""Every entry of the corpus has one of its acceptable outcomes, and harms nobody else."""

import pytest

from tests.hostile.corpus import TOPICS
from tests.hostile.entry import Door, Entry
from tests.hostile.stage import Stage
from tests.hostile.verdict import objections

_SECURE = (Door.INSIDE_TLS, Door.TLS_PORT)


def topics(*doors: Door) -> list[str]:
    """Return the topics with entries for one of `doors`."""
    return [topic for topic, entries in TOPICS.items() if any(e.door in doors for e in entries)]


def check(stage: Stage, door: Door, entries: list[Entry]) -> None:
    """Play `entries` at `door` and fail with every objection to any of them."""
    player = stage.player(door)
    failures = []
    for entry in entries:
        against = objections(entry, player.play(entry))
        failures += [f"{entry.name}: {objection}" for objection in against]
    if failures:
        pytest.fail("\n".join(failures), pytrace=False)


@pytest.mark.parametrize("topic", topics(Door.PUBLIC, Door.DROP_IN))
def test_drop_in(drop_in: Stage, topic: str) -> None:
    entries = [each for each in TOPICS[topic] if each.door in (Door.PUBLIC, Door.DROP_IN)]
    check(drop_in, Door.DROP_IN, entries)


@pytest.mark.parametrize("topic", topics(Door.PUBLIC, Door.NATIVE))
def test_native(native: Stage, topic: str) -> None:
    entries = [each for each in TOPICS[topic] if each.door in (Door.PUBLIC, Door.NATIVE)]
    check(native, Door.NATIVE, entries)


@pytest.mark.parametrize("topic", topics(*_SECURE))
@pytest.mark.parametrize("door", _SECURE)
def test_secure(secure: Stage, door: Door, topic: str) -> None:
    check(secure, door, [each for each in TOPICS[topic] if each.door is door])


def test_the_corpus_is_large_and_without_doubles() -> None:
    names = [f"{topic}: {entry.name}" for topic, entries in TOPICS.items() for entry in entries]
    assert len(set(names)) == len(names) >= 320
