"""Several hubs on one API, each with a token for its own part of the table."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hubgate.model import ForwardRules, Route
from hubgate.routing.scope import EVERYTHING, Scope
from hubgate.settings.values import ApiToken
from tests.control.serving import TARGET, Api, serving

BODY = {"target": TARGET}
SCOPES = {
    "subdomains": Scope("hub-a.example.org", host_routing=True),
    "path": Scope("", "/hub-b"),
    "host": Scope("hub-c.example.org"),
    "admin": EVERYTHING,
}
TOKENS = [ApiToken(name, Path(name), f"secret-{name}", scope) for name, scope in SCOPES.items()]

# What each hub posts, and where it is stored.
POSTED = {
    "subdomains": {
        "/": ".hub-a.example.org/",
        "/al.hub-a.example.org/user/al": "al.hub-a.example.org/user/al",
        "/hubgate--service.hub-a.example.org/services/x": (
            "hubgate--service.hub-a.example.org/services/x"
        ),
    },
    "path": {"/hub-b": "/hub-b", "/hub-b/user/al": "/hub-b/user/al"},
    "host": {"/": ".hub-c.example.org/", "/user/al": ".hub-c.example.org/user/al"},
}
STORED = {key for keys in POSTED.values() for key in keys.values()}


async def ask(api: Api, name: str, method: str, path: str, body: Any = None) -> Any:
    return await api.ask(method, f"/api/routes{path}", body, f"secret-{name}")


async def keys(api: Api, name: str, query: str = "") -> set[str]:
    return set((await ask(api, name, "GET", query)).json)


@asynccontextmanager
async def hubs(fixed: tuple[Route, ...] = ()) -> AsyncIterator[Api]:
    """Run the API with the routes of all the hubs."""
    async with serving(rules=ForwardRules(native_routes=True), fixed=fixed, named=TOKENS) as api:
        for name, posted in POSTED.items():
            for key in posted:
                assert (await ask(api, name, "POST", key, BODY)).status == 201
        yield api


async def test_each_hub_sees_what_it_has_posted_as_it_has_posted_it() -> None:
    async with hubs() as api:
        assert await keys(api, "admin") == STORED
        for name, posted in POSTED.items():
            assert await keys(api, name) == set(posted)
            assert await keys(api, name, "?inactive_since=2100") == set(posted)
            assert await keys(api, name, "?inactive_since=2000") == set()
            for key in posted:
                # GET of / is the whole table, as in CHP.
                if key != "/":
                    assert (await ask(api, name, "GET", key)).json["target"] == TARGET


async def test_a_route_is_published_where_it_is_stored() -> None:
    async with hubs() as api:
        published = [route.key for put, _ in api.workers.changes for route in put]
        assert published == [key for keys in POSTED.values() for key in keys.values()]


async def test_a_hub_with_subdomains_is_shown_the_hosts_of_its_routes_as_by_chp() -> None:
    async with hubs() as api:
        table = (await ask(api, "subdomains", "GET", "")).json
        hosts = {key: data.get("host") for key, data in table.items()}
        assert hosts.pop("/") is None
        assert all(key.startswith(f"/{host}/") for key, host in hosts.items())


async def test_a_hub_that_removes_all_it_does_not_know_touches_no_other_hubs() -> None:
    async with hubs() as api:
        left = set(STORED)
        for name, posted in POSTED.items():
            for key in await keys(api, name):
                assert (await ask(api, name, "DELETE", key)).status == 204
            left -= set(posted.values())
            assert await keys(api, name) == set()
            assert await keys(api, "admin") == left


OTHERS = [
    ("subdomains", "/hub-c.example.org/user/al"),
    ("path", "/user/al"),
    ("path", "/"),
    ("path", "/user/al?host=.hub-c.example.org"),
    ("host", "/hub-b?host=hub-a.example.org"),
    ("host", "/?host=.hub-a.example.org"),
]


@pytest.mark.parametrize(("name", "key"), OTHERS)
async def test_what_is_anothers_is_not_there_and_cannot_be_put(name: str, key: str) -> None:
    async with hubs() as api:
        if key != "/" and not key.startswith("/?"):
            missing = await ask(api, name, "GET", key)
            assert (missing.status, missing.body[:17]) == (404, b"there is no route")
        assert (await ask(api, name, "DELETE", key)).status == 404
        refused = await ask(api, name, "POST", key, BODY)
        assert refused.status == 403
        assert f"scope, which is {SCOPES[name]}" in refused.body.decode()
        assert await keys(api, "admin") == STORED


async def test_404_does_not_tell_what_another_hub_has() -> None:
    async with hubs() as api:
        for method in ("GET", "DELETE"):
            there, not_there = [
                await ask(api, "path", method, f"/user/{name}?host=.hub-c.example.org")
                for name in ("al", "nobody")
            ]
            assert there.status == not_there.status == 404
            assert there.body.replace(b"/al", b"/nobody") == not_there.body


async def test_whoever_names_a_host_is_shown_it() -> None:
    async with hubs() as api:
        await ask(api, "host", "POST", "/x?host=hub-c.example.org", BODY)
        assert await keys(api, "host") == {*POSTED["host"], "hub-c.example.org/x"}
        assert await keys(api, "host", "?host=hub-c.example.org") == {"hub-c.example.org/x"}
        of_all = await keys(api, "host", "?host=.hub-c.example.org")
        assert of_all == set(POSTED["host"].values())
        assert await keys(api, "host", "?host=.hub-a.example.org") == set()
        found = await keys(api, "subdomains", "?host=al.hub-a.example.org")
        assert found == {"al.hub-a.example.org/user/al"}


async def test_a_segment_that_cannot_be_a_host_is_refused_as_one() -> None:
    async with hubs() as api:
        answer = await ask(api, "subdomains", "POST", "/a%20b/x", BODY)
        assert (answer.status, answer.body[:8]) == (400, b"bad host")


async def test_routes_of_the_file_are_seen_and_kept_in_the_scope() -> None:
    other = "http://127.0.0.1:1"
    fixed = (Route("/hub-b/docs", TARGET), Route("/docs", TARGET))
    async with hubs(fixed) as api:
        assert await keys(api, "path") == {*POSTED["path"], "/hub-b/docs"}
        conflict = await ask(api, "path", "POST", "/hub-b/docs", {"target": other})
        assert conflict.status == 409
        assert (await ask(api, "path", "POST", "/docs", {"target": other})).status == 403
        assert (await ask(api, "path", "DELETE", "/docs")).status == 404


async def test_what_is_for_all_hubs_needs_a_token_without_a_scope() -> None:
    async with hubs() as api:
        pages = [("POST", "/api/reload"), ("GET", "/api/upgrade"), ("POST", "/api/upgrade")]
        for method, page in pages:
            answer = await api.ask(method, page, token="secret-path")
            assert answer.status == 403
            assert answer.body == (
                b"this needs a token without a scope; the scope of this one is /hub-b"
            )
        found = [(await api.ask(*page, token="secret-admin")).status for page in pages]
        assert found == [200, 200, 409], "it has only just begun"


async def test_log_and_metrics_name_the_token(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(token="main", rules=ForwardRules(native_routes=True), named=TOKENS) as api:
        caplog.set_level(logging.INFO)
        await ask(api, "path", "POST", "/hub-b", BODY)
        await ask(api, "path", "POST", "/x", BODY)
        await ask(api, "host", "GET", "/x")
        await api.ask("GET", "/api/routes", token="main")
        await api.ask("GET", "/api/routes", token="wrong")
        page = api.metrics.render(0).decode()
    lines = [record.getMessage() for record in caplog.records if record.name == "hubgate.api"]
    assert lines == [
        "201 POST /api/routes/hub-b by path",
        "403 POST /api/routes/x by path: route /x is outside this token's scope, which is /hub-b",
        "404 GET /api/routes/x by host",
        "200 GET /api/routes",
        "403 GET /api/routes a wrong token, from 127.0.0.1",
    ]
    counts = [line for line in page.splitlines() if line.startswith("hubgate_api_token")]
    assert counts == [
        'hubgate_api_token_requests_total{token="host"} 1',
        'hubgate_api_token_requests_total{token="path"} 2',
    ]


async def test_the_reason_is_in_the_status_line_which_a_hub_logs() -> None:
    async with hubs() as api, asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(
            b"POST /api/routes/x HTTP/1.1\r\nHost: api\r\nConnection: close\r\n"
            b"Authorization: token secret-path\r\nContent-Length: 0\r\n\r\n"
        )
        line = await reader.readline()
        writer.close()
    assert line == (b"HTTP/1.1 403 route /x is outside this token's scope, which is /hub-b\r\n")


async def test_a_token_that_is_gone_counts_no_more() -> None:
    async with hubs() as api:
        api.guard.replace(None, (), TOKENS[:1])
        assert (await ask(api, "path", "GET", "")).status == 403
        assert await keys(api, "subdomains") == set(POSTED["subdomains"])
