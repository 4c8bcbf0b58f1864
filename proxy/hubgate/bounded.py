"""A cache of computed values that cannot grow without bound."""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedDict(dict[K, V], Generic[K, V]):
    """A dict of at most `most` keys: adding one more empties it first.

    Emptying it costs less than tracking what was used last, and what is still in use is soon
    back. Only assignment by key is bounded.
    """

    __slots__ = ("_most",)

    def __init__(self, most: int) -> None:
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        if len(self) >= self._most and key not in self:
            self.clear()
        dict.__setitem__(self, key, value)
