"""A pool and the connector that opens and closes its connections."""

import asyncio

from hubgate.model import Timeouts
from hubgate.transport.turns import Turns
from hubgate.upstream.connector import Connector
from hubgate.upstream.pool import Pool


def pooled(timeouts: Timeouts | None = None, max_idle: int = 64) -> tuple[Pool, Connector]:
    configured = timeouts or Timeouts()
    pool = Pool(configured, max_idle, asyncio.get_running_loop().time)
    return pool, Connector(pool, configured, None, Turns(asyncio.get_running_loop()))
