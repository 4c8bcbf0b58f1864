"""Real sentinels, which watch a Redis and name another one when it is gone."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.network import Machine

PROGRAM = shutil.which("redis-sentinel") or shutil.which("valkey-sentinel")
PORT = 26379
SERVICE = "main"

CONFIG = """
port {port}
bind {host}
sentinel monitor {service} {master} {master_port} 2
sentinel down-after-milliseconds {service} 2000
sentinel failover-timeout {service} 6000
"""


@contextlib.contextmanager
def sentinel(folder: Path, machine: Machine, master: str, master_port: int) -> Iterator[str]:
    """Run a sentinel on a machine until the block ends; yields its address."""
    if PROGRAM is None:
        pytest.skip("no Sentinel: install the package redis-sentinel")
    folder.mkdir(parents=True)
    config = folder / "sentinel.conf"
    config.write_text(
        CONFIG.format(
            port=PORT,
            host=machine.back,
            service=SERVICE,
            master=master,
            master_port=master_port,
        )
    )
    with machine.place(), (folder / "sentinel.log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, str(config)], cwd=folder, stdout=log, stderr=log)
    try:
        yield f"{machine.back}:{PORT}"
    finally:
        process.kill()
        process.wait()
