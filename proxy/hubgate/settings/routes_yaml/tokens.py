"""`api: {tokens: …}`: several tokens, each for a part of the route table."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from hubgate.errors import ConfigError
from hubgate.settings.checks import stated
from hubgate.settings.routes_yaml.mistakes import Provenance
from hubgate.settings.routes_yaml.schema import File, TokenSection
from hubgate.settings.setting import Place
from hubgate.settings.token import token_from_file
from hubgate.settings.values import ApiToken

PLACE: Place = ("api", "tokens")


def read_tokens(
    file: File, folder: Path, source: Provenance, main: str | None
) -> tuple[ApiToken, ...]:
    """Return the tokens that `file` names, with paths relative to `folder`.

    `main` is the API's other token, which has no name. Raises ConfigError with a line for each
    mistake.
    """
    sections = file.api.tokens
    lines = [*_clashes(sections, source), *_in_vain(file, source)]
    found: list[ApiToken] = []
    known = {} if main is None else {main: "the API's own"}
    for at, section in enumerate(sections):
        where = source.where((*PLACE, at, "file"))
        path = folder / section.file
        try:
            token = stated(token_from_file, str(path), where)
        except ConfigError as error:
            lines += error.lines
            continue
        if token in known:
            lines.append(f"{where}: {path} has the same token as {known[token]}; give each its own")
        known[token] = section.name
        found.append(ApiToken(section.name, path, token, section.what))
    if lines:
        raise ConfigError(*lines)
    return tuple(found)


def _clashes(sections: Sequence[TokenSection], source: Provenance) -> Iterator[str]:
    """Yield what does not go together: the later one of two is where the mistake is."""
    for (_, first), (at, second) in combinations(enumerate(sections), 2):
        if first.name == second.name:
            where = source.where((*PLACE, at, "name"))
            yield f"{where}: {second.name!r} is the name of another token; give each its own"
        if first.what.overlaps(second.what):
            where = source.where((*PLACE, at, "scope"))
            yield (
                f"{where}: {second.scope!r} overlaps with the scope of {first.name},"
                f" {first.scope!r}; a route belongs to one hub only"
            )


def _in_vain(file: File, source: Provenance) -> Iterator[str]:
    if not file.forward.host_routing:
        return
    for at, section in enumerate(file.api.tokens):
        if section.scope is not None:
            where = source.where((*PLACE, at, "scope"))
            yield (
                f"{where}: does not go with forward.host_routing; drop that, and write"
                " host_routing: true beside the scope of a hub with subdomains"
            )
