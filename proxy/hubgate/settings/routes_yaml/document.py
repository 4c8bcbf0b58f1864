"""routes.yaml as plain data, with the line of each value."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

from hubgate.current_folder import current_folder
from hubgate.errors import ConfigError
from hubgate.file_reading import read_file
from hubgate.settings.setting import Place


@dataclass(frozen=True)
class Document:
    """A file's settings; `lines` maps a value's place to its line, counted from 1."""

    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[Place, int] = field(default_factory=dict)


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
    """Parse YAML `text`; errors call it `name`. Raises ConfigError."""
    try:
        return _parse(yaml.SafeLoader(text), name)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}{_describe(error)}") from None
    except RecursionError:
        raise ConfigError(f"{name}: is nested too deeply") from None


def _parse(loader: yaml.SafeLoader, name: str) -> Document:
    try:
        node = loader.get_single_node()
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return Document()
        if not isinstance(node, MappingNode):
            raise ConfigError(
                f"{name}: contains no settings; write keys such as listen: and routes:"
            )
        lines: dict[Place, int] = {}
        mistakes = list(_walk(node, (), lines, set()))
        if mistakes:
            raise ConfigError(*(f"{name}, {mistake}" for mistake in mistakes))
        return Document(loader.construct_document(node), lines)
    finally:
        loader.dispose()


def _walk(node: Node, place: Place, lines: dict[Place, int], seen: set[int]) -> Iterator[str]:
    """Record the line of each value; yield what YAML allows and we do not."""
    lines[place] = node.start_mark.line + 1
    # An alias shows the same node again; walking it twice can take exponential time.
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, MappingNode):
        yield from _walk_mapping(node, place, lines, seen)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(item, (*place, index), lines, seen)


def _walk_mapping(
    node: MappingNode, place: Place, lines: dict[Place, int], seen: set[int]
) -> Iterator[str]:
    first: dict[str, int] = {}
    for key, value in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in first:
            where = dotted((*place, name))
            yield f"line {line}: {where}: appears twice, first on line {first[name]}; keep one"
        first.setdefault(name, line)
        yield from _walk(value, (*place, name), lines, seen)
        lines[*place, name] = line


def dotted(place: Place) -> str:
    """Return a place as a person would write it: `routes./user/alice.target`, `listen.host[1]`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _describe(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "is not YAML"
    if "'\\t'" in problem:
        problem += "; indent with spaces"
    return f"{f', line {mark.line + 1}' if mark else ''}: {problem}"
