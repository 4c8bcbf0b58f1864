"""The whole table of a running hubgate: read as it comes, and changed as one revision."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

import click

from hubgate.cli.api.client import LARGEST, Api
from hubgate.control.api.object_reader import ObjectReader
from hubgate.errors import ConfigError, RouteError

PIECE = 64 * 1024
_ROUTES = "/api/routes"


class ChangedError(click.ClickException):
    """The table is not the one that the change was meant for."""


@dataclass(frozen=True)
class ShownTable:
    """The table as the API shows it, and its ETag."""

    routes: dict[str, dict[str, Any]]
    etag: str


def read_routes(api: Api) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each route's key and data as the API sends them. Raises click.ClickException."""
    with api.stream("GET", _ROUTES) as response:
        yield from _routes(api, response)


def read_table(api: Api) -> ShownTable:
    """Return the table. Raises click.ClickException, also if it has no ETag."""
    with api.stream("GET", _ROUTES) as response:
        table = ShownTable(dict(_routes(api, response)), response.headers.get("ETag", ""))
    if not table.etag:
        raise click.ClickException(f"{api.url}: an older hubgate, which cannot import; upgrade it")
    return table


def change_table(
    api: Api, method: str, etag: str, body: Iterable[bytes], size: int, query: Iterable[str] = ()
) -> dict[str, Any]:
    """PUT or PATCH the table that has this ETag; return which routes were changed.

    Raises ChangedError if it is another by now, ConfigError for routes that cannot be, and
    click.ClickException.
    """
    kind = "application/json" if method == "PUT" else "application/merge-patch+json"
    fields = {"If-Match": etag, "Content-Type": kind, "Content-Length": str(size)}
    path = f"{_ROUTES}?{'&'.join(f'{name}=1' for name in query)}"
    with api.stream(method, path, body, fields) as response:
        answer = response.read(LARGEST).decode("utf-8", "replace")
    match response.status:
        case 200:
            return _counts(api, answer)
        case 412:
            raise ChangedError(f"{api.url}: the routes were changed meanwhile; try again")
        case 400 | 409:
            raise ConfigError(*(answer.splitlines() or [f"refused with {response.status}"]))
        case 413:
            raise click.ClickException(f"{api.url}: {answer}; import it in several parts")
        case status:
            said = " ".join(answer.split())[:300]
            if status < 500:
                raise api.stranger(f"it returned {status}")
            raise click.ClickException(f"{api.url}: failed: {said or status}; see its log")


def _counts(api: Api, answer: str) -> dict[str, Any]:
    try:
        counts = json.loads(answer)
    except (ValueError, RecursionError):
        counts = None
    if not isinstance(counts, dict):
        raise api.stranger("its response is not a JSON object")
    return counts


def _routes(api: Api, response: HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    if response.status != 200:
        raise api.stranger(f"it returned {response.status}")
    reader, size = ObjectReader(), 0
    try:
        while piece := response.read1(PIECE):
            size += len(piece)
            if size > LARGEST:
                raise api.stranger(f"its response is larger than {LARGEST >> 20} MiB")
            yield from _checked(reader.feed(piece))
        yield from _checked(reader.feed(b"", final=True))
    except RouteError:
        raise api.stranger("its response is not a JSON object of routes") from None


def _checked(members: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, data in members:
        if not isinstance(data, Mapping):
            raise RouteError("not a route")
        yield key, dict(data)
