"""A replica's metrics, and its health, from its lease."""

from types import SimpleNamespace
from typing import Any

from hubgate.control.health import Health
from hubgate.control.metrics.totals import Metrics
from hubgate.control.replicas.replication import Replication
from hubgate.settings import Settings
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
