"""Printing routes: a table on a terminal, plain lines in a pipe."""

import json
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from hubgate.logs import one_line
from hubgate.model import LAST_ACTIVITY

# Columns; in fewer, a table would show nothing.
_NARROWEST = 30
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def print_routes(routes: Mapping[str, Any]) -> None:
    """Print the route table; in a pipe, tab-separated and without a heading."""
    rows = sorted((key, data if isinstance(data, dict) else {}) for key, data in routes.items())
    if not on_terminal():
        for key, data in rows:
            values = (key, *(str(data.get(name, "")) for name in ("target", LAST_ACTIVITY)))
            click.echo("\t".join(map(one_line, values)))
    else:
        _print_table(rows)


def on_terminal() -> bool:
    """Return whether a person sees the output, on a terminal wide enough for a table."""
    if sys.stdout is None or not sys.stdout.isatty():
        return False
    return shutil.get_terminal_size().columns >= _NARROWEST


def _print_table(rows: list[tuple[str, dict[str, Any]]]) -> None:
    # Imported late: it takes a tenth of a second, and a pipe does not need it.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("Route", overflow="fold")
    table.add_column("Target", overflow="fold")
    table.add_column("Active", justify="right", no_wrap=True)
    now = datetime.now(UTC)
    for key, data in rows:
        # As Text: a route's name is never markup, even if it looks like it.
        active = one_line(ago(str(data.get(LAST_ACTIVITY, "")), now))
        target = one_line(str(data.get("target", "")))
        table.add_row(Text(one_line(key)), Text(target), Text(active))
    console = Console()
    console.print(table if rows else Text("no routes; add one: proxyctl add PATH TARGET"))


def print_route(data: Mapping[str, Any]) -> None:
    """Print one route's data, one line per key: aligned on a terminal, else separated by a tab."""
    rows = [
        (one_line(key), one_line(value if isinstance(value, str) else json.dumps(value)))
        for key, value in sorted(data.items())
    ]
    width = max(len(key) for key, _ in rows) if rows else 0
    aligned = on_terminal()
    for key, text in rows:
        click.echo(f"{key:<{width}}  {text}" if aligned else f"{key}\t{text}")


def ago(moment: str, now: datetime) -> str:
    """Return how long before `now` an ISO 8601 moment was: `3 min ago`; `moment` if unreadable."""
    try:
        seconds = (now - datetime.fromisoformat(moment)).total_seconds()
    except (ValueError, TypeError):
        return moment
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "now"
