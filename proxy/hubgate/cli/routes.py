"""`proxyctl add`, `remove`, `list` and `get`: the routes of a running hubgate."""

import json
from collections.abc import Callable
from typing import Any

import click

from hubgate.cli.api.client import Api
from hubgate.cli.api.interruption import told_if_interrupted
from hubgate.cli.api.options import with_api
from hubgate.cli.table.routes_table import print_route, print_routes
from hubgate.control.api.posted_route import DECODER
from hubgate.errors import ConfigError
from hubgate.logs import one_line
from hubgate.model import LAST_ACTIVITY
from hubgate.settings.urls import check_header, check_target, route_key

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, as the API sends it.")


def _argument(check: Callable[[str], str]) -> Callable[..., str]:
    def convert(context: click.Context, argument: click.Parameter, text: str) -> str:
        try:
            return check(text)
        except ConfigError as error:
            raise click.BadParameter(str(error), context, argument) from None

    return convert


_path = click.argument("path", metavar="PATH", callback=_argument(route_key))


@click.command()
@_path
@click.argument("target", metavar="TARGET", callback=_argument(check_target))
@click.option("--strip-prefix", is_flag=True, help="Remove PATH from what the target sees.")
@click.option("--header", "headers", metavar="NAME:VALUE", multiple=True, help="Header to add.")
@click.option("--data", metavar="JSON", help="Extra data to keep with the route, an object.")
@with_api
def add(
    api: Api, path: str, target: str, strip_prefix: bool, headers: tuple[str, ...], data: str | None
) -> None:
    """Send PATH, or HOST/PATH, to TARGET.

    TARGET is http://HOST:PORT, https://HOST:PORT or http+unix://%2Fpath. A route that is there
    already is replaced; the line printed says so, and where it led before.
    """
    route = {**_data(data), "target": target}
    if strip_prefix:
        route["strip_prefix"] = True
    if headers:
        route["headers"] = dict(_header(text) for text in headers)
    before = api.find(path)
    with told_if_interrupted(lambda: f"{path} may have been added; see `proxyctl list`"):
        api.put(path, route)
    click.echo(one_line(_outcome(path, route, before)))
    api.tell_missing()


def _outcome(path: str, route: dict[str, Any], before: dict[str, Any] | None) -> str:
    change = f"{path} -> {route['target']}"
    if before is None:
        return f"added {change}"
    kept = {name: value for name, value in before.items() if name != LAST_ACTIVITY}
    if kept == route:
        return f"unchanged {change}"
    if kept.get("target") != route["target"]:
        return f"replaced {change} (was {kept.get('target')})"
    return f"replaced {change} (same target, other options)"


@click.command()
@_path
@with_api
def remove(api: Api, path: str) -> None:
    """Remove the route PATH; requests in progress finish."""
    with told_if_interrupted(lambda: f"{path} may have been removed; see `proxyctl list`"):
        api.delete(path)
    click.echo(one_line(f"removed {path}"))
    api.tell_missing()


@click.command("list")
@_as_json
@with_api
def list_routes(api: Api, as_json: bool) -> None:
    """List all routes.

    Prints a table on a terminal, else tab-separated lines of path, target and activity.
    """
    routes = api.get()
    if as_json:
        click.echo(json.dumps(routes, indent=2, sort_keys=True))
    else:
        print_routes(routes)


@click.command()
@_path
@_as_json
@with_api
def get(api: Api, path: str, as_json: bool) -> None:
    """Show the route PATH."""
    data = api.get(path)
    if as_json:
        click.echo(json.dumps(data, indent=2, sort_keys=True))
    else:
        print_route(data)


def _data(text: str | None) -> dict[str, Any]:
    try:
        data = DECODER.decode(text or "{}")
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"is not JSON: {error}", param_hint="--data") from None
    if not isinstance(data, dict):
        raise click.BadParameter('is not an object; write {"key": "value"}', param_hint="--data")
    return data


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        # Not repeated: it may be a secret.
        raise click.BadParameter("has no colon; write NAME:VALUE", param_hint="--header")
    try:
        return check_header(name.strip(), value)
    except ConfigError as error:
        raise click.BadParameter(str(error), param_hint="--header") from None
