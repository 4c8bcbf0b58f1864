"""A route's posted data, kept as text: listing all routes needs no more than that."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

_encode = json.JSONEncoder(separators=(",", ":")).encode


class RouteData(Mapping[str, Any]):
    """A JSON object with at least one member, parsed again on each access.

    `text` is ASCII, without white space around it. It takes less memory than a dict, which
    would hold its own keys for each route.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "RouteData":
        """Return `data`, which must be JSON-serializable and not empty, as text."""
        return data if isinstance(data, RouteData) else cls(_encode(data))

    def __getitem__(self, name: str) -> Any:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RouteData):
            return other.text == self.text or self._read() == other._read()
        return isinstance(other, Mapping) and self._read() == dict(other)

    __hash__ = None  # type: ignore[assignment]  # like a dict

    def __repr__(self) -> str:
        return f"RouteData({self.text!r})"

    def _read(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.text)
        return data
