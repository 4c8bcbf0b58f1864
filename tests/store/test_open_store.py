"""From a store's address to the store."""

import pytest

from proxy.errors import ConfigError
from proxy.store import open_store
from proxy.store.memory import MemoryStore


def test_memory_is_a_new_store_each_time() -> None:
    first, second = open_store("memory:"), open_store("memory:")
    assert isinstance(first, MemoryStore)
    assert first is not second


@pytest.mark.parametrize("address", ["", "memory", "memory:x", "mysql://h/d", "/state/routes.db"])
def test_an_unknown_address_is_refused_with_what_would_be_right(address: str) -> None:
    with pytest.raises(ConfigError, match=r"^store: .*memory:"):
        open_store(address)
