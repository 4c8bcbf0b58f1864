"""What a web page may have a browser send to the API: a page of another site nothing."""

import asyncio
import json
import logging
from pathlib import Path

import pytest
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from hubgate.control.web.browser_check import foreign_sign, is_from_browser
from hubgate.control.web.guard import Guard
from hubgate.control.web.pages import Pages
from tests.control.serving import TARGET, Api, ask, read_answer, serving

TOKEN = "s3cret"
PAGES = ("/", "/api/openapi.json", "/api/routes", "/api/reload", "/api/upgrade", "/none")
BODY = json.dumps({"target": TARGET}).encode()
JSON = {"Content-Type": "application/json"}
FOREIGN = [
    {"Origin": "http://evil.localhost:9"},
    {"Origin": "http://127.0.0.1:9"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "file://"},
    {"Origin": "chrome-extension://abc"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "Cross-Site"},
    {"Sec-Fetch-Site": "something-new"},
    {"Sec-Fetch-Site": ""},
]


def headers(*fields: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(fields))


def own(api: Api) -> dict[str, str]:
    """Return what a browser sends for a page of the API's own origin."""
    return {"Origin": f"http://127.0.0.1:{api.port}", "Sec-Fetch-Site": "same-origin"}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "HEAD"])
@pytest.mark.parametrize("token", [None, TOKEN])
async def test_no_page_of_another_site_gets_anything(
    page: str, method: str, token: str | None
) -> None:
    async with serving(token=token) as api:
        right = {"Authorization": f"token {TOKEN}"}
        for sign in FOREIGN:
            answer = await ask(api.port, method, page, BODY, {**right, **JSON, **sign})
            assert answer.status == 403
            assert not {name for name in answer.headers if name.startswith("access-control")}
            assert answer.body.count(b"\n") == 0
        assert (api.store.log, api.workers.changes, api.workers.collected) == ([], [], 0)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
async def test_what_a_form_can_send_changes_nothing(kind: str) -> None:
    async with serving() as api:
        fields = {"Content-Type": kind, "Origin": "http://evil.localhost:9"}
        assert (await ask(api.port, "POST", "/api/routes/x", BODY, fields)).status == 403
        assert api.store.log == []


async def test_a_page_of_our_own_and_a_person_may_pass() -> None:
    async with serving() as api:
        fields = {**own(api), **JSON}
        assert (await ask(api.port, "POST", "/api/routes/a", BODY, fields)).status == 201
        for page in PAGES[:3]:
            for site in ("same-origin", "none"):
                answer = await ask(api.port, "GET", page, None, {"Sec-Fetch-Site": site})
                assert answer.status == 200
        assert (await ask(api.port, "DELETE", "/api/routes/a", None, own(api))).status == 204
        assert (await ask(api.port, "POST", "/api/reload", None, own(api))).status == 200


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", None])
@pytest.mark.parametrize("token", [None, TOKEN])
async def test_a_pages_body_says_that_it_is_json(kind: str | None, token: str | None) -> None:
    async with serving(token=token) as api:
        fields = {**own(api), "Authorization": f"token {TOKEN}"}
        if kind:
            fields["Content-Type"] = kind
        answer = await ask(api.port, "POST", "/api/routes/a", BODY, fields)
        assert (answer.status, b"application/json" in answer.body) == (415, True)
        assert api.store.log == []


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Content-Type": "text/plain; charset=utf-8"},  # a hub with aiohttp
        {"Content-Type": "application/x-www-form-urlencoded"},  # a hub with tornado; curl
        {"Content-Type": "text/plain;charset=UTF-8", "Sec-Fetch-Mode": "cors"},  # Node.js's fetch
        {"Referer": "http://hub.example.org/"},
    ],
)
async def test_what_is_no_browser_is_not_asked(fields: dict[str, str]) -> None:
    for token in (None, TOKEN):
        async with serving(token=token) as api:
            given = {"Authorization": f"token {TOKEN}", **fields}
            assert (await ask(api.port, "POST", "/api/routes/a", BODY, given)).status == 201


# --- the name it was called by ---


@pytest.mark.parametrize("page", PAGES)
async def test_a_rebound_name_reads_and_changes_nothing(page: str) -> None:
    async with serving() as api:
        for method in ("GET", "POST", "DELETE"):
            fields = {"Host": f"evil.example:{api.port}"}
            answer = await ask(api.port, method, page, BODY, fields)
            assert (answer.status, b"host name" in answer.body) == (403, True)
        assert (api.store.log, api.workers.collected) == ([], 0)


async def test_the_right_token_passes_whatever_the_name() -> None:
    async with serving(token=TOKEN) as api:
        for host in ("proxy-api:8001", "proxy-api.hub.svc.cluster.local", "evil.example"):
            fields = {"Host": host, "Authorization": f"token {TOKEN}"}
            assert (await ask(api.port, "GET", "/api/routes", None, fields)).status == 200
            assert (await ask(api.port, "GET", "/api/routes", None, {"Host": host})).body == b""


async def test_configured_names_pass_and_follow_a_reload() -> None:
    async with serving(hosts=["proxy.example.org"]) as api:
        fields = {"Host": "proxy.example.org:8001"}
        assert (await ask(api.port, "GET", "/api/routes", None, fields)).status == 200
        api.guard.replace(None, ["other.example.org"], ())
        assert (await ask(api.port, "GET", "/api/routes", None, fields)).status == 403


async def test_a_request_without_a_host_is_no_browsers() -> None:
    async with serving() as api, asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(b"GET /api/routes HTTP/1.0\r\n\r\n")
        assert (await read_answer(reader)).status == 200
        writer.close()


async def test_a_unix_socket_may_be_called_anything(tmp_path: Path) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    Pages(app, Guard(None)).add("/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "api.sock")).start()
    try:
        for host, origin, status in (
            ("localhost", "", 200),
            ("%2Frun%2Fapi.sock", "", 200),
            ("proxy.example.org", "", 200),
            ("proxy.example.org", "Origin: http://evil.example\r\n", 403),
        ):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "api.sock")
            head = f"GET / HTTP/1.1\r\nHost: {host}\r\n{origin}Connection: close\r\n\r\n"
            writer.write(head.encode())
            assert (await read_answer(reader)).status == status
            writer.close()
    finally:
        await runner.cleanup()


# --- the log ---


async def test_a_refusal_is_a_line_and_many_are_few_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "hubgate.api")
    async with serving() as api:
        fields = {"Origin": "http://evil.localhost:9\u00e9"}
        for _ in range(50):
            await ask(api.port, "POST", "/api/routes/x", BODY, fields)
    lines = [record.getMessage() for record in caplog.records if "another site" in record.message]
    assert lines[0].startswith("403 POST /api/routes/x a page of another site, Origin 'http://evil")
    assert lines[0].endswith(", from 127.0.0.1")
    assert len(lines) < 25
    assert all(line.isascii() for line in lines)


async def test_a_long_header_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as api:
        await ask(api.port, "GET", "/api/routes", None, {"Origin": "http://" + "x" * 50_000})
    assert "another site" in caplog.text
    assert len(caplog.text) < 1000


async def test_a_foreign_page_does_not_slow_down_who_mistypes_a_token() -> None:
    async with serving(token=TOKEN) as api:
        for _ in range(40):
            await ask(api.port, "GET", "/api/routes", None, {"Origin": "http://evil.localhost"})
        assert "FailedAttempts of 0 peers" in repr(api.guard)


# --- the signs by themselves ---


def test_an_origin_is_ours_if_it_names_the_host_that_was_asked() -> None:
    for origin, host in (
        ("http://127.0.0.1:8001", "127.0.0.1:8001"),
        ("https://api.example.org", "api.example.org"),
        ("HTTP://LocalHost:8001", "localhost:8001"),
        ("http://[::1]:8001", "[::1]:8001"),
    ):
        assert foreign_sign(headers(("Host", host), ("Origin", origin))) is None
    for origin, host in (
        ("http://127.0.0.1:8001", "127.0.0.1:8002"),
        ("http://127.0.0.1:8001", "localhost:8001"),
        ("http://127.0.0.1", "127.0.0.1:8001"),
        ("ftp://127.0.0.1:8001", "127.0.0.1:8001"),
        ("127.0.0.1:8001", "127.0.0.1:8001"),
    ):
        assert foreign_sign(headers(("Host", host), ("Origin", origin))) is not None


def test_of_several_fields_each_must_be_ours() -> None:
    host, ours = ("Host", "a:1"), ("Origin", "http://a:1")
    assert foreign_sign(headers(host, ours, ours)) is None
    assert foreign_sign(headers(host, ours, ("Origin", "http://b"))) is not None
    assert foreign_sign(headers(host, ("Host", "b"), ours)) is not None
    assert foreign_sign(headers(ours)) is not None
    same = ("Sec-Fetch-Site", "same-origin")
    assert foreign_sign(headers(host, same, ("Sec-Fetch-Site", "cross-site"))) is not None
    assert foreign_sign(headers(host, same, ("Origin", "http://b"))) is not None


def test_who_is_a_browser() -> None:
    assert is_from_browser(headers(("origin", "null")))
    assert is_from_browser(headers(("sec-fetch-site", "none")))
    assert not is_from_browser(headers(("Sec-Fetch-Mode", "cors"), ("User-Agent", "Mozilla/5.0")))
