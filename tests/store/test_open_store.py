"""From a store's address to the store."""

from pathlib import Path

import pytest

from hubgate.errors import ConfigError
from hubgate.store import open_store
from hubgate.store.memory import MemoryStore
from hubgate.store.sqlite import SqliteStore


def test_memory_is_a_new_store_each_time() -> None:
    first, second = open_store("memory:"), open_store("memory:")
    assert isinstance(first, MemoryStore)
    assert first is not second


def test_a_file_is_neither_made_nor_opened_yet(tmp_path: Path) -> None:
    store = open_store(f"sqlite:{tmp_path}/state/routes.db")
    assert isinstance(store, SqliteStore)
    assert f"{tmp_path}/state/routes.db new" in repr(store)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "address",
    ["", "memory", "memory:x", "mysql://h/d", "/state/routes.db", "sqlite:"],
)
def test_an_unknown_address_is_refused_with_what_would_be_right(address: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^store: .* write memory:, sqlite:FILE or redis://HOST$"
    ):
        open_store(address)


def test_a_scheme_may_be_in_capitals() -> None:
    assert "redis://h:6379" in repr(open_store("REDIS://h"))
