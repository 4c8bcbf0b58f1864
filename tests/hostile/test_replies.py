"""A hostile target harms its own client at most: everybody else gets the answer that is theirs."""

from collections.abc import Iterator

import pytest

from tests.hostile.entry import Door
from tests.hostile.replies import TOPICS
from tests.hostile.stage import Stage
from tests.hostile.victims import Stand


@pytest.fixture(scope="module")
def stand(drop_in: Stage) -> Iterator[Stand]:
    stand = Stand(drop_in.doors[Door.DROP_IN], drop_in.recorder)
    yield stand
    stand.close()


@pytest.mark.parametrize("topic", TOPICS)
def test_replies(stand: Stand, topic: str) -> None:
    failures = [
        f"{reply.name}: {objection}"
        for reply in TOPICS[topic]
        for objection in stand.objections(reply)
    ]
    if failures:
        pytest.fail("\n".join(failures), pytrace=False)
