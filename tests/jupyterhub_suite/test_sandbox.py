"""A run that takes too long is ended with everything it started."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.processes

# A process of its own: one that adopts orphans keeps doing so for whatever runs in it later.
SCRIPT = """
import os, pathlib, sys
from tests.jupyterhub_suite import sandbox
sandbox.adopt_orphans()
command = ["sh", "-c", "(setsid sleep 600 & echo $! > orphan.pid); sleep 600"]
log = pathlib.Path(sys.argv[1], "run.log")
sys.exit(sandbox.run(command, dict(os.environ), log, 12))
"""
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
def test_nothing_outlives_a_run(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], cwd=ROOT, timeout=100)
    assert done.returncode == 0  # False: it did not end by itself
    orphan = int((tmp_path / "orphan.pid").read_text())
    deadline = time.monotonic() + 10
    while psutil.pid_exists(orphan) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(orphan)
