"""Who gets a core first, so that a figure shows the proxy and not the kernel's scheduler.

The bystander and its target share a core with the attackers: they go before them, or a
busy attacker's turn would be counted as the proxy's. The proxy has the other core; it goes before
whatever else runs there. Without root everything runs as it is, and figures are worse.
"""

import contextlib
from pathlib import Path

import psutil

from benchmarks.processes import family

BYSTANDER, PROXY, ATTACKER = -15, -10, 0


def favour(process: psutil.Process, nice: int) -> bool:
    """Set the niceness of a process and its descendants; return whether that was allowed."""
    allowed = True
    for each in family(process):
        try:
            each.nice(nice)
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            allowed = False
        # With autogroups, niceness counts only within a session; this is the session's own.
        with contextlib.suppress(OSError):
            Path(f"/proc/{each.pid}/autogroup").write_text(str(nice))
    return allowed
