"""Redis and Sentinel as docs/high-availability.md has them: a failover within a hub's patience."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.replicated.machines import HUBGATES, REDISES, Machines, machines, needs_parts
from tests.replicated.page import block

pytestmark = [needs_parts, pytest.mark.processes, pytest.mark.timeout(300)]

PATIENCE = 30.0  # seconds for which a hub repeats what was answered with a 5xx
ONE, OTHER = HUBGATES[:2]
TARGET = {"target": "http://127.0.0.1:1"}


@pytest.fixture
def some(tmp_path: Path) -> Iterator[Machines]:
    with machines(tmp_path) as made:
        made.start_store()
        for number in (ONE, OTHER):
            made.start_hubgate(number)
        made.wait_for_hubgates(ONE, OTHER)
        yield made


def test_a_failover_takes_less_than_a_hubs_patience(some: Machines) -> None:
    some.changes(ONE, "POST", "/before", TARGET)
    assert some.master() == REDISES[0]
    some.kill(f"redis-{REDISES[0]}")
    began = time.monotonic()
    some.changes(OTHER, "POST", "/during", TARGET)
    assert time.monotonic() < began + PATIENCE
    assert some.master() != REDISES[0]
    # Who returns as master is not asked: the sentinels name another one.
    some.start_redis(REDISES[0])
    some.changes(ONE, "DELETE", "/before")
    some.changes(ONE, "POST", "/after", TARGET)
    for number in (ONE, OTHER):
        assert set(some.ask(number, "GET")) == {"/during", "/after"}
    assert "refuses us" not in some.log(f"proxy-{ONE}")


def test_down_after_is_what_the_page_says() -> None:
    text = block("Redis and Sentinel", "sentinel")
    found = re.search(r"down-after-milliseconds hub (\d+)", text)
    assert found
    assert 2000 <= int(found[1]) <= 5000
