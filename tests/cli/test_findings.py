"""What a start says about settings that are allowed and probably not meant."""

from pathlib import Path

from hubgate.cli.findings import start_warnings, without_effect
from hubgate.model import RedisLogin, ReplicaOptions
from hubgate.settings import Settings
from hubgate.settings.load import load

PASSWORD = {"HUBGATE_REDIS_PASSWORD": "hunter2"}


def test_settings_of_a_shared_store_need_one() -> None:
    given = Settings(redis=RedisLogin(password="hunter2"), replicas=ReplicaOptions(lease=3))
    line = "HUBGATE_REDIS_PASSWORD, replicas.lease: without effect, as the store is memory:;"
    assert [*without_effect(given)] == [f"{line} write store: redis://HOST:PORT/0"]
    assert [*without_effect(Settings())] == []


def test_with_one_nothing_is_said(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text("store: redis://h\nreplicas: {name: proxy-1}\n")
    settings = load(file, {}, PASSWORD)
    assert not [line for line in start_warnings(settings, PASSWORD) if "without effect" in line]
