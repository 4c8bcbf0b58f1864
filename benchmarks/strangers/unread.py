"""The memory that clients cost which never read what they are sent."""

import time
from typing import Any

from benchmarks.strangers.latency import Growth, script
from benchmarks.strangers.members import Member
from benchmarks.strangers.priority import ATTACKER
from benchmarks.strangers.proxies import Ground, Wish, attacked

CLIENTS = 300


def memory_of(name: str, member: Member, ground: Ground, seconds: float) -> dict[str, Any]:
    """Return KiB of memory per client at the most; empty if there is no such port."""
    with attacked(name, ground, Wish(member.tls, member.page)) as started:
        if member.port not in started.ports:
            return {}
        time.sleep(0.5)
        port = started.ports[member.port]
        with (
            script("attackers", member.key, port, CLIENTS, seconds, nice=ATTACKER) as crowd,
            Growth(started.process) as growth,
        ):
            crowd.hear()
            crowd.tell("")
            did = crowd.hear()
        return {"kib": growth.bytes / CLIENTS / 1024, "did": did}
