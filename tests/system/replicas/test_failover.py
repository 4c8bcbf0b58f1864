"""Sentinels name another Redis when the old one's machine is cut off, with changes it alone had."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.answering import answering, reading
from tests.cluster import cluster
from tests.contract.polling import eventually
from tests.network import BACK, Machine, Network, network
from tests.redis_server import RedisServer, redis_server
from tests.sentinels import SERVICE, sentinel
from tests.system.namespaces import needs_namespaces
from tests.writers import all_there, more, writing

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180), needs_namespaces]

STAYS = [f"/stays/{number}" for number in range(5)]
OPTIONS = {"wait": 0.2, "lease": 2, "settle": 0.8}


@dataclass
class Watched:
    """A master and its replica, each on a machine of its own, and the address for hubgates."""

    machines: list[Machine]
    servers: list[RedisServer]
    url: str


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Network]:
    with network(tmp_path) as made:
        yield made


@pytest.fixture
def watched(tmp_path: Path, lan: Network) -> Iterator[Watched]:
    """Three machines with a sentinel each, and two of them with a Redis."""
    machines = [lan.machine(BACK) for _ in range(3)]
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(
                redis_server(
                    tmp_path / f"redis{number}",
                    *("--protected-mode", "no", "--repl-timeout", "5"),
                    host=each.back,
                    place=each.place,
                    client=lan.switch.entered,
                )
            )
            for number, each in enumerate(machines[:2])
        ]
        first, second = servers
        assert second.ask(f"REPLICAOF {first.host} {first.port}").startswith(b"+OK")
        assert eventually(lambda: b"master_link_status:up" in second.ask("INFO replication"), 30)
        hosts = [
            stack.enter_context(
                sentinel(tmp_path / f"sentinel{number}", each, first.host, first.port)
            )
            for number, each in enumerate(machines)
        ]
        yield Watched(machines, servers, f"redis+sentinel://{','.join(hosts)}/{SERVICE}/0")


async def test_nothing_acknowledged_is_lost_with_the_old_master(
    tmp_path: Path, lan: Network, watched: Watched
) -> None:
    old, new = watched.servers
    old_machine, new_machine, _ = watched.machines
    with cluster(tmp_path, watched.url, place=lan.place, replicas=OPTIONS) as replicas:
        async with answering(lan.listener()) as target:
            await replicas.serve()
            for path in STAYS:
                await replicas.add(path, target)
            async with reading(replicas, STAYS) as readers, writing(replicas) as writers:
                await more(writers)
                new_machine.cut(BACK)
                await more(writers)  # which only the old master has
                old_machine.cut(BACK)
                new_machine.join(BACK)
                await new.becomes("master")
                await more(writers)
                old_machine.join(BACK)
                await old.becomes("slave")
                await more(writers)
                await readers.more()
            await all_there(writers, replicas)
            await replicas.agree(new.table(), 5)
        handed_in = [each for each in replicas if "handed in what it had lost" in each.log]
        assert handed_in or any("Redis gets our table" in each.log for each in replicas)


async def test_a_hubgate_goes_on_with_the_old_master(
    tmp_path: Path, lan: Network, watched: Watched
) -> None:
    """What it alone was answered there is handed in when the old master is one no more."""
    old, new = watched.servers
    async with answering(lan.listener()) as target:
        with cluster(tmp_path, watched.url, place=lan.place, replicas=OPTIONS) as replicas:
            await replicas.serve()
            for path in STAYS:
                await replicas.add(path, target)
            island = [watched.machines[0], lan.machines["three"]]
            async with reading(replicas, STAYS) as readers, writing(replicas) as writers:
                await more(writers)
                for each in island:
                    each.isolate()
                await new.becomes("master")
                await more(writers)
                assert new.table() != (await replicas[2].table())
                for each in island:
                    each.join(BACK)
                await old.becomes("slave")
                await more(writers)
                await readers.more()
            await all_there(writers, replicas)
            await replicas.agree(new.table(), 5)
        assert "handed in what it had lost" in replicas[2].log
