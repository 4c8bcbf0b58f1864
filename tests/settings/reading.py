"""Settings from a text, and the lines of a mistake in it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hubgate.errors import ConfigError
from hubgate.settings import Settings

Read = Callable[..., Settings]


def lines_of(call: Callable[[], object], folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        call()
    return [line.replace(f"{folder}/", "") for line in raised.value.lines]
