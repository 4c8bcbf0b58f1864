"""Marks behaviours in which we keep CHP's interface and improve on what it does."""

import os

import pytest

REFERENCE = os.environ.get("CONTRACT_REFERENCE") == "1"
"""True when the command under test is the real CHP, not a replacement of it."""


def better(reason: str, *, hangs: bool = False) -> pytest.MarkDecorator:
    """Mark a test that the real CHP is expected to fail, because of `reason`.

    Every other test of the suite has to pass on the real CHP too, or it is no contract.
    `hangs` says that CHP would only run into timeouts, so there the test is not even run.
    """
    return pytest.mark.xfail(REFERENCE, reason=f"better than CHP: {reason}", run=not hangs)
