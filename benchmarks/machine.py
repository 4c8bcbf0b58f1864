"""What a run was made on: the machine, and the programs' versions."""

import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks.contenders import Contender


def machine() -> dict[str, str]:
    """Return the machine's properties that the figures depend on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "cpu": next(models, platform.machine()),
        "cores": str(os.cpu_count()),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


def versions(contenders: Iterable[Contender]) -> dict[str, str]:
    """Return each contender's version; CHP's names Node's as well."""
    found = {each.name: _said(each.version()) for each in contenders}
    if "CHP" in found:
        found["CHP"] += f" on Node {_said(['node', '--version'])}"
    return found


def _said(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        return "not installed"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return number_in(done.stdout + done.stderr)


def number_in(text: str) -> str:
    """Return the first thing in a program's output that looks like a version."""
    found = re.search(r"\d+(\.\d+)+", text)
    return found[0] if found else "unknown"
