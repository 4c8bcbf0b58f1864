"""Longest-prefix lookup by whole path segments."""

from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")

# A node is a dict from a segment to what is below it: another node, or just the value where no key
# goes deeper. A hub's users do not need a node each, and a lookup ends at the first non-node.
_Node = dict[str, Any]

# Where a node keeps its own value: no segment contains a slash.
_OWN = "/"


class Trie(Generic[T]):
    """Maps paths to values; `match` finds the value of the longest matching prefix.

    Leading and trailing slashes do not count; an empty segment between two slashes does. A value
    is neither None nor a dict.
    """

    __slots__ = ("_node", "_parent", "_root", "_size", "_split")

    def __init__(self) -> None:
        self._root: _Node = {}
        self._size = 0
        # No path needs splitting deeper than the deepest key: a request path made of slashes
        # costs one split, not one node visit per slash.
        self._split = 2
        # Where the last value was put: a hub's users come one after another.
        self._parent, self._node = "", self._root

    def __len__(self) -> int:
        return self._size

    def __setitem__(self, path: str, value: T) -> None:
        parent, _, last = path.strip("/").rpartition("/")
        if parent != self._parent:
            self._open(parent)
        node, last = self._node, last or _OWN
        below = node.get(last)
        if type(below) is dict:
            node, last, below = below, _OWN, below.get(_OWN)
        self._size += below is None
        node[last] = value

    def get(self, path: str) -> T | None:
        """Return the value at exactly `path`."""
        found: Any = self._root
        for part in _segments(path):
            if type(found) is not dict:
                return None
            found = found.get(part)
        return cast(T, found.get(_OWN) if type(found) is dict else found)

    def begins(self, segment: str) -> bool:
        """Say whether any key has `segment` first."""
        return segment in self._root

    def discard(self, path: str) -> None:
        """Remove the value at exactly `path`, if there is one."""
        trail, parts = [self._root], _segments(path)
        for part in parts:
            child = trail[-1].get(part)
            if type(child) is not dict:
                break
            trail.append(child)
        left = parts[len(trail) - 1 :] or [_OWN]
        if len(left) > 1 or trail[-1].pop(left[0], None) is None:
            return
        self._size -= 1
        self._shrink(trail, parts)
        self._parent, self._node = "", self._root

    def match(self, path: str) -> T | None:
        """Return the value whose key is the longest prefix of `path` in whole segments."""
        node = self._root
        parts = path.strip("/").split("/", self._split)
        for part in parts:
            child = node.get(part)
            if type(child) is not dict:
                if child is None:
                    break
                value: T = child
                return value
            node = child
        own: T | None = node.get(_OWN)
        return self._passed(parts) if own is None and node is not self._root else own

    def _passed(self, parts: list[str]) -> T | None:
        """Return the last value along `parts`: rarely needed, so `match` does not track it."""
        node, best = self._root, None
        for part in parts:
            best = node.get(_OWN, best)
            child = node.get(part)
            if type(child) is not dict:
                break
            node = child
        return best

    def longest(self, path: str) -> str | None:
        """Return the key, with one leading slash, whose value `match` returns."""
        node, parts, best = self._root, _segments(path), None
        for depth, part in enumerate(["", *parts]):
            child = node.get(part) if depth else node
            if type(child) is not dict or _OWN in child:
                best = best if child is None else depth
            if type(child) is not dict:
                break
            node = child
        return None if best is None else "/" + "/".join(parts[:best])

    def _open(self, path: str) -> None:
        """Make the node at `path`, created if missing, the one that new values go into."""
        node, parts = self._root, path.split("/") if path else []
        self._split = max(self._split, len(parts) + 2)
        for part in parts:
            child = node.get(part)
            if type(child) is not dict:
                child = node[part] = {} if child is None else {_OWN: child}
            node = child
        self._parent, self._node = path, node

    def _shrink(self, trail: list[_Node], parts: list[str]) -> None:
        """Collapse the nodes along `trail` and `parts` that are empty or hold only a value."""
        for depth in range(len(trail) - 1, 0, -1):
            node, parent, part = trail[depth], trail[depth - 1], parts[depth - 1]
            if len(node) > 1 or not node.keys() <= {_OWN}:
                return
            if node:
                parent[part] = node[_OWN]
                return
            del parent[part]


def _segments(path: str) -> list[str]:
    path = path.strip("/")
    return path.split("/") if path else []
