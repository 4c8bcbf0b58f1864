"""What differs between two readings of the settings, and which of it a running hubgate adopts."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from hubgate.settings.catalogue import SETTINGS
from hubgate.settings.setting import NotInFile, TakesEffect
from hubgate.settings.values import Settings

TAKES_EFFECT: dict[str, TakesEffect] = {
    field: setting.takes_effect for setting in SETTINGS for field in setting.fields
}
"""When a change of a field of `Settings` takes effect."""


def part_of(field: str) -> str:
    """Return the part of `Settings` a field is in; `worker` is split into its own parts."""
    owner, _, rest = field.partition(".")
    return f"{owner}.{rest.partition('.')[0]}" if owner == "worker" else owner


def _names() -> Iterator[tuple[str, str]]:
    """Yield each part of `Settings` with the common prefix of the keys that decide it."""
    for part in dict.fromkeys(map(part_of, TAKES_EFFECT)):
        deciding = [each for each in SETTINGS if part in map(part_of, each.fields)]
        places = [each.place for each in deciding if each.place]
        if places:
            first, last = min(places), max(places)
            pairs = zip(first, last, strict=False)
            alike = next((n for n, (one, other) in enumerate(pairs) if one != other), len(first))
            yield part, ".".join(map(str, first[:alike]))
        elif isinstance(given := deciding[0].given, NotInFile):
            yield part, given.name


NAMES: dict[str, str] = dict(_names())
"""What messages call each part of `Settings`."""

PINNED: dict[str, str] = {
    field: NAMES.get(field, field)
    for field, takes_effect in TAKES_EFFECT.items()
    if takes_effect is TakesEffect.AT_RESTART
}
"""Fields of `Settings`, or of its parts, that only a restart changes, and what messages say."""


def changed(old: Settings, new: Settings) -> Iterator[str]:
    """Yield what differs, by its names in routes.yaml."""
    for field in _changed(old, new, ""):
        part = part_of(field)
        yield NAMES[part] + field.removeprefix(part)


def taken_over(running: Settings, fresh: Settings) -> Settings:
    """Return `running` with what a reload takes over from `fresh`.

    An API that has a token never loses it, unless there is another.
    """
    taken: Settings = _taken_over(running, fresh, "")
    if fresh.api_token is not None or fresh.api_tokens:
        return taken
    has_token = running.api_token is not None or running.api_tokens
    return dataclasses.replace(
        taken,
        api_token=running.api_token,
        api_token_file=running.api_token_file,
        api_tokens=running.api_tokens,
        api_open=running.api_open if has_token else taken.api_open,
    )


def _changed(old: Any, new: Any, prefix: str) -> Iterator[str]:
    for field in dataclasses.fields(old):
        name = prefix + field.name
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before == after or TAKES_EFFECT.get(name) is TakesEffect.AT_START:
            continue
        if dataclasses.is_dataclass(before) and type(before) is type(after):
            yield from _changed(before, after, name + ".")
        else:
            yield name


def _taken_over(old: Any, new: Any, prefix: str) -> Any:
    values = {}
    for field in dataclasses.fields(old):
        name = prefix + field.name
        before, after = getattr(old, field.name), getattr(new, field.name)
        taken = {
            takes_effect is TakesEffect.AT_RELOAD
            for known, takes_effect in TAKES_EFFECT.items()
            if known == name or known.startswith(name + ".")
        }
        if taken == {True}:
            values[field.name] = after
        elif True in taken and type(before) is type(after):
            values[field.name] = _taken_over(before, after, name + ".")
    return dataclasses.replace(old, **values)
