"""Whether a replica without a lease should leave the balancer: only if another one still has one.

A store that is away takes everybody's lease; if all left the balancer then, its outage would be
everybody's. So a replica that cannot renew its lease asks the others directly. Those that renewed
theirs after our own renewals began to fail show that it is us who are cut off.
"""

import asyncio
import logging
import secrets
from contextlib import suppress
from urllib.parse import unquote, urlsplit

import aiohttp

from hubgate.control.replicas.lease_proof import LEASE, NONCE, renewed
from hubgate.errors import StoreError
from hubgate.store.members import Members, Replica

log = logging.getLogger("hubgate.supervisor")

# Seconds: the longest pause between two rounds, and for all answers of one.
PAUSE = 1.0
ANSWER_LIMIT = 1.0

_MOST_ASKED = 50
_LONGEST = 1024  # bytes of an answer
_OBSTACLE, _TAKEN = "lease", "name"
# Part of a lease: renewals that were under way when a store stopped may have worked or not.
_SLACK = 1 / 20


class LeaseWatch:
    """Asks the others as long as our lease is not renewed; without `members` it has nothing to do.

    A replica that can reach nobody cannot tell, and stays: it forwards as well as ever, and lacks
    the latest changes at most.
    """

    def __init__(self, members: Members | None) -> None:
        self._members = members
        self._others_hold = False
        self._told: str | None = None

    def __repr__(self) -> str:
        return f"<LeaseWatch {self.obstacle() or ('degraded' if self.degraded else 'ok')}>"

    def obstacle(self) -> str | None:
        """Return "lease" if others should be asked rather than us, None if we are as good.

        It is "name" if another replica has ours: nobody waits for what we serve.
        """
        if self._members is not None and self._members.replaced:
            return _TAKEN
        alone = self._members is None or self._members.live
        return _OBSTACLE if not alone and self._others_hold else None

    @property
    def degraded(self) -> bool:
        """Whether we have no lease, and go on because nobody else is known to have one."""
        return not (self._members is None or self._members.live or self.obstacle())

    async def run(self) -> None:
        """Watch our lease, until cancelled."""
        members = self._members
        if members is None:
            return
        pause = min(PAUSE, members.lease / 6)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=ANSWER_LIMIT),
        ) as session:
            while True:
                await asyncio.sleep(pause)
                failing = members.failing_for - members.lease * _SLACK
                hold = failing > 0 and await self._hold(session, members, failing)
                if not members.live and (hold or not members.failing_for):
                    # The store may be back, and others first to notice; or we slept past our lease.
                    with suppress(StoreError):
                        await members.renew()
                self._others_hold = hold
                if failing > 0 or members.live:  # else nobody was asked
                    self._tell(members)

    async def _hold(self, session: aiohttp.ClientSession, members: Members, failing: float) -> bool:
        """Return whether anybody has renewed a lease within the last `failing` seconds."""
        others = [each for each in members.replicas() if each.instance != members.instance]
        others.sort(key=lambda each: each.seen, reverse=True)
        asked = [_ask(session, members.secret, each) for each in others[:_MOST_ASKED]]
        answers = await asyncio.gather(*asked)
        return any(age is not None and age < failing for age in answers)

    def _tell(self, members: Members) -> None:
        now = self.obstacle() or ("degraded" if self.degraded else None)
        if now == self._told:
            return
        if now == _OBSTACLE:
            log.error(
                "not ready: the store is away for %r, and other replicas reach it", members.name
            )
        elif now == _TAKEN:
            log.error("not ready: another replica has the name %r", members.name)
        elif now is not None:
            log.warning(
                "degraded, but ready: no replica that %r reaches has a lease in the store",
                members.name,
            )
        else:
            log.info("the lease in the store is renewed again")
        self._told = now


async def _ask(session: aiohttp.ClientSession, secret: str, replica: Replica) -> float | None:
    """Return how long ago that replica's lease was renewed, None without an answer of its own."""
    places = replica.about.get("health")
    for url in places if isinstance(places, list) else ():
        nonce = secrets.token_hex(16)
        # aiohttp may raise ValueError for an address, and OSError besides its own errors.
        with suppress(aiohttp.ClientError, TimeoutError, OSError, ValueError):
            text = await _fetch(session, str(url), nonce)
            if (age := renewed(text, secret, replica.instance, nonce)) is not None:
                return age
    return None


async def _fetch(session: aiohttp.ClientSession, url: str, nonce: str) -> str:
    parts = urlsplit(url)
    if not parts.scheme.endswith("+unix"):
        return await _text(session, f"{url}{LEASE}?{NONCE}={nonce}")
    place = f"{parts.scheme.removesuffix('+unix')}://localhost{LEASE}?{NONCE}={nonce}"
    connector = aiohttp.UnixConnector(unquote(parts.netloc))
    async with aiohttp.ClientSession(connector=connector, timeout=session.timeout) as local:
        return await _text(local, place)


async def _text(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url, allow_redirects=False, ssl=False) as response:
        return (await response.content.read(_LONGEST)).decode("ascii", "replace")
