"""The table of settings is complete, and agrees with all that lists settings beside it."""

import dataclasses
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from hubgate.settings import Settings
from hubgate.settings.catalogue import FLAGS, LISTENERS, SETTINGS, variables_of
from hubgate.settings.changes import NAMES, part_of
from hubgate.settings.routes_yaml.schema import File, RouteEntrySection, Section
from hubgate.settings.setting import Flag, Setting

ROOT = Path(__file__).parents[2]
IN_FILE = [setting for setting in SETTINGS if setting.key]


def fields_of(kind: type, prefix: str = "") -> Iterator[str]:
    """Yield every field of a dataclass, those of dataclasses in it instead of these."""
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        inner = [each for each in kinds(hints[field.name]) if dataclasses.is_dataclass(each)]
        if inner:
            yield from fields_of(inner[0], f"{prefix}{field.name}.")
        else:
            yield prefix + field.name


def keys_of(model: type[Section], prefix: str = "") -> Iterator[str]:
    """Yield every key of a section, those of sections in it instead of these.

    The keys of `routes` are whatever a person has written.
    """
    for name, described in model.model_fields.items():
        inner = [
            each
            for each in kinds(described.annotation)
            if isinstance(each, type)
            and issubclass(each, Section)
            and each is not RouteEntrySection
        ]
        if inner:
            yield from keys_of(inner[0], f"{prefix}{name}.")
        else:
            yield prefix + name


def kinds(annotation: Any) -> tuple[Any, ...]:
    """Return what a value may be; tuples and mappings are not looked into."""
    return get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)


def test_every_field_of_the_settings_is_there() -> None:
    known = [field for setting in SETTINGS for field in setting.fields]
    assert set(known) == set(fields_of(Settings))


def test_every_key_of_the_file_is_there_once() -> None:
    assert sorted(setting.key for setting in IN_FILE) == sorted(keys_of(File))


def test_what_becomes_one_field_counts_at_one_time() -> None:
    takes_effect: dict[str, set[object]] = {}
    for setting in SETTINGS:
        for field in setting.fields:
            takes_effect.setdefault(field, set()).add(setting.takes_effect)
    assert [field for field, found in takes_effect.items() if len(found) > 1] == []


def test_no_flag_and_no_variable_is_there_twice() -> None:
    names = [flag.name for flag in FLAGS]
    variables = [name for setting in SETTINGS for name in setting.variables]
    assert len(set(names)) == len(names) == sum(isinstance(s.given, Flag) for s in SETTINGS)
    assert len(set(variables)) == len(variables)


def test_whatever_stands_in_no_file_has_a_name_of_its_own() -> None:
    assert [setting for setting in SETTINGS if not setting.key and setting.given is None] == []
    assert set(NAMES) == {part_of(field) for field in fields_of(Settings)}


def test_what_listens() -> None:
    """By the second, releases hand over sockets to each other; by the last, systemd does."""
    assert [(field, flag.name, flag.descriptor) for field, flag in LISTENERS.items()] == [
        ("listen", "--port", "public"),
        ("redirect", "--redirect-port", "redirect"),
        ("api", "--api-port", "api"),
        ("metrics", "--metrics-port", "metrics"),
        ("health", "--health-port", "health"),
    ]


def test_it_is_light() -> None:
    """What listens before all else needs it."""
    code = "import sys, hubgate.settings.catalogue; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"pydantic", "yaml", "cryptography", "aiohttp", "click"}.isdisjoint(loaded)


# --- what people read ---


def rows() -> list[list[str]]:
    """Return the table in the README: flags, variables and places, without its head."""
    text = (ROOT / "README.md").read_text()
    lines = text[text.index("| flag | environment |") :].split("\n\n")[0].splitlines()
    return [line.strip("| ").split(" | ") for line in lines[2:]]


def quoted(cell: str) -> list[str]:
    return [name for text in re.findall("`([^`]+)`", cell) for name in text.split(", ")]


def keys_in(cell: str) -> list[str]:
    """Return the keys in `listen: {tls: {cert, key}}`."""
    (text,) = re.findall("`([^`]+)`", cell)
    *sections, last = re.split(r": \{", text.rstrip("}"))
    return [".".join((*sections, key)) for key in last.split(", ")]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_the_readme_agrees(row: list[str]) -> None:
    settings = [setting_of(name) for name in quoted(row[0])]
    own = [name for setting in settings for name in setting.variables]
    # The API's token is given in the environment, or in the file that a flag names.
    given = list(variables_of("api_token")) if row[0] == "`--token-file`" else own
    assert quoted(row[1]) == given
    # A path alone is short for `access_log: {path: ...}`.
    keys = [setting.key.removesuffix(".path") for setting in settings]
    assert keys_in(row[2]) == keys


def setting_of(name: str) -> Setting:
    return next(setting for flag, setting in FLAGS.items() if flag.name == name)


@pytest.mark.parametrize("file", ["README.md", "routes.yaml"])
def test_variables_that_are_named_are_there(file: str) -> None:
    named = set(re.findall(r"\b(?:HUBGATE|CONFIGPROXY)_[A-Z_]+[A-Z]", (ROOT / file).read_text()))
    assert named
    assert named <= {name for setting in SETTINGS for name in setting.variables}
