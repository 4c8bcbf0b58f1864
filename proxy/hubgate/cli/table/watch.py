"""`proxyctl watch`: a line for each change of the routes of a running hubgate, as it happens."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException, HTTPResponse
from typing import Any

import click

from hubgate.cli.api.client import LARGEST, AbsentError, Api
from hubgate.cli.api.options import with_api
from hubgate.logs import one_line

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds between two attempts to connect again."""


class LostError(click.ClickException):
    """The connection has ended, as in an upgrade: it is worth another attempt."""


@dataclass(frozen=True)
class Event:
    """A server-sent event: its name, its id, and its JSON data."""

    name: str
    id: str
    data: Any


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print an object for each event.")
@click.option("--once", is_flag=True, help="End after the first change.")
@with_api
def watch(api: Api, as_json: bool, once: bool) -> None:
    """Print a line for each change of the routes, until Ctrl-C.

    The connection is made again if it is lost, and no change is missed. With --json, the whole
    table comes first; it comes again, as "reset", if changes may have been missed.
    """
    printer = _print_json if as_json else _print_lines
    for event in _events(api):
        printer(event)
        if once and event.name == "change":
            return


def _events(api: Api) -> Iterator[Event]:
    """Yield events, over as many connections as it takes; raises what the first attempt meets."""
    last, connected, told, pause = "", False, False, SHORTEST_PAUSE
    while True:
        try:
            for event in _connection(api, last):
                last, connected, told = event.id or last, True, False
                pause = SHORTEST_PAUSE
                yield event
        except (AbsentError, LostError) as error:
            if not connected:
                raise
            if not told:
                told = True
                click.echo(one_line(f"proxyctl: {error.format_message()}; trying again"), err=True)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _connection(api: Api, last: str) -> Iterator[Event]:
    """Yield the events of one connection, until it ends. Raises click.ClickException."""
    fields = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
    with api.stream("GET", "/api/watch", fields=fields) as response:
        if response.status in (429, 503):
            raise LostError(f"{api.url}: {_said(response)}")
        if response.status != 200 or "event-stream" not in response.headers.get_content_type():
            raise api.stranger("it cannot be watched; is it an older hubgate?")
        try:
            yield from _parsed(api, response)
        except (OSError, HTTPException, ValueError) as error:
            raise LostError(f"{api.url}: the connection was lost ({error})") from None


def _parsed(api: Api, response: HTTPResponse) -> Iterator[Event]:
    """Yield the events of a response; raises OSError, http.client's errors and ValueError."""
    fields: dict[str, list[str]] = {}
    size = 0
    while line := response.readline(LARGEST):
        size += len(line)
        if size > LARGEST:
            raise api.stranger(f"an event is larger than {LARGEST >> 20} MiB")
        name, _, value = line.decode().rstrip("\r\n").partition(":")
        if line.strip():
            fields.setdefault(name, []).append(value.removeprefix(" "))
            continue
        if "data" in fields:
            event, identity = (fields.get(what, [""])[-1] for what in ("event", "id"))
            yield Event(event, identity, json.loads("\n".join(fields["data"])))
        fields, size = {}, 0


def _said(response: HTTPResponse) -> str:
    with suppress(OSError, HTTPException):
        return " ".join(response.read(1000).decode("utf-8", "replace").split())
    return f"it returned {response.status}"


def _print_json(event: Event) -> None:
    click.echo(json.dumps({"event": event.name, "id": event.id, "data": event.data}))


def _print_lines(event: Event) -> None:
    """Print a line for each route that was put or deleted, and for a table how large it is."""
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    data = event.data if isinstance(event.data, dict) else {}
    match event.name:
        case "change":
            for key, route in _items(data.get("put")):
                target = route.get("target") if isinstance(route, dict) else None
                click.echo(one_line(f"{now} put {key} -> {target}"))
            for key in data.get("delete") or ():
                click.echo(one_line(f"{now} deleted {key}"))
        case "table" | "reset":
            count = "1 route" if len(data) == 1 else f"{len(data)} routes"
            click.echo(one_line(f"{now} {event.name}: {count}"))


def _items(routes: object) -> list[tuple[str, Any]]:
    return [*routes.items()] if isinstance(routes, dict) else []
