"""`proxyctl reload` and `upgrade`: an operator's commands for a running hubgate."""

import json
import time
from typing import Any

import click

from hubgate.cli.api.client import AbsentError, Api
from hubgate.cli.api.options import with_api
from hubgate.errors import ConfigError
from hubgate.logs import one_line

# Seconds: for the rehearsal, for the new release to take over, between two polls, and after which
# a hubgate that nobody can connect to has ended: its ports stay open in an upgrade.
PREPARATION = 120.0
UPGRADE_TIMEOUT = 120.0
INTERVAL = 0.2
GONE = 5.0


@click.command()
@with_api
def reload(api: Api) -> None:
    """Make a running hubgate reread routes.yaml and its certificates.

    Prints one line for each mistake and exits 1 if there is any; then nothing changes.
    """
    status, answer = api.operate("POST", "/api/reload")
    if status == 422:
        raise ConfigError(*answer.decode("utf-8", "replace").splitlines())
    if status == 404:
        raise click.ClickException(
            f"{api.url}: it has no files to read again; restart it to change its settings"
        )
    outcome = _parsed(api, status, answer, 200)
    changed, left = outcome.get("changed"), outcome.get("needs_restart")
    click.echo(one_line(f"reloaded: {', '.join(changed) if changed else 'nothing has changed'}"))
    if left:
        click.echo(one_line(f"changed, and needs a restart: {', '.join(left)}"))


@click.command()
@with_api
def upgrade(api: Api) -> None:
    """Move a running hubgate to the release that is installed now.

    No request is lost. Tunnels (websockets) stay with the old workers until they close or
    timeouts.upgrade has passed. If the new release cannot start, nothing changes: the reason is
    printed, and the exit code is 1.
    """
    status, answer = api.operate("POST", "/api/upgrade", PREPARATION)
    begun = _parsed(api, status, answer, 202)
    now = _wait_for_successor(api, begun["generation"])
    click.echo(one_line(f"upgraded from {begun['version']} to {now}"))


def _wait_for_successor(api: Api, generation: int) -> str:
    """Wait until the upgrade is complete; return the version that serves then."""
    seen = time.monotonic()
    deadline = seen + UPGRADE_TIMEOUT
    trouble = "its new workers have not started"
    while time.monotonic() < deadline:
        time.sleep(INTERVAL)
        try:
            now = _parsed(api, *api.operate("GET", "/api/upgrade"), 200)
        except AbsentError as error:
            if time.monotonic() - seen > GONE:
                raise click.ClickException(
                    f"{api.url}: not upgraded, it has ended; see its log"
                ) from error
            continue
        except click.ClickException as error:
            seen, trouble = time.monotonic(), error.format_message()
            continue
        seen = time.monotonic()
        if now["generation"] > generation and now["state"] == "serving":
            return str(now["version"])
        if now["generation"] == generation and now["state"] == "serving":
            raise click.ClickException(f"{api.url}: not upgraded; see its log")
    raise click.ClickException(f"not complete after {UPGRADE_TIMEOUT:g} s: {trouble}; see its log")


def _parsed(api: Api, status: int, answer: bytes, expected: int) -> dict[str, Any]:
    try:
        found = json.loads(answer) if status == expected else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        said = " ".join(answer.decode("utf-8", "replace").split())[:1000]
        raise click.ClickException(f"{api.url}: {said or f'it returned {status}'}")
    return found
