"""The access log is turned on, off and over while requests are open."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hubgate.dataplane.access_log import log as log_module
from hubgate.errors import ConfigError
from hubgate.model import AccessLogConfig, ForwardRules
from tests.dataplane.access_log.access_lines import LogText, has, lines, only
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import ANSWER, Front, Target, echo, until
from tests.dataplane.tunnels.tunnels import opened
from tests.dataplane.wire import request

GET = request("GET", "/")


@pytest.fixture
async def front(start_front: StartFront, logged: dict[str, Any]) -> Front:
    """A data plane that logs."""
    return await start_front(config=logged)


async def test_lines_are_written_by_themselves(
    front: Front, start_target: StartTarget, log_text: LogText, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "INTERVAL", 0.05)
    front.route("/", (await start_target(echo)).url)
    for number in (1, 2):
        await front.ask("GET", "/")
        await until(lambda n=number: log_text.read().count("\n") == n, "it is written")


async def test_without_a_log_nothing_is_counted(
    start_front: StartFront, start_target: StartTarget
) -> None:
    front = await start_front()
    front.route("/", (await start_target(echo)).url)
    await front.ask("GET", "/")
    assert repr(front.plane.access_log) == "<AccessLog off>"
    assert "access_log_dropped" not in front.plane.report().counters


@pytest.mark.usefixtures("patient_log")
async def test_it_is_turned_on_off_and_over(
    start_front: StartFront, start_target: StartTarget, tmp_path: Path
) -> None:
    front = await start_front()
    front.route("/", (await start_target(echo)).url)
    plane, config = front.plane, front.config
    first, second = LogText(tmp_path / "first"), LogText(tmp_path / "second")
    for name, to in (
        ("/1", None),
        ("/2", AccessLogConfig(str(first.path), "json")),
        ("/3", AccessLogConfig(str(second.path), "json")),
        ("/4", AccessLogConfig(str(second.path))),
        ("/5", None),
        ("/6", AccessLogConfig(str(first.path), "json")),
    ):
        old = plane.access_log._file
        await plane.reconfigure(replace(config, access_log=to))
        await until(lambda old=old: old is None or old.closed, "the old file is written")
        await front.ask("GET", name)
    await plane.drain(1)
    assert [json.loads(line)["path"] for line in first.read().splitlines()] == ["/2", "/6"]
    third, fourth = second.read().splitlines()
    assert json.loads(third)["path"] == "/3"
    assert '"GET /4 HTTP/1.1" 200 ' in fourth


async def test_what_is_open_when_it_changes_goes_to_the_new_one(
    joined: Front, target: Target, log_text: LogText, tmp_path: Path
) -> None:
    client, wire = await opened(joined, target)
    other = await joined.client()
    await other.send(GET)
    asked = await target.accept()
    await asked.read_request()
    fresh = LogText(tmp_path / "fresh")
    to = AccessLogConfig(str(fresh.path), "json")
    await joined.plane.reconfigure(replace(joined.config, access_log=to))
    await asked.send(ANSWER)
    await other.read_response()
    other.close()
    client.close()
    wire.close()
    found = await lines(joined, fresh, 2)
    assert [line["status"] for line in found] == [200, 101]
    assert log_text.read() == ""


async def test_what_is_open_when_it_is_turned_on_or_off_leaves_nothing_odd(
    start_front: StartFront, target: Target, log_text: LogText, logged: dict[str, Any]
) -> None:
    front = await start_front()
    front.route("/", target.url)
    early, early_wire = await opened(front, target)
    await front.plane.reconfigure(replace(front.config, **logged))
    late, late_wire = await opened(front, target)
    await front.plane.reconfigure(front.config)
    early.close()
    early_wire.close()
    late.close()
    late_wire.close()
    await until(lambda: front.open == 0, "all are gone")
    assert log_text.read() == ""


async def test_a_mistake_changes_nothing(joined: Front, target: Target, log_text: LogText) -> None:
    bad = AccessLogConfig(str(log_text.path / "below" / "a file"))
    with pytest.raises(ConfigError, match=r"^access_log: .* cannot be opened: Not a directory"):
        await joined.plane.reconfigure(
            replace(joined.config, access_log=bad, rules=ForwardRules(x_forward=False))
        )
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    assert (await wire.read_request()).get("X-Forwarded-For") == "127.0.0.1"
    await wire.send(ANSWER)
    await client.read_response()
    client.close()
    assert has(await only(joined, log_text), status=200)


async def test_the_same_again_opens_a_renamed_file_anew(joined: Front, log_text: LogText) -> None:
    log_text.rotate()
    await joined.plane.reconfigure(joined.config)
    assert log_text.read() == ""
