"""The memory that clients cost which never read what they are sent."""

import json
import time
from typing import Any

from benchmarks.strangers.latency import Growth, script
from benchmarks.strangers.members import Member
from benchmarks.strangers.priority import ATTACKER
from benchmarks.strangers.proxies import Ground, Wish, attacked

CLIENTS = 300
# A proxy that has just been started may still be allocating for itself.
SETTLE = 0.5


def memory_of(name: str, member: Member, ground: Ground, seconds: float) -> dict[str, Any]:
    """Return KiB of memory per client at the most; empty if there is no such port."""
    with (
        script("attackers", member.key, CLIENTS, seconds, nice=ATTACKER) as crowd,
        attacked(name, ground, Wish(member.tls, member.page)) as started,
    ):
        if member.port not in started.ports:
            return {}
        crowd.hear()
        time.sleep(SETTLE)
        with Growth(started.process) as growth:
            crowd.tell(str(started.ports[member.port]))
            did = json.loads(crowd.hear())
        return {"kib": growth.bytes / CLIENTS / 1024, "attack": did}
