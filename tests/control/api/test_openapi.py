"""The description of the API holds: requests made up from it get the answers it promises."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any, cast

import hypothesis
import pytest
import schemathesis
from schemathesis.specs.openapi.checks import missing_required_header, negative_data_rejection

from hubgate.control.api.app import build_api
from hubgate.control.api.openapi import description
from hubgate.control.api.operations import add_operations
from hubgate.control.health import Health, add_health
from hubgate.control.metrics.totals import Metrics
from hubgate.control.routes.service import RouteService
from hubgate.control.upgrade.upgrader import Upgrader
from hubgate.control.web.guard import Guard
from hubgate.control.web.pages import Pages
from hubgate.settings import Settings
from tests.control.recording import RecordingStore, RecordingWorkers
from tests.control.serving import serving


def drop_in_description() -> dict[str, Any]:
    """Return the description without the one parameter that the drop-in refuses.

    Which strings are targets, keys, or the table's tag, a schema cannot say: these are.
    """
    described: dict[str, Any] = json.loads(description())
    described["components"]["parameters"]["host"]["name"] = "unknown-and-ignored"
    target = described["components"]["schemas"]["Route"]["properties"]["target"]
    target["enum"] = [target["example"], "https://hub.example.org/base?x", " http://[::1]:1 "]
    described["components"]["parameters"]["ifMatch"]["schema"] = {"enum": ["*"]}
    described["paths"]["/api/routes"]["put"]["parameters"][0]["schema"] = {"enum": ["*"]}
    given = described["components"]["schemas"]["GivenRoute"]["allOf"][1]
    given["properties"]["last_activity"] = {"enum": ["2024-01-31T12:00:00.000Z", None]}
    for method in ("put", "patch"):
        for content in described["paths"]["/api/routes"][method]["requestBody"]["content"].values():
            entry = content["schema"].pop("additionalProperties")
            content["schema"]["properties"] = {key: entry for key in ("/", "/a", "/b/c d")}
            content["schema"]["additionalProperties"] = False
    return described


# A watch has no end: test_watch.py has it.
schema = schemathesis.openapi.from_dict(drop_in_description()).exclude(path="/api/watch")


async def test_every_page_is_described() -> None:
    workers, metrics, guard = RecordingWorkers(), Metrics(), Guard(None)
    service = RouteService(RecordingStore(), workers)
    app = build_api(service, Settings(), workers, metrics, guard)
    add_health(app, Health())
    add_operations(Pages(app, guard), Upgrader(cast(Any, None), 0), *cast(Any, (print, print)))
    pages = {resource.canonical for resource in app.router.resources()}
    # The description itself, the page for people, and every other path: that is the routes.
    assert (
        pages - {"/", "/api/openapi.json", "/{rest}"} <= json.loads(description())["paths"].keys()
    )


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """The API in a thread of its own: the client of these tests blocks."""
    started = threading.Event()
    ended = asyncio.Event()
    port: list[int] = []
    loop = asyncio.new_event_loop()

    async def run() -> None:
        async with serving() as api:
            port.append(api.port)
            started.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[run()])
    thread.start()
    assert started.wait(30)
    yield f"http://127.0.0.1:{port[0]}"
    loop.call_soon_threadsafe(ended.set)
    thread.join(30)
    loop.close()


@schema.parametrize()
@hypothesis.settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_the_api_answers_as_described(case: schemathesis.Case, base_url: str) -> None:
    # Without If-Match, PUT is answered with 428, which this check does not know. What is no route
    # by itself may be a patch of one that is there, as an earlier case may have left it.
    unknown = [missing_required_header]
    if case.method == "PATCH":
        unknown.append(negative_data_rejection)
    case.call_and_validate(base_url=base_url, excluded_checks=unknown)
