"""HAProxy in front of several hubgates, which it asks whether they are ready."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.contract.polling import eventually
from tests.contract.ports import free_port, is_free
from tests.system.served import Served

HAPROXY = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

# Two checks that fail, half a second apart, take a server out. Nothing is tried twice, so that each
# request that a hubgate refuses is seen.
CONFIG = """
global
    maxconn 500
defaults
    mode http
    retries 0
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout check 2s
frontend public
    bind 127.0.0.1:{port}
    default_backend hubgates
backend hubgates
    option httpchk GET /_hubgate/ready
    default-server check inter 500ms fall 2 rise 1
{servers}
"""


@contextmanager
def balanced(folder: Path, hubgates: Sequence[Served]) -> Iterator[int]:
    """Run HAProxy in front of `hubgates` until the block ends; yields its port."""
    assert HAPROXY is not None
    port = free_port()
    servers = "\n".join(
        f"    server hubgate{number} 127.0.0.1:{each.port} check port {each.api_port}"
        for number, each in enumerate(hubgates)
    )
    config = folder / "haproxy.cfg"
    config.write_text(CONFIG.format(port=port, servers=servers))
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen([HAPROXY, "-f", str(config), "-db"], stdout=log, stderr=log)
    try:
        assert eventually(lambda: not is_free(port, "127.0.0.1")), (
            folder / "haproxy.log"
        ).read_text()
        yield port
    finally:
        process.kill()
        process.wait()
