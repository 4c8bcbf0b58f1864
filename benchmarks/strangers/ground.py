"""The targets and the certificate that all proxies of a run are given."""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import LOAD_CORE, free_port, running
from benchmarks.strangers.counting import Counting
from benchmarks.strangers.latency import ROOT
from benchmarks.strangers.priority import ATTACKER, BYSTANDER, favour
from benchmarks.strangers.proxies import Ground
from hubgate.certificates.authority import make_authority, make_server


@contextlib.contextmanager
def prepared(folder: Path, counting: Counting) -> Iterator[Ground]:
    """Start the targets; end them with the block."""
    pair = make_server(make_authority(), ("127.0.0.1", "localhost"), days=30)
    cert, key = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(pair.certificate_pem())
    key.write_bytes(pair.key_pem())
    key.chmod(0o600)
    honest, evil = free_port(), free_port()
    env = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    commands = (
        ([sys.executable, "-m", "benchmarks.backend", str(honest)], honest, BYSTANDER),
        ([sys.executable, "-m", "benchmarks.strangers.target", str(evil)], evil, ATTACKER),
    )
    with socket.socket() as down, contextlib.ExitStack() as stack:
        down.bind(("127.0.0.1", 0))  # bound but not listening, so that no other program can listen
        for command, port, nice in commands:
            started = running(command, folder, [port], env, core=LOAD_CORE)
            favour(stack.enter_context(started), nice)
        counted = stack.enter_context(counting.serving())
        yield Ground(folder, cert, key, honest, evil, down.getsockname()[1], counted)
