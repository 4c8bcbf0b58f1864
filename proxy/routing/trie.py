"""Longest-prefix lookup by whole path segments."""

from typing import Generic, TypeVar

T = TypeVar("T")


class _Node(Generic[T]):
    __slots__ = ("children", "value")

    def __init__(self) -> None:
        self.children: dict[str, _Node[T]] = {}
        self.value: T | None = None


class Trie(Generic[T]):
    """Maps paths to values; `match` finds the value of the longest matching prefix.

    Leading and trailing slashes do not count; an empty segment between two slashes does.
    """

    __slots__ = ("_root", "_split")

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        # No path needs cutting deeper than the deepest key: a request path made of slashes
        # costs one split, not one node visit per slash.
        self._split = 1

    def __setitem__(self, path: str, value: T) -> None:
        node = self._root
        parts = _segments(path)
        self._split = max(self._split, len(parts) + 1)
        for part in parts:
            child = node.children.get(part)
            if child is None:
                child = node.children[part] = _Node()
            node = child
        node.value = value

    def discard(self, path: str) -> None:
        """Forget the value at exactly `path`, if there is one."""
        trail = [self._root]
        parts = _segments(path)
        for part in parts:
            child = trail[-1].children.get(part)
            if child is None:
                return
            trail.append(child)
        trail[-1].value = None
        for part in reversed(parts):
            node = trail.pop()
            if node.children or node.value is not None:
                break
            del trail[-1].children[part]

    def match(self, path: str) -> T | None:
        """Return the value whose key is the longest prefix of `path` in whole segments."""
        node = self._root
        best = node.value
        for part in path.strip("/").split("/", self._split):
            child = node.children.get(part)
            if child is None:
                break
            node = child
            if node.value is not None:
                best = node.value
        return best


def _segments(path: str) -> list[str]:
    path = path.strip("/")
    return path.split("/") if path else []
