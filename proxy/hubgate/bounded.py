"""The two ways to keep computed values without growing without bound: by count, and by bytes.

By count is for keys of a bounded size; where a stranger or a target decides how large a key or a
value is, count bytes.
"""

from collections.abc import Hashable
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# What a key and its value hold beyond their own bytes: the objects they are, a tuple or two, and
# their place in the dictionary.
ENTRY = 256


def keep(cache: dict[K, V], key: K, value: V, most: int) -> None:
    """Put a value into a cache of at most `most` keys; a full one is emptied first.

    Emptying it costs less than tracking what was used last, and what is still in use is soon
    back.
    """
    if len(cache) >= most:
        cache.clear()
    cache[key] = value


class ByteCache(dict[K, V]):
    """A cache of at most `most` bytes, of which it holds `held`; a full one is emptied first.

    To look something up costs what it costs in a dictionary.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.held = 0

    def keep(self, key: K, value: V, size: int) -> None:
        """Put a value in that holds `size` bytes together with its key; ENTRY is added.

        One that is larger than the whole cache is not kept. Where it replaces another, both
        count until the cache is emptied.
        """
        size += ENTRY
        if size > self.most:
            return
        if self.held + size > self.most:
            self.clear()
        self.held += size
        self[key] = value

    def clear(self) -> None:
        """Empty it."""
        super().clear()
        self.held = 0
