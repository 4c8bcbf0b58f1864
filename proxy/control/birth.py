"""Starting a worker's process: a fresh interpreter on the code that runs here."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence

from proxy.worker.messages import InheritedSocket

OUR_SETTINGS = ("HUBGATE_", "CONFIGPROXY_")


def worker_environment() -> dict[str, str]:
    """Return the environment workers run in: ours, without our settings and the secrets in them.

    With our own module search path a worker runs the code that runs here, whatever other
    `proxy` the current folder may hold.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OUR_SETTINGS)}
    # "" is the current folder; what does not exist is there for import hooks only.
    path = [os.path.abspath(entry) for entry in sys.path if os.path.exists(entry or ".")]
    kept["PYTHONPATH"] = os.pathsep.join(path)
    return kept


def start_process(
    link: socket.socket, sockets: Sequence[InheritedSocket]
) -> subprocess.Popen[bytes]:
    """Start a worker that inherits `link` and `sockets` and nothing else of ours.

    Raises OSError when the system has no room for it.
    """
    # -P: the current folder is no place to import from.
    command = [sys.executable, "-P", "-m", "proxy.worker", str(link.fileno()), str(os.getpid())]
    inherited = {link.fileno(), *(each.fd for each in sockets)}
    return subprocess.Popen(
        command, pass_fds=tuple(inherited), stdin=subprocess.DEVNULL, env=worker_environment()
    )
