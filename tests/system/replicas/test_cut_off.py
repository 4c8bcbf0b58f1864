"""A hubgate that is cut off, and Redis that is away, behind a balancer that asks who is ready."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.answering import Readers, answering
from tests.cluster import Cluster, Replica, cluster, come_true
from tests.network import BACK, FRONT, Network, network
from tests.redis_server import RedisServer, redis_server
from tests.system.balancer import HAPROXY
from tests.system.namespaces import needs_namespaces

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(360),
    needs_namespaces,
    pytest.mark.skipif(HAPROXY is None, reason="needs HAProxy (make test installs it)"),
]

STAYS = [f"/stays/{number}" for number in range(5)]
LEASE = 1.5
# HUBGATE_CUT_SECONDS sets for how long something is cut off, by default three leases.
CUT = float(os.environ.get("HUBGATE_CUT_SECONDS", 3 * LEASE))
OPTIONS = {"wait": 0.2, "lease": LEASE, "settle": 0.5}
PORT = 8000

# A machine that vanishes answers nothing: what was sent to it is sent to another one.
CONFIG = """
defaults
    mode http
    option redispatch 1
    retries 5
    retry-on conn-failure empty-response response-timeout
    timeout connect 1s
    timeout client 30s
    timeout server 2s
    timeout check 1s
frontend public
    bind {front}:{port}
    default_backend hubgates
backend hubgates
    option httpchk GET /_hubgate/ready
    default-server check inter 300ms fall 2 rise 1
{servers}
"""


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Network]:
    with network(tmp_path) as made:
        yield made


@pytest.fixture
def redis(tmp_path: Path, lan: Network) -> Iterator[RedisServer]:
    machine = lan.machine(BACK)
    flags = ("--protected-mode", "no")
    places = {"host": machine.back, "place": machine.place, "client": lan.switch.entered}
    with redis_server(tmp_path / "redis", *flags, **places) as running:
        yield running


@contextlib.contextmanager
def balancer(folder: Path, lan: Network, replicas: Cluster) -> Iterator[Replica]:
    """Run HAProxy in front of the replicas; yields something to ask as one asks a replica."""
    servers = "\n".join(
        f"    server {each.name} {each.host}:{each.port} check port {each.api_port}"
        for each in replicas
    )
    config = folder / "haproxy.cfg"
    config.write_text(CONFIG.format(front=lan.front, port=PORT, servers=servers))
    assert HAPROXY is not None
    with lan.switch.entered(), (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen([HAPROXY, "-f", str(config), "-db"], stdout=log, stderr=log)
    try:
        yield Replica(
            *("balancer", folder, "", ""),
            host=lan.front,
            client=lan.switch.entered,
            ports=(PORT, PORT),
        )
    finally:
        process.kill()
        process.wait()


class Site:
    """Three hubgates behind a balancer, somebody who reads, and the target of all routes."""

    def __init__(self, replicas: Cluster, readers: Readers, front: Replica, target: str) -> None:
        self.replicas = replicas
        self.readers = readers
        self.front = front
        self.target = target


@contextlib.asynccontextmanager
async def site(folder: Path, lan: Network, redis: RedisServer) -> AsyncIterator[Site]:
    """Run it during the block; fail if any request through the balancer did."""
    readers = Readers()
    with cluster(folder, redis.url, place=lan.place, replicas=OPTIONS) as replicas:
        async with answering(lan.listener()) as target:
            with balancer(folder, lan, replicas) as front:
                await replicas.serve()
                for path in STAYS:
                    await replicas.add(path, target)
                readers.paths += STAYS

                async def served() -> bool:
                    with contextlib.suppress(OSError, EOFError):
                        return await front.get(STAYS[0]) == 200
                    return False

                await come_true(served)
                for number in range(3):
                    readers.read(f"reader {number}", front.get)
                yield Site(replicas, readers, front, target)
                await readers.more()
                await readers.stop()
    assert not readers.failures, readers.failures


async def test_redis_is_away_for_three_leases(
    tmp_path: Path, lan: Network, redis: RedisServer
) -> None:
    async with site(tmp_path, lan, redis) as behind:
        for each in behind.replicas:
            lan.machines[each.name].cut(BACK)
        await asyncio.sleep(CUT)
        await behind.readers.more()
        for each in behind.replicas:
            reply = await each.ask("POST", "/api/routes/late", {"target": behind.target})
            assert reply.status == 503
            assert "is away" in reply.body.decode()
            assert set(await each.table()) == set(STAYS)
        for each in behind.replicas:
            lan.machines[each.name].join(BACK)
        await behind.replicas.add("/late", behind.target)
        await behind.replicas.agree(dict.fromkeys([*STAYS, "/late"], behind.target))


@pytest.mark.parametrize("nets", [(BACK,), (FRONT,), (FRONT, BACK)], ids="-".join)
async def test_one_is_cut_off_and_comes_back(
    tmp_path: Path, lan: Network, redis: RedisServer, nets: tuple[str, ...]
) -> None:
    async with site(tmp_path, lan, redis) as behind:
        replicas, target = behind.replicas, behind.target
        cut = lan.machines["three"]
        cut.cut(*nets)
        await asyncio.sleep(CUT)
        reply = await replicas.add("/meanwhile", target)
        # From the balancer alone: it goes on following the table, and counts.
        assert reply.missing == ()
        assert reply.seconds < 5
        if BACK in nets and FRONT not in nets:
            refused = await replicas[2].ask("POST", "/api/routes/own", {"target": target})
            assert refused.status == 503
        await behind.readers.more()
        cut.join(*nets)
        wanted = dict.fromkeys([*STAYS, "/meanwhile"], target)
        await replicas.agree(wanted)
        assert redis.table() == wanted
        await replicas[2].writable()
        await replicas.add("/after", target, through=2)
        await replicas.agree({**wanted, "/after": target})
