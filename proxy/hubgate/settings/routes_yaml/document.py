"""routes.yaml as plain data, with the line of each value."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hubgate.current_folder import current_folder
from hubgate.errors import ConfigError
from hubgate.file_reading import read_file
from hubgate.settings.routes_yaml.core_schema import CoreLoader
from hubgate.settings.routes_yaml.syntax import syntax_mistake
from hubgate.settings.setting import Place, dotted


@dataclass(frozen=True)
class Document:
    """A file's settings; `lines` maps a value's place to its line, counted from 1.

    `mistakes` are those that do not keep the rest from being read, each as one line: keys that
    appear twice, or are not text.
    """

    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[Place, int] = field(default_factory=dict)
    mistakes: tuple[str, ...] = ()


# A value may stand for this many times as many as are written in the file so far, plus a few.
_MOST_FOLD, _FEW = 10, 10_000

_KEYS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")
# The names in this mapping may be numbers.
_FREE = "headers"


def read_document(path: Path) -> Document:
    """Read the YAML file at `path`. Raises ConfigError."""
    try:
        text = read_file(Path(current_folder(), path)).decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; create it or give another") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    return parse_document(text, str(path))


def parse_document(text: str, name: str) -> Document:
    """Parse YAML `text`; errors call it `name`. Raises ConfigError for what cannot be read on."""
    loader = None
    try:
        loader = CoreLoader(text)
        return _parse(loader, name)
    except yaml.YAMLError as error:
        line, what = syntax_mistake(error, text)
        raise ConfigError(f"{name}{f', line {line}' if line else ''}: {what}") from None
    except ValueError:  # PyYAML checks no number that YAML itself has: \U00110000, %YAML 1.99…
        where = f", line {loader.line + 1}" if loader else ""
        raise ConfigError(f"{name}{where}: contains a number that YAML does not have") from None
    except RecursionError:
        raise ConfigError(f"{name}: is nested too deeply") from None


def _parse(loader: CoreLoader, name: str) -> Document:
    try:
        node = loader.get_single_node()
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return Document()
        if not isinstance(node, MappingNode):
            raise ConfigError(
                f"{name}: contains no settings; write keys such as listen: and routes:"
            )
        found = _Walk(name)
        found.walk(node, ())
        data = _with_text_keys(loader.construct_document(node))
        return Document(data, found.lines, tuple(found.mistakes))
    finally:
        loader.dispose()


def _with_text_keys(value: Any, name: object = None) -> Any:
    """Return a copy of `value` without the keys that are a mistake, since they are not text."""
    if not isinstance(value, dict):
        return value
    return {
        key: _with_text_keys(inner, key)
        for key, inner in value.items()
        if isinstance(key, str) or name == _FREE
    }


class _Walk:
    """The line of each value, and what YAML allows and we do not."""

    def __init__(self, name: str) -> None:
        self.lines: dict[Place, int] = {}
        self.mistakes: list[str] = []
        self._name = name
        # How many values each node stands for, those behind its aliases included; 0: not known yet.
        self._sizes: dict[int, int] = {}
        self._written = 0

    def walk(self, node: Node, place: Place) -> int:
        """Look through `node`; return its size. Raises ConfigError for what must not be built."""
        line = self.lines[place] = node.start_mark.line + 1
        self._written += 1
        # An alias shows the same node again; walking it twice can take exponential time.
        if (known := self._sizes.get(id(node))) is not None:
            if not known:
                raise self._mistake(line, place, "contains itself, by an alias; write it out")
            return known
        self._sizes[id(node)] = 0
        size = 1
        if isinstance(node, ScalarNode):
            self._check_text(node, line, place)
        elif isinstance(node, MappingNode):
            size += self._walk_mapping(node, place)
        elif isinstance(node, SequenceNode):
            size += sum(self.walk(item, (*place, at)) for at, item in enumerate(node.value))
        self._sizes[id(node)] = size
        # Whatever shows or copies a value would take as long as if it were written out.
        if size > _MOST_FOLD * self._written + _FEW:
            raise self._mistake(line, place, "is far too large with its aliases; write it out")
        return size

    def _walk_mapping(self, node: MappingNode, place: Place) -> int:
        first: dict[str, int] = {}
        size = 0
        for key, value in node.value:
            line = key.start_mark.line + 1
            # Also for what its aliases may stand for, which only values are checked for.
            if not isinstance(key, ScalarNode):
                raise self._mistake(line, place, "has a list or a mapping for a key; write text")
            self._check_text(key, line, place)
            name = str(key.value)
            inside = (*place, name)
            if name in first:
                text = f"appears twice, first on line {first[name]}; keep one"
                self.mistakes += self._mistake(line, inside, text).lines
            if key.tag not in _KEYS and place[-1:] != (_FREE,):
                text = f"{name} is not text; put the key in quotes"
                self.mistakes += self._mistake(line, inside, text).lines
            first.setdefault(name, line)
            size += self.walk(value, inside)
            self.lines[inside] = line
        return size

    def _check_text(self, node: ScalarNode, line: int, place: Place) -> None:
        """Raise ConfigError for what cannot be written anywhere: half of a surrogate pair."""
        try:
            node.value.encode()
        except UnicodeEncodeError as error:
            half = f"\\u{ord(node.value[error.start]):04x}"
            text = f"{half} is half of a character; write the character itself"
            raise self._mistake(line, place, text) from None

    def _mistake(self, line: int, place: Place, text: str) -> ConfigError:
        return ConfigError(
            ": ".join(filter(None, (f"{self._name}, line {line}", dotted(place), text)))
        )
