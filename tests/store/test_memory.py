"""The memory store."""

from hubgate.model import Route
from hubgate.store.memory import MemoryStore


async def test_routes_are_put_replaced_and_deleted() -> None:
    store = MemoryStore()
    await store.open()
    assert await store.load() == []
    await store.put(Route("/a", "http://127.0.0.1:1"))
    await store.put(Route("/b", "http://127.0.0.1:2"))
    await store.put(Route("/a", "http://127.0.0.1:3"))
    await store.delete("/b")
    await store.delete("/never-there")
    assert await store.load() == [Route("/a", "http://127.0.0.1:3")]


async def test_what_was_loaded_is_not_the_store_itself() -> None:
    store = MemoryStore()
    await store.put(Route("/a", "http://127.0.0.1:1"))
    (await store.load()).clear()
    assert len(await store.load()) == 1


async def test_nothing_is_kept_after_close() -> None:
    store = MemoryStore()
    await store.put(Route("/a", "http://127.0.0.1:1"))
    await store.close()
    assert await store.load() == []
