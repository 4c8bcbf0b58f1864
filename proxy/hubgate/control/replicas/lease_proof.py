"""The page by which replicas ask each other, without the store, who still holds a lease in it.

Its answer is signed with the secret that only the replicas of one store know, for the one question,
so whoever else happens to have a replica's address now is not mistaken for it. It reveals nothing,
so it needs no token.
"""

import hashlib
import hmac
import math
import re

from aiohttp import web

from hubgate.control.health import Health
from hubgate.control.web.responses import unnoted
from hubgate.store.members import Members

LEASE = "/_hubgate/lease"
NONCE = "nonce"
NOTHING = -1
"""Of one that holds no lease, or that nobody should turn to."""

_NONCE = re.compile(r"[0-9a-f]{32}")
_ANSWER = re.compile(r"(-1|\d{1,9}) ([0-9a-f]{64})\n?", re.ASCII)


def add_lease(app: web.Application, members: Members, health: Health) -> None:
    """Add the page to `app`; its log and its metrics leave out what is asked every second."""

    async def page(request: web.Request) -> web.Response:
        nonce = request.query.get(NONCE, "")
        if not _NONCE.fullmatch(nonce):
            return unnoted(400, f"{NONCE}: write 32 hexadecimal digits")
        holds = members.live and health.obstacle() is None
        return unnoted(200, proof(members, nonce, members.renewed_ago if holds else None))

    app.router.add_route("GET", LEASE, page)


def proof(members: Members, nonce: str, renewed_ago: float | None) -> str:
    """Return the page: how many milliseconds ago our lease was renewed, and a signature."""
    age = NOTHING if renewed_ago is None else round(renewed_ago * 1000)
    return f"{age} {_signature(members.secret, members.instance, nonce, age)}"


def renewed(text: str, secret: str, instance: str, nonce: str) -> float | None:
    """Return how many seconds ago that replica's lease was renewed; infinite if it holds none.

    None if the page is not that replica's answer to the question with `nonce`.
    """
    found = _ANSWER.fullmatch(text)
    if found is None:
        return None
    age = int(found[1])
    if not hmac.compare_digest(found[2], _signature(secret, instance, nonce, age)):
        return None
    return math.inf if age == NOTHING else age / 1000


def _signature(secret: str, instance: str, nonce: str, age: int) -> str:
    text = f"lease {instance} {nonce} {age}".encode()
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
