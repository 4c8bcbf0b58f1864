"""What tests of signals share."""

import signal
from collections.abc import Iterator

import pytest

from hubgate.control.upgrade import signals


@pytest.fixture
def signals_as_before() -> Iterator[None]:
    """Leave this process with no signal of hubgate's pending or blocked, and its handlers."""
    before = {number: signal.getsignal(number) for number in signals.SUPERVISOR_SIGNALS}
    yield
    for number in signals.SUPERVISOR_SIGNALS:
        while number in signal.sigpending():
            signal.sigwait({number})
        signal.signal(number, before[number])
    signals.release_signals()
