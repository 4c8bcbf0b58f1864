"""The environment that commands under test get: nothing in it is meant for a proxy."""

import os
from collections.abc import Mapping

OURS = ("CONFIGPROXY_", "HUBGATE_")
"""What the names of a proxy's variables begin with."""


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return our environment without anything meant for a proxy, plus `extra`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**kept, **(extra or {})}
