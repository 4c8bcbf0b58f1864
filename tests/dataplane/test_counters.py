"""What a worker counts is reported once, and shown."""

from dataclasses import fields

from hubgate.control.metrics.totals import Metrics
from hubgate.dataplane.counters import Counters
from hubgate.model import Report


def counted(by: int) -> Counters:
    """Return counters all of which have moved."""
    counters = Counters()
    for each in fields(counters):
        value = getattr(counters, each.name)
        if isinstance(value, dict):
            value[200] = by
        else:
            setattr(counters, each.name, type(value)(by))
    return counters


def test_everything_is_taken_once() -> None:
    counters = counted(3)
    taken = counters.take()
    assert len(taken) == len(fields(counters)) + 1, "requests are also how often routes were sought"
    assert set(taken.values()) == {3, 6}
    assert counters == Counters()
    assert counters.take() == {}


def test_everything_that_is_counted_is_shown() -> None:
    shown = []
    for by in (3, 4):
        metrics = Metrics()
        metrics.add(1, Report(counters=counted(by).take()))
        lines = metrics.render(0).decode().splitlines()
        shown.append({line for line in lines if not line.startswith(("#", "process_", "python_"))})
    moved = shown[1] - shown[0]
    assert len(moved) == len(counted(1).take()), moved
