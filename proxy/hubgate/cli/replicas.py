"""`proxyctl replicas`: the hubgates that share a store, as one of them sees the others."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from hubgate.cli.api.client import Api
from hubgate.cli.api.options import with_api
from hubgate.cli.table.routes_table import ago, on_terminal
from hubgate.logs import one_line

PAGE = "/api/replicas"

_HEADINGS = ("Replica", "State", "Release", "Revision", "Since", "Last seen", "API", "Differs in")


# Of a store that is not "ok", where the word alone does not say it.
_REASONS = {
    "away": "the store is away: see the log of {name}",
    "unsettled": "the table in the store is being settled",
    "name": "another replica has the name {name}: give each its own replicas.name",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as the API sends it.")
@click.option(
    "--check", is_flag=True, help="Exit 1 if one is not live or differs, or the store is away."
)
@with_api
def replicas(api: Api, as_json: bool, check: bool) -> int:
    """List the hubgates that share the store of a running one.

    Prints a table on a terminal, else tab-separated lines. A replica that went without saying so is
    listed for a day. What differs is compared with the one that is asked: fixed routes, routing
    options, tokens and release.
    """
    found = _get(api)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _print(found)
    wrong = list(_wrong(found))
    for line in wrong:
        click.echo(one_line(f"{'error' if check else 'warning'}: {line}"), err=True)
    return 1 if check and wrong else 0


def _get(api: Api) -> dict[str, Any]:
    status, body = api.operate("GET", PAGE)
    if status == 404:
        raise click.ClickException(f"{api.url}: it does not know {PAGE}; upgrade it")
    try:
        found = json.loads(body) if status == 200 else None
    except (ValueError, RecursionError):
        found = None
    rows = found.get("replicas") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise api.stranger(f"it returned {status} for {PAGE}")
    assert isinstance(found, dict)
    return found


def _wrong(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each replica that is not as it should be, and for a store that is away."""
    if (state := found.get("store")) != "ok":
        reason = _REASONS.get(str(state), f"the store is {state}")
        reason = reason.format(name=found.get("name"))
        yield f"{reason}; this is what was known at {found.get('known_at')}"
    for row in found["replicas"]:
        if not row.get("live"):
            yield f"{row.get('name')}: not live, last seen {row.get('last_seen')}"
        elif row.get("differs"):
            yield f"{row.get('name')}: differs from {found.get('name')} in {_words(row['differs'])}"


def _print(found: Mapping[str, Any]) -> None:
    if not on_terminal():
        for row in found["replicas"]:
            click.echo("\t".join(map(one_line, _cells(row, str))))
        return
    now = datetime.now(UTC)
    rows = [_cells(row, lambda moment: ago(moment, now)) for row in found["replicas"]]
    # Imported late: it takes a tenth of a second, and a pipe does not need it.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in _HEADINGS:
        table.add_column(heading, overflow="fold")
    for cells in rows:
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    Console().print(table)


def _cells(row: Mapping[str, Any], moment: Callable[[str], str]) -> Sequence[str]:
    return (
        str(row.get("name")),
        "live" if row.get("live") else "gone",
        _shown(row.get("release")),
        _shown(row.get("revision")),
        moment(_shown(row.get("started"))),
        moment(_shown(row.get("last_seen"))),
        _words(row.get("api", [])),
        _words(row.get("differs", [])),
    )


def _shown(value: object) -> str:
    return "-" if value is None else str(value)


def _words(values: Sequence[object]) -> str:
    return ", ".join(map(str, values)) or "-"
