"""The one way to keep computed values without growing without bound."""

from collections.abc import Hashable
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def keep(cache: dict[K, V], key: K, value: V, most: int) -> None:
    """Put a value into a cache of at most `most` keys; a full one is emptied first.

    Emptying it costs less than tracking what was used last, and what is still in use is soon
    back.
    """
    if len(cache) >= most:
        cache.clear()
    cache[key] = value
