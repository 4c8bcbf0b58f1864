"""A replica's metrics, and its health, from its lease."""

from types import SimpleNamespace
from typing import Any

from hubgate.control.health import Health
from hubgate.control.metrics.totals import Metrics
from hubgate.control.replicas.replication import Replication
from hubgate.settings import Settings
from hubgate.store.members import Replica
from tests.control.replicas.sharing import Member

NOWHERE: Any = SimpleNamespace(public=(), api=(), health=())


def lines_of(replication: Replication) -> list[str]:
    text = Metrics().render(0, replication=replication.samples()).decode()
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_metrics_tell_of_the_lease_and_of_the_others() -> None:
    us, other = Member("us"), Member("other")
    other.known_to(us)
    replication = Replication("us", us, Health(serves=True), Settings(), NOWHERE)
    found = lines_of(replication)
    assert "hubgate_lease 1" in found
    assert "hubgate_replicas_live 1" in found
    assert "hubgate_store_away_seconds 0" in found
    us.cut_off(7.5)
    found = lines_of(replication)
    assert "hubgate_lease 0" in found
    assert "hubgate_store_away_seconds 7.5" in found


def test_while_the_store_is_silent_the_others_are_as_they_were() -> None:
    us = Member("us")
    then = us.known_at - 3.0
    us.others = [
        Replica(name, "", False, seen, None, {"lease": 6.0})
        for name, seen in (("live then", then), ("gone then", then - 6.0))
    ]
    replication = Replication("us", us, Health(serves=True), Settings(), NOWHERE)
    assert [each.live for each in replication.replicas()] == [False, False]
    us.cut_off(60)
    assert [each.live for each in replication.replicas()] == [True, False]
    assert "hubgate_replicas_live 1" in lines_of(replication)
    us.failing_for, us.replaced = 0.0, True
    assert [each.live for each in replication.replicas()] == [True, False]


def test_without_a_shared_store_there_are_none_and_it_is_never_degraded() -> None:
    health = Health(serves=True)
    replication = Replication("us", None, health, Settings(), NOWHERE)
    assert not [line for line in lines_of(replication) if line.startswith("hubgate_lease")]
    assert (health.obstacle(), health.word()) == (None, "ok")


def test_health_depends_on_the_lease() -> None:
    us, health = Member("us"), Health(serves=True)
    Replication("us", us, health, Settings(), NOWHERE)
    assert health.word() == "ok"
    us.cut_off(60)
    assert (health.obstacle(), health.word()) == (None, "degraded")
