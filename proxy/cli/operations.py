"""`proxyctl reload`: an operator's commands for a running hubgate."""

import json

import click

from proxy.cli.api_client import Api
from proxy.cli.api_options import with_api
from proxy.errors import ConfigError


@click.command()
@with_api
def reload(api: Api) -> None:
    """Have a running hubgate read routes.yaml and its certificates again.

    Prints one line for each mistake and exits 1 if there is any: then all stays as it was.
    """
    status, answer = api.operate("POST", "/api/reload")
    if status == 422:
        raise ConfigError(*answer.decode("utf-8", "replace").splitlines())
    if status == 404:
        raise click.ClickException(
            f"{api.url}: it runs without files that could be read again; restart it with others"
        )
    outcome = _parsed(api, status, answer)
    changed, left = outcome.get("changed"), outcome.get("needs_restart")
    click.echo(f"reloaded: {', '.join(changed) if changed else 'nothing has changed'}")
    if left:
        click.echo(f"changed, and needs a restart: {', '.join(left)}")


def _parsed(api: Api, status: int, answer: bytes) -> dict[str, list[str]]:
    try:
        outcome = json.loads(answer) if status == 200 else None
    except ValueError:
        outcome = None
    if not isinstance(outcome, dict):
        said = " ".join(answer.decode("utf-8", "replace").split())[:300]
        raise click.ClickException(f"{api.url}: reload failed: {said or status}")
    return outcome
