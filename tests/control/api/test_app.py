"""The REST API over a real port, request by request."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hubgate.errors import StoreError, StoreUnavailableError
from hubgate.model import ForwardRules, Route
from tests.clock import SetClock
from tests.control.serving import TARGET, Api, serving

LAST_ACTIVITY = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
BODY = {"target": TARGET}
NATIVE = ForwardRules(native_routes=True)


def without_activity(shown: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in shown.items() if key != "last_activity"}


async def keys(api: Api, query: str = "") -> set[str]:
    answer = await api.ask("GET", "/api/routes" + query)
    assert answer.status == 200, answer.body
    return set(answer.json)


# --- adding, showing, removing ---


async def test_a_route_is_added_shown_replaced_and_removed() -> None:
    async with serving() as api:
        data = {"target": TARGET, "jupyterhub": True, "user": "é", "deep": {"a": [1, 2.5, None]}}
        added = await api.ask("POST", "/api/routes/user/a", data)
        assert (added.status, added.body) == (201, b"")
        shown = await api.ask("GET", "/api/routes/user/a")
        assert (shown.status, shown.headers["content-type"]) == (200, "application/json")
        assert without_activity(shown.json) == data
        assert (await api.ask("POST", "/api/routes/user/a/", BODY)).status == 201
        table = (await api.ask("GET", "/api/routes")).json
        assert {key: without_activity(row) for key, row in table.items()} == {"/user/a": BODY}
        removed = await api.ask("DELETE", "/api/routes/user/a")
        assert (removed.status, removed.body) == (204, b"")
        assert (await api.ask("GET", "/api/routes/user/a")).status == 404
        assert (await api.ask("DELETE", "/api/routes/user/a")).status == 404


async def test_last_activity_is_iso_8601_in_utc_with_milliseconds() -> None:
    async with serving() as api:
        await api.ask("POST", "/api/routes/a", {"target": TARGET, "last_activity": "a lie"})
        text = (await api.ask("GET", "/api/routes/a")).json["last_activity"]
        assert LAST_ACTIVITY.fullmatch(text)
        age = datetime.now(UTC) - datetime.fromisoformat(text)
        assert timedelta(seconds=-1) < age < timedelta(minutes=1)


async def test_201_comes_only_when_every_worker_has_the_route() -> None:
    async with serving() as api:
        api.workers.gate.clear()
        async with asyncio.TaskGroup() as tasks:
            adding = tasks.create_task(api.ask("POST", "/api/routes/a", BODY))
            await api.workers.published.wait()
            assert not adding.done()
            api.workers.gate.set()
        assert adding.result().status == 201


@pytest.mark.parametrize("target", ["/api/routes", "/api/routes/"])
async def test_without_a_path_the_route_is_the_default_one(target: str) -> None:
    async with serving() as api:
        assert (await api.ask("POST", target, BODY)).status == 201
        assert await keys(api) == {"/"}
        assert await keys(api, "/") == {"/"}
        assert (await api.ask("DELETE", target)).status == 204
        assert await keys(api) == set()


@pytest.mark.parametrize(
    ("posted", "key"),
    [
        ("/user/a%40b", "/user/a@b"),
        ("/user/a@b", "/user/a@b"),
        ("/a%2Fb", "/a/b"),
        ("/a/b/", "/a/b"),
        ("/a//", "/a"),
        ("//a", "/a"),
        ("/a//b", "/a//b"),
        ("/%C3%A9", "/é"),
        ("/sp%20ace+plus", "/sp ace+plus"),
        ("/100%25", "/100%"),
        ("/%2525", "/%25"),
        ("/q?x=1", "/q"),
        ("/h%3F%23", "/h?#"),
        ("/a%0Ab%00", "/a\nb\0"),
        ("/dots...", "/dots..."),
    ],
)
async def test_paths_are_kept_percent_decoded(posted: str, key: str) -> None:
    async with serving() as api:
        assert (await api.ask("POST", "/api/routes" + posted, BODY)).status == 201
        assert await keys(api) == {key}
        assert (await api.ask("GET", "/api/routes" + posted)).status == 200
        assert (await api.ask("DELETE", "/api/routes" + posted)).status == 204


async def test_a_path_may_be_long() -> None:
    async with serving() as api:
        key = "/" + "x" * 30_000
        assert (await api.ask("POST", "/api/routes" + key, BODY)).status == 201
        assert await keys(api) == {key}


@pytest.mark.parametrize("path", ["/%ff", "/%zz", "/%", "/a/../b", "/.", "/a/%2e%2e", "/a/..%2Fb"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_paths_that_cannot_be_are_refused(method: str, path: str) -> None:
    async with serving() as api:
        answer = await api.ask(method, "/api/routes" + path, BODY)
        assert answer.status == 400
        assert b"path" in answer.body
        assert api.workers.changes == []


# --- bodies that are no route ---


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"http://127.0.0.1"',
        b"{}",
        b'{"target": 1}',
        b'{"target": null}',
        b'{"target": {"url": "http://127.0.0.1"}}',
        b'{"target": "http://127.0.0.1", "x": NaN}',
        b'{"target": "http://127.0.0.1", "x": 1e999}',
        b'{"target": "http://127.0.0.1", "x": "\xff"}',
        b'\xef\xbb\xbf{"target": "http://127.0.0.1"}',
        b'{"target": "\\ud800"}',
        b'{"target": "http://127.0.0.1", "x": ' + b"[" * 100 + b"]" * 100 + b"}",
        b"[" * 100_000,
        b'{"target": "http://127.0.0.1", "x": ' + b"1" * 5000 + b"}",
    ],
)
async def test_a_body_that_is_no_route_is_refused_with_one_line(body: bytes) -> None:
    async with serving() as api:
        answer = await api.ask("POST", "/api/routes/a", body)
        assert answer.status == 400
        assert answer.headers["content-type"].startswith("text/plain")
        assert 10 < len(answer.body) < 200
        assert b"\n" not in answer.body
        assert (api.store.log, api.workers.changes) == ([], [])


async def test_a_body_over_the_limit_is_refused() -> None:
    async with serving() as api:
        large = {"target": TARGET, "x": "x" * 1_000_000}
        assert (await api.ask("POST", "/api/routes/a", large)).status == 201
        large["x"] *= 2
        answer = await api.ask("POST", "/api/routes/b", large)
        assert (answer.status, b"1048576" in answer.body) == (413, True)
        assert await keys(api) == {"/a"}


@pytest.mark.parametrize("target", ["", "not a url", "ftp://h", "http://u:secret@h:0", "\x1b[1m"])
async def test_a_target_that_can_never_work_is_refused_with_one_line(target: str) -> None:
    async with serving() as api:
        answer = await api.ask("POST", "/api/routes/a", {"target": target})
        assert (answer.status, await keys(api)) == (400, set())
        line = answer.body.decode()
        assert line.startswith("bad target ")
        assert line.isprintable()
        assert "secret" not in line


@pytest.mark.parametrize(
    "target", [" http://h:1 ", "http://user@h:1?q", "HTTP://[::1]:/#f", "ws://h"]
)
async def test_the_drop_in_shows_a_target_as_it_was_posted(target: str) -> None:
    async with serving() as api:
        assert (await api.ask("POST", "/api/routes/a", {"target": target})).status == 201
        assert (await api.ask("GET", "/api/routes/a")).json["target"] == target


# --- methods and paths ---


@pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["/api/routes", "/api/routes/", "/api/routes/a"])
async def test_other_methods_on_routes_are_405(method: str, path: str) -> None:
    allowed = "GET, POST, DELETE" + ("" if path.endswith("a") else ", PUT, PATCH")
    async with serving() as api:
        answer = await api.ask(method, path, BODY)
        assert method in allowed or (answer.status, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/routesx", "/API/routes", "/%61pi/routes", "//api/routes", "/x"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT"])
async def test_other_paths_are_404(method: str, path: str) -> None:
    async with serving() as api:
        assert (await api.ask(method, path, BODY)).status == 404
        assert api.workers.changes == []


async def test_a_target_in_absolute_form_is_read_as_its_path() -> None:
    async with serving() as api:
        assert (await api.ask("POST", "http://api/api/routes/a", BODY)).status == 201
        assert await keys(api) == {"/a"}


# --- inactiveSince ---


@pytest.mark.parametrize("name", ["inactiveSince", "inactive_since"])
async def test_only_routes_inactive_since_then_are_shown(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SetClock(monkeypatch)
    async with serving() as api:
        for route in "abc":
            await api.ask("POST", f"/api/routes/{route}", BODY)
        moment = datetime(2100, 1, 1, tzinfo=UTC)
        clock.ahead = (datetime(2100, 1, 2, tzinfo=UTC) - datetime.now(UTC)).total_seconds()
        api.service.record({"/b": moment.timestamp(), "/c": moment.timestamp() + 60})
        assert await keys(api, f"?{name}=2000-01-01T00:00:00Z") == set()
        assert await keys(api, f"?{name}=2099-12-31T23:59:59.999Z") == {"/a"}
        assert await keys(api, f"?{name}=2100-01-01T00:00:00.000Z") == {"/a"}
        assert await keys(api, f"?{name}=2100-01-01T01:00:00.001%2B01:00") == {"/a", "/b"}
        assert await keys(api, f"?{name}=2101") == {"/a", "/b", "/c"}


async def test_a_route_is_not_inactive_since_the_moment_it_shows() -> None:
    async with serving() as api:
        await api.ask("POST", "/api/routes/a", BODY)
        shown = (await api.ask("GET", "/api/routes/a")).json["last_activity"]
        assert await keys(api, f"?inactiveSince={shown}") == set()


async def test_the_first_spelling_of_inactive_since_goes_first_and_empty_is_none() -> None:
    async with serving() as api:
        await api.ask("POST", "/api/routes/a", BODY)
        assert await keys(api, "?inactiveSince=2100&inactive_since=2000") == {"/a"}
        assert await keys(api, "?inactiveSince=&inactive_since=2000") == set()
        assert await keys(api, "?inactiveSince=&inactive_since=") == {"/a"}
        assert await keys(api, "?InactiveSince=never") == {"/a"}


async def test_an_unreadable_date_beside_a_readable_one_is_refused() -> None:
    async with serving() as api:
        answer = await api.ask("GET", "/api/routes?inactiveSince=2100&inactive_since=never")
        assert answer.status == 400


@pytest.mark.parametrize("text", ["never", "123456789", "2100-13-01", "2100-01-01T00:00:00+01:00"])
async def test_an_unreadable_date_is_refused(text: str) -> None:
    async with serving() as api:
        answer = await api.ask("GET", f"/api/routes?inactiveSince={text}")
        assert answer.status == 400
        assert answer.body.startswith(b"inactiveSince: ")


# --- fresh activity ---


async def test_reports_are_collected_before_routes_are_shown() -> None:
    async with serving() as api:
        await api.ask("POST", "/api/routes/a", BODY)
        assert api.workers.collected == 0
        await api.ask("GET", "/api/routes")
        await api.ask("GET", "/api/routes/a")
        assert api.workers.collected == 2


# --- the store fails, the route is fixed ---


@pytest.mark.parametrize("error", [StoreError("damaged"), StoreUnavailableError("disk full")])
async def test_what_the_store_refuses_reaches_no_worker(error: StoreError) -> None:
    async with serving() as api:
        await api.ask("POST", "/api/routes/kept", BODY)
        published = len(api.workers.changes)
        api.store.failing = error
        other = {"target": "http://127.0.0.1:1"}
        for method, path in (("POST", "/new"), ("POST", "/kept"), ("DELETE", "/kept")):
            answer = await api.ask(method, "/api/routes" + path, other)
            assert (answer.status, answer.body.decode()) == (error.status, str(error))
            assert ("retry-after" in answer.headers) == (error.status == 503)
        assert len(api.workers.changes) == published
        assert await keys(api) == {"/kept"}


async def test_a_fixed_route_is_shown_but_answers_409_to_changes() -> None:
    other = {"target": "http://127.0.0.1:1"}
    async with serving(fixed=[Route("/docs", TARGET)]) as api:
        assert without_activity((await api.ask("GET", "/api/routes/docs")).json) == BODY
        for method in ("POST", "DELETE"):
            answer = await api.ask(method, "/api/routes/docs", other)
            assert answer.status == 409
            assert b"routes.yaml" in answer.body
        assert await keys(api) == {"/docs"}


# --- hosts ---


async def test_host_routing_shows_the_host_of_each_route() -> None:
    async with serving(rules=ForwardRules(host_routing=True)) as api:
        await api.ask("POST", "/api/routes/hub.example.org/a", {"target": TARGET, "host": "x"})
        await api.ask("POST", "/api/routes/", BODY)
        table = (await api.ask("GET", "/api/routes")).json
        assert table["/hub.example.org/a"]["host"] == "hub.example.org"
        assert "host" not in table["/"]


async def test_native_routes_take_their_host_from_the_query() -> None:
    async with serving(rules=NATIVE) as api:
        for path in ("/a?host=Hub.Example.Org", "?host=hub.example.org", "/a"):
            assert (await api.ask("POST", "/api/routes" + path, BODY)).status == 201
        assert await keys(api) == {"hub.example.org/a", "hub.example.org/", "/a"}
        assert await keys(api, "?host=hub.example.org.") == {
            "hub.example.org/a",
            "hub.example.org/",
        }
        assert (await api.ask("DELETE", "/api/routes/a?host=hub.example.org")).status == 204
        assert (await api.ask("GET", "/api/routes/a?host=hub.example.org")).status == 404
        assert (await api.ask("GET", "/api/routes/a")).status == 200
        assert (await api.ask("POST", "/api/routes/a?host=a:80", BODY)).status == 400


@pytest.mark.parametrize("host_routing", [False, True])
async def test_a_host_parameter_is_refused_where_routes_have_no_host(host_routing: bool) -> None:
    async with serving(rules=ForwardRules(host_routing=host_routing)) as api:
        await api.ask("POST", "/api/routes/a/b?host=&other=1", BODY)
        for method, path in (("POST", "/a/c"), ("GET", "/a/b"), ("DELETE", "/a/b"), ("GET", "")):
            target = f"/api/routes{path}?host=hub.example.org"
            answer = await api.ask(method, target, BODY if method == "POST" else None)
            assert answer.status == 400
            assert b"--host-routing" in answer.body
        assert await keys(api) == {"/a/b"}


async def test_native_routes_have_the_options_of_routes_yaml() -> None:
    async with serving(rules=NATIVE) as api:
        data = {"target": TARGET, "strip_prefix": True, "headers": {"X-Team": "physics"}}
        await api.ask("POST", "/api/routes/a", data)
        options = api.service.get("/a").route.options
        assert (options.strip_prefix, options.headers) == (True, (("X-Team", "physics"),))
        assert without_activity((await api.ask("GET", "/api/routes/a")).json) == data


@pytest.mark.parametrize(
    "data",
    [
        {"target": "127.0.0.1:9001"},
        {"target": "ftp://127.0.0.1"},
        {"target": ""},
        {"target": TARGET, "strip_prefix": "yes"},
        {"target": TARGET, "headers": ["X-Team"]},
        {"target": TARGET, "headers": {"X-Team": 1}},
        {"target": TARGET, "headers": {"X Team": "physics"}},
        {"target": TARGET, "headers": {"X-Team": "a\r\nb: c"}},
        {"target": TARGET, "headers": {"Content-Length": "1"}},
    ],
)
async def test_native_routes_that_cannot_be_are_refused_with_the_reason(data: object) -> None:
    async with serving(rules=NATIVE) as api:
        answer = await api.ask("POST", "/api/routes/a", data)
        assert answer.status == 400
        assert answer.body.startswith((b"target: ", b"strip_prefix: ", b"headers: "))
        assert api.workers.changes == []


# --- the pages that need no token ---


async def test_the_landing_page_points_to_the_api_and_tells_nothing_else() -> None:
    async with serving(token="secret-token") as api:
        page = await api.ask("GET", "/")
        assert (page.status, page.headers["content-type"]) == (200, "text/html")
        assert b'href="/api/routes"' in page.body
        assert b"secret" not in page.body
        assert "server" not in page.headers
        head = await api.ask("HEAD", "/")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == str(len(page.body))
        assert (await api.ask("POST", "/", b"x")).status == 405


async def test_the_description_is_open_to_all() -> None:
    async with serving(token="secret-token") as api:
        answer = await api.ask("GET", "/api/openapi.json")
        assert answer.json["openapi"].startswith("3.1")
        assert (await api.ask("DELETE", "/api/openapi.json")).status == 405
