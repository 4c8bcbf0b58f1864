"""YAML as its version 1.2 reads plain words: the core schema, and nothing of version 1.1.

Of version 1.1, PyYAML's own schema, come times of day that are numbers (22:22), octal numbers
that look decimal (0100), digits with underscores, `no` and `off` that are false, and dates.
https://yaml.org/spec/1.2.2/#103-core-schema
"""

import re
from collections.abc import Callable
from typing import Any, ClassVar

import yaml
from yaml.nodes import ScalarNode

_PREFIX = "tag:yaml.org,2002:"

_NULL = re.compile(r"(?:null|Null|NULL|~|)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(
    r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
)
# Python converts no more digits than this by default, nor does any setting need them.
_LONGEST = 100


class WrittenInt(int):
    """A whole number that is shown, and sent in a header, as it was written."""

    text: str

    def __repr__(self) -> str:
        return self.text

    __str__ = __repr__


class WrittenFloat(float):
    """A number that is shown, and sent in a header, as it was written."""

    text: str

    def __repr__(self) -> str:
        return self.text

    __str__ = __repr__


class CoreLoader(yaml.SafeLoader):
    """A YAML loader with the core schema; also for merge keys (`<<`), which 1.2 has no word on."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    yaml_constructors: ClassVar[dict[str | None, Callable[..., Any]]] = {
        tag: yaml.SafeLoader.yaml_constructors[tag]
        for tag in (*(_PREFIX + kind for kind in ("str", "seq", "map")), None)
    }

    def _plain(self, node: ScalarNode, pattern: re.Pattern[str]) -> str:
        """Return the text of a word with an explicit tag or none. Raises ConstructorError."""
        text = str(self.construct_scalar(node))
        if not pattern.match(text) or len(text) > _LONGEST:
            kind = node.tag.removeprefix(_PREFIX)
            problem = f"this is not what !!{kind} stands for in YAML 1.2"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return text

    def _null(self, node: ScalarNode) -> None:
        self._plain(node, _NULL)

    def _bool(self, node: ScalarNode) -> bool:
        return self._plain(node, _BOOL).lower() == "true"

    def _int(self, node: ScalarNode) -> int:
        text = self._plain(node, _INT)
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        number = WrittenInt(text, base)
        number.text = text
        return number

    def _float(self, node: ScalarNode) -> float:
        text = self._plain(node, _FLOAT)
        number = WrittenFloat(re.sub(r"\.(?=[a-zA-Z])(?![eE])", "", text))
        number.text = text
        return number


def _resolve(kind: str, pattern: re.Pattern[str], first: str) -> None:
    CoreLoader.add_implicit_resolver(_PREFIX + kind, pattern, list(first) if first else None)


_resolve("bool", _BOOL, "tTfF")
_resolve("int", _INT, "-+0123456789")
_resolve("float", _FLOAT, "-+.0123456789")
_resolve("merge", re.compile(r"<<\Z"), "<")
CoreLoader.add_implicit_resolver(_PREFIX + "null", _NULL, ["~", "n", "N", ""])
CoreLoader.add_constructor(_PREFIX + "null", CoreLoader._null)
CoreLoader.add_constructor(_PREFIX + "bool", CoreLoader._bool)
CoreLoader.add_constructor(_PREFIX + "int", CoreLoader._int)
CoreLoader.add_constructor(_PREFIX + "float", CoreLoader._float)
