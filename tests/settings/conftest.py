"""What tests of settings need: a routes.yaml of their own."""

from pathlib import Path
from typing import Any

import pytest

from hubgate.settings import Settings
from hubgate.settings.load import load
from tests.settings.reading import Read


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(text: str, environ: dict[str, str] | None = None, **flags: Any) -> Settings:
        path = tmp_path / "routes.yaml"
        path.write_text(text)
        given = {f"--{name.replace('_', '-')}": value for name, value in flags.items()}
        return load(path, given, environ or {})

    return read
