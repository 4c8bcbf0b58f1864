"""Releases that come and go in a folder of their own, and `proxyctl upgrade`."""

import asyncio
import shutil
from pathlib import Path

import hubgate
from tests.system.served import PROXYCTL, Served

MINUTES = 120.0


class Code:
    """A copy of hubgate that a test may change while it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(
            Path(hubgate.__file__).parent,
            folder / "hubgate",
            ignore=shutil.ignore_patterns("__pycache__"),
        )

    def install(self, version: str) -> None:
        """Make it another release."""
        (self.folder / "hubgate" / "__init__.py").write_text(f'__version__ = "{version}"\n')

    def spoil(self, file: Path) -> None:
        """Make it another release, and have `file` spoiled by its first start after a rehearsal."""
        (self.folder / "hubgate" / "__init__.py").write_text(
            "import os\n"
            '__version__ = "7.7.7"\n'
            'if "HUBGATE_HANDOVER_FD" in os.environ:\n'
            f'    open({str(file)!r}, "w").write("workers: [")\n'
        )

    def damage(self) -> None:
        """Make it a release that cannot be imported."""
        (self.folder / "hubgate" / "dataplane" / "downstream" / "acceptor.py").write_text(
            "def open(:\n"
        )


async def upgrade(served: Served, after: float = 0.0) -> tuple[int, str]:
    """Run `proxyctl upgrade` in `after` seconds; return its exit code and what it said."""
    await asyncio.sleep(after)
    process = await asyncio.create_subprocess_exec(
        PROXYCTL,
        "upgrade",
        "--api-url",
        f"http://127.0.0.1:{served.api_port}",
        env={"HUBGATE_TOKEN": served.token, "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), MINUTES)
    assert process.returncode is not None
    return process.returncode, output.decode()
