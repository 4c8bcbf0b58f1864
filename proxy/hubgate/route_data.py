"""What was posted with a route, kept as text: a list of all routes needs no more than that."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

_encode = json.JSONEncoder(separators=(",", ":")).encode


class RouteData(Mapping[str, Any]):
    """A JSON object with at least one member, read anew whenever somebody looks into it.

    `text` is ASCII and without white space around it. It takes less memory than the dict
    does, whose keys would be there for each route.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "RouteData":
        """Return `data`, which must be fit for JSON and not empty, as text."""
        return data if isinstance(data, RouteData) else cls(_encode(data))

    def __getitem__(self, name: str) -> Any:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RouteData) and other.text == self.text:
            return True
        return isinstance(other, Mapping) and self._read() == dict(other)

    __hash__ = None  # type: ignore[assignment]  # as a dict

    def __repr__(self) -> str:
        return f"RouteData({self.text!r})"

    def _read(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.text)
        return data
