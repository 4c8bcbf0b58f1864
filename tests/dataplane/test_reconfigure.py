"""New settings and certificates while connections are open."""

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from hubgate.errors import ConfigError
from hubgate.model import Limits, ServerTLS
from tests.certificates.made import Files, make_files
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import echo, hello
from tests.dataplane.wire import request


def context(files: Files) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=files.ca)


async def test_new_connections_get_the_new_certificate_and_old_ones_live_on(
    start_front: StartFront, start_target: StartTarget, tmp_path: Path
) -> None:
    first, second = make_files(tmp_path, "first"), make_files(tmp_path, "second")
    target = await start_target(hello)
    front = await start_front(config={"tls": ServerTLS(first.cert, first.key)})
    front.route("/", target.url)
    old = await front.tls_client(context(first))
    await old.send(request("GET", "/"))
    assert (await old.read_response()).body == b"hello"
    await front.plane.reconfigure(replace(front.config, tls=ServerTLS(second.cert, second.key)))
    await old.send(request("GET", "/"))
    assert (await old.read_response()).body == b"hello"
    new = await front.tls_client(context(second))
    await new.send(request("GET", "/"))
    assert (await new.read_response()).body == b"hello"
    with pytest.raises(ssl.SSLCertVerificationError):
        await front.tls_client(context(first))


async def test_a_certificate_that_cannot_be_used_changes_nothing(
    start_front: StartFront, start_target: StartTarget, tmp_path: Path
) -> None:
    files = make_files(tmp_path)
    target = await start_target(hello)
    front = await start_front(config={"tls": ServerTLS(files.cert, files.key)})
    front.route("/", target.url)
    with pytest.raises(ConfigError):
        await front.plane.reconfigure(
            replace(front.config, tls=ServerTLS(files.ca, files.key), limits=Limits(headers=1))
        )
    wire = await front.tls_client(context(files))
    await wire.send(request("GET", "/"))
    assert (await wire.read_response()).status == 200


async def test_connections_made_meanwhile_are_all_served(
    start_front: StartFront, start_target: StartTarget
) -> None:
    target = await start_target(hello)
    front = await start_front()
    front.route("/", target.url)
    stop = asyncio.Event()
    statuses = []

    async def keep_asking() -> None:
        while not stop.is_set():
            statuses.append((await front.ask("GET", "/")).status)

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(keep_asking())
        for _ in range(20):
            await front.plane.reconfigure(front.config)
            await asyncio.sleep(0.01)
        stop.set()
    assert set(statuses) == {200}


async def test_new_rules_hold_for_the_next_request_of_an_open_connection(
    start_front: StartFront, start_target: StartTarget
) -> None:
    target = await start_target(echo)
    front = await start_front()
    front.route("/", target.url)
    wire = await front.client()
    await wire.send(request("GET", "/"))
    assert b"X-Forwarded-For" in (await wire.read_response()).body
    rules = replace(front.config.rules, x_forward=False, custom_headers=(("X-Team", "physics"),))
    await front.plane.reconfigure(replace(front.config, rules=rules))
    await wire.send(request("GET", "/"))
    body = (await wire.read_response()).body
    assert b"X-Team: physics" in body
    assert b"X-Forwarded-For" not in body
