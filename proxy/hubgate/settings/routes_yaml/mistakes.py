"""Pydantic's errors as lines a person can act on: where, what is wrong, what would be right."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hubgate.settings.catalogue import FLAGS
from hubgate.settings.checks import shown
from hubgate.settings.routes_yaml.schema import ClashError, File, RouteEntrySection, Section
from hubgate.settings.setting import Place, dotted


@dataclass(frozen=True)
class Provenance:
    """Where settings came from: the file's name and lines, and what overrode them."""

    file: str | None = None
    lines: Mapping[Place, int] = field(default_factory=dict)
    origins: Mapping[Place, str] = field(default_factory=dict)

    def where(self, place: Place, keys: Sequence[str] = ()) -> str:
        """Return where `place` was set: `routes.yaml, line 3: listen.port`, or `--port`.

        Of a section that flags or variables are at fault in, `keys` are those that count.
        """
        at_fault = [(*place, key) for key in keys]
        named = [
            name for known, name in self.origins.items() if known[: len(place) + 1] in at_fault
        ]
        if named:
            return ", ".join(named)
        if origin := self.origins.get(place):
            return origin
        inside = [name for known, name in self.origins.items() if known[: len(place)] == place]
        if inside and place not in self.lines:
            return ", ".join(inside)
        known = next((place[:n] for n in range(len(place), 0, -1) if place[:n] in self.lines), None)
        if self.file is None or known is None:
            return ": ".join(filter(None, (self.file, dotted(place))))
        return f"{self.file}, line {self.lines[known]}: {dotted(place)}"

    def in_order(self, lines: Iterable[str]) -> list[str]:
        """Return mistakes in the order of the file's lines; those elsewhere come last."""
        before = f"{self.file}, line "

        def line(text: str) -> float:
            number = text.removeprefix(before).partition(":")[0]
            return int(number) if text.startswith(before) and number.isdecimal() else math.inf

        return sorted(dict.fromkeys(lines), key=line)


def describe(error: ValidationError, source: Provenance) -> list[str]:
    """Return one line for each of pydantic's errors."""
    findings = error.errors(include_url=False)
    return [line for finding in findings for line in _lines(finding, source)]


def without_mistakes(data: Mapping[str, Any], error: ValidationError) -> dict[str, Any]:
    """Return a copy of `data` without the values that `error` is about, to find more mistakes.

    For a key that is missing, the section that lacks it is left out.
    """
    kept: dict[str, Any] = _copied(data)
    for finding in error.errors(include_url=False, include_context=False):
        _drop(kept, finding["loc"])
    return kept


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _copied(inner) for name, inner in value.items()}
    return value


def _drop(section: Any, place: Sequence[str | int]) -> None:
    """Remove the value at `place`, or the last one on the way to it."""
    for at, name in enumerate(place):
        inner = section.get(name) if isinstance(section, dict) else None
        more = place[at + 1 :]
        if not more or not isinstance(inner, dict) or more[0] not in inner:
            if isinstance(section, dict):
                section.pop(name, None)
            return
        section = inner


def reasons(error: ValidationError, place: Place) -> list[str]:
    """Return what is wrong with the value at `place`, without saying where it is."""
    lines: list[str] = []
    for finding in error.errors(include_url=False):
        if finding["type"] == "value_error":
            lines += finding["ctx"]["error"].args
        else:
            lines.append(_reason(finding, (*place, *finding["loc"])))
    return lines


def _lines(finding: ErrorDetails, source: Provenance) -> list[str]:
    place = finding["loc"]
    if finding["type"] == "value_error":
        found = finding["ctx"]["error"]
        where = source.where(place, found.keys if isinstance(found, ClashError) else ())
        return [f"{where}: {text}" for text in found.args]
    return [_line(finding, source, place)]


def _line(finding: ErrorDetails, source: Provenance, place: Place) -> str:
    return f"{source.where(place)}: {_reason(finding, place)}"


def _reason(finding: ErrorDetails, place: Place) -> str:
    kind, value = finding["type"], finding["input"]
    if kind == "extra_forbidden":
        return _unknown_key(place)
    if kind == "missing":
        return _missing(place)
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"is {_kind(value)}, not a mapping; write {_section(place).example}"
    if kind == "tuple_type":
        return f"is {_kind(value)}, not a list; write [{_section(place).example}]"
    if kind == "literal_error":
        return f"{shown(value)} is not a valid value; write {finding['ctx']['expected']}"
    return f"{shown(value)}: {finding['msg']}"


def _unknown_key(place: Place) -> str:
    known = list(_section(place[:-1]).model_fields)
    close = get_close_matches(str(place[-1]), known, n=1, cutoff=0.6)
    if close:
        return f"unknown key; did you mean {close[0]}?"
    return f"unknown key; the keys here are {', '.join(known)}"


def _missing(place: Place) -> str:
    flag = next((flag.name for flag, setting in FLAGS.items() if setting.place == place), None)
    way = f", or give {flag}" if flag else ""
    return f"is missing; write it as in {_section(place[:-1]).example}{way}"


def _section(place: Place) -> type[Section]:
    """Return the model of the mapping at `place`, or the last one found on the way to it."""
    model: type[Section] = File
    for name in place:
        if model is File and name == "routes":
            return RouteEntrySection if len(place) > 1 else File
        if isinstance(name, int):
            continue  # of a list, whose items have that model
        described = model.model_fields.get(name)
        if described is None:
            break
        # The annotation is the model itself, `Model | None` or `tuple[Model, ...]`.
        for kind in (described.annotation, *get_args(described.annotation)):
            if isinstance(kind, type) and issubclass(kind, Section):
                model = kind
    return model


def _kind(value: object) -> str:
    names = {
        list: "a list",
        dict: "a mapping",
        str: "text",
        bool: "true or false",
        type(None): "empty",
    }
    return names.get(type(value), "a single value")
