"""A pool, the connector that opens and closes its connections, and what that dials with."""

import asyncio
import ssl

from hubgate.model import TcpKeepalive, Timeouts
from hubgate.transport.turns import Turns
from hubgate.upstream.connector import Connector
from hubgate.upstream.dial import Dialer
from hubgate.upstream.pool import Pool
from hubgate.upstream.resolver import Resolver


def dialer(
    timeouts: Timeouts | None = None,
    tls: ssl.SSLContext | None = None,
    resolver: Resolver | None = None,
) -> Dialer:
    return Dialer(timeouts or Timeouts(), tls, TcpKeepalive(), resolver or Resolver())


def pooled(
    timeouts: Timeouts | None = None, max_idle: int = 64, resolver: Resolver | None = None
) -> tuple[Pool, Connector]:
    configured = timeouts or Timeouts()
    pool = Pool(configured, max_idle, asyncio.get_running_loop().time)
    turns = Turns(asyncio.get_running_loop())
    return pool, Connector(pool, configured, dialer(configured, resolver=resolver), turns)
