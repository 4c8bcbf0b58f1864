"""Where a read ends changes nothing: every entry is read alike whole and byte by byte."""

import pytest

from hubgate.http1.reader import RequestReader
from hubgate.model import Limits
from tests.hostile.corpus import TOPICS
from tests.http1.reading import take_in

# Byte by byte through Python costs microseconds each; what is longer only tests limits.
_LONGEST = 8192


def sent(topic: str) -> dict[str, bytes]:
    """Return what each entry of a topic sends, by name."""
    entries = {
        entry.name: b"".join(step for step in entry.steps if isinstance(step, bytes))
        for entry in TOPICS[topic]
    }
    return {name: data for name, data in entries.items() if len(data) <= _LONGEST}


def reading(pieces: list[bytes]) -> list[object]:
    """Return all that a reader makes of `pieces`."""
    reader = RequestReader(Limits())
    for piece in pieces:
        take_in(reader, piece)
    return [
        reader.failed,
        *(
            (
                request.head
                and (
                    request.head.method,
                    request.head.target,
                    request.head.host,
                    request.head.body,
                    request.head.length,
                    request.head.upgrade,
                    request.head.keep_alive,
                    request.head.lines,
                    request.head.forwarded,
                ),
                b"".join(request.chunks) if request.error is None else b"",
                request.ended,
                request.leftover,
                type(request.error),
            )
            for request in reader.requests
        ),
    ]


@pytest.mark.parametrize("topic", TOPICS)
def test_cuts(topic: str) -> None:
    differing = [
        name
        for name, data in sent(topic).items()
        if reading([data]) != reading([bytes((code,)) for code in data])
    ]
    assert not differing
