"""Each command says since when it has read: a file that changes from then on is read again."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hubgate.cli import serve as serve_module
from hubgate.control.file_watch import versions
from hubgate.settings import Settings
from hubgate.settings.chp import resolve
from hubgate.settings.files import watched_files
from tests.certificates.made import Files
from tests.cli.drop import Drop


def changed_meanwhile(read: Callable[..., Settings], file: Path) -> Callable[..., Settings]:
    """Return a `read` after which somebody else writes the file, right away."""

    def reading(*args: Any) -> Settings:
        settings = read(*args)
        fresh = file.with_suffix(".new")
        fresh.write_bytes(file.read_bytes())
        os.replace(fresh, file)
        return settings

    return reading


def known(settings: Settings, read_since: float, file: Path) -> object:
    """Return which version a supervisor would take for the one that was read."""
    return versions(watched_files(settings), read_since)[file]


def long_ago(*files: Path) -> None:
    """Wait until the kernel's clock tells what these files are from what changes later."""
    newest = max(file.stat().st_ctime for file in files)
    while time.time() < newest + 0.2:
        time.sleep(0.01)


def serve(monkeypatch: pytest.MonkeyPatch, file: Path) -> tuple[Settings, float]:
    """Return what `proxyctl serve` would be launched with."""
    launched: list[tuple[Settings, float]] = []

    def launch(settings: Settings, reload: object, read_since: float) -> int:
        assert reload is not None
        launched.append((settings, read_since))
        return 0

    monkeypatch.setattr(serve_module, "launch", launch)
    result = CliRunner().invoke(serve_module.serve, [str(file)], catch_exceptions=False)
    assert result.exit_code == 0
    (found,) = launched
    return found


def test_serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text("routes: {}\n")
    long_ago(file)
    assert known(*serve(monkeypatch, file), file)
    monkeypatch.setattr(serve_module, "load", changed_meanwhile(serve_module.load, file))
    assert known(*serve(monkeypatch, file), file) == ()


def test_the_drop_in(monkeypatch: pytest.MonkeyPatch, drop: Drop, files: Files) -> None:
    args = ("--ssl-cert", files.cert, "--ssl-key", files.key)
    cert, key = Path(files.cert), Path(files.key)
    long_ago(cert, key)
    settings = drop.run(*args)
    assert known(settings, drop.read_since, cert)
    build = changed_meanwhile(resolve.build, cert)
    monkeypatch.setattr(resolve, "build", build)
    settings = drop.run(*args)
    assert known(settings, drop.read_since, cert) == ()
    assert known(settings, drop.read_since, key), "nobody has changed it"
