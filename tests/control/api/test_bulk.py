"""PUT and PATCH of the whole table, and ETags, over a real port."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from hubgate.control.api import bulk
from hubgate.model import ForwardRules, Route
from tests.control.serving import TARGET, Answer, Api, ask, read_answer, serving

BODY = {"target": TARGET}
NATIVE = ForwardRules(native_routes=True)


async def send(api: Api, method: str, body: Any, query: str = "", **fields: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return await ask(api.port, method, "/api/routes" + query, content, named)


async def replace(api: Api, body: Any, query: str = "", if_match: str = "*") -> Answer:
    return await send(api, "PUT", body, query, If_Match=if_match)


async def table(api: Api) -> dict[str, Any]:
    shown: dict[str, Any] = (await api.ask("GET", "/api/routes")).json
    return shown


async def tag(api: Api) -> str:
    return (await api.ask("GET", "/api/routes")).headers["etag"]


async def test_what_get_shows_put_takes() -> None:
    async with serving(rules=NATIVE) as api:
        await api.ask("POST", "/api/routes/a", {**BODY, "x": {"y": [1, None]}})
        await api.ask("POST", "/api/routes/b?host=hub.example.org", {**BODY, "strip_prefix": True})
        shown = await api.ask("GET", "/api/routes")
        del api.workers.changes[:]
        same = await replace(api, shown.body)
        assert (same.status, same.json) == (
            200,
            {"added": 0, "changed": 0, "removed": 0, "left": 0},
        )
        assert api.workers.changes == []
        assert (await replace(api, {})).json["removed"] == 2
        assert (await replace(api, shown.body)).json["added"] == 2
        assert await table(api) == shown.json  # the last activity included


async def test_a_large_table_goes_in_and_comes_out() -> None:
    async with serving() as api:
        wanted = {f"/user/{number}": {**BODY, "name": "é" * 20} for number in range(3000)}
        assert (await replace(api, wanted)).json["added"] == 3000
        assert (await table(api)).keys() == wanted.keys()
        assert len(api.workers.changes) == 1


async def test_put_needs_to_know_what_it_replaces() -> None:
    async with serving() as api:
        answer = await send(api, "PUT", {"/a": BODY})
        assert answer.status == 428
        assert b"If-Match" in answer.body
        assert await table(api) == {}


async def test_a_tag_is_of_one_table_and_activity_does_not_change_it() -> None:
    async with serving() as api:
        empty = await tag(api)
        first = await replace(api, {"/a": BODY}, if_match=empty)
        assert first.headers["etag"] == await tag(api) != empty
        api.service.record({"/a": datetime.now(UTC).timestamp()})
        assert await tag(api) == first.headers["etag"]
        refused = await replace(api, {}, if_match=empty)
        assert refused.status == 412
        assert first.headers["etag"].encode() in refused.body
        assert (await replace(api, {}, if_match=f'"x", {await tag(api)}')).status == 200


@pytest.mark.parametrize("query", ["?inactiveSince=2000-01-01", "?host=a.example.org"])
async def test_a_part_of_the_table_has_no_tag(query: str) -> None:
    async with serving(rules=NATIVE) as api:
        answer = await api.ask("GET", "/api/routes" + query)
        assert (answer.status, "etag" in answer.headers) == (200, False)


async def test_the_tag_is_the_same_however_long_the_table_is() -> None:
    async with serving() as api:
        await replace(api, {f"/{number}": BODY for number in range(1000)})
        assert await tag(api) == f'"{api.service.changes.revision}"'


async def test_if_none_match_hides_no_activity() -> None:
    async with serving() as api:
        fields = {"If-None-Match": await tag(api)}
        assert (await ask(api.port, "GET", "/api/routes", None, fields)).status == 200


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH"])
async def test_other_changes_heed_if_match_too(method: str) -> None:
    async with serving() as api:
        await api.ask("POST", "/api/routes/a", BODY)
        path, content = (
            ("/api/routes", {"/a": None}) if method == "PATCH" else ("/api/routes/a", BODY)
        )
        body = json.dumps(content).encode()
        for given, status in (('"x.1"', 412), ("x", 400), (f"W/{await tag(api)}", 412)):
            answer = await ask(api.port, method, path, body, {"If-Match": given})
            assert answer.status == status, given
        assert "/a" in await table(api)
        for any_table in (True, False):
            await api.ask("POST", "/api/routes/a", BODY)
            given = "*" if any_table else await tag(api)
            answer = await ask(api.port, method, path, body, {"If-Match": given})
            assert answer.status in (200, 201, 204), given


async def test_every_bad_entry_is_named_up_to_ten() -> None:
    async with serving(rules=NATIVE, fixed=[Route("/f", TARGET, dict(BODY))]) as api:
        bad = {
            "/no-target": {},
            "/no-object": 1,
            "/ftp": {"target": "ftp://h"},
            "/strip": {**BODY, "strip_prefix": 1},
            "/a/../b": BODY,
            "/date": {**BODY, "last_activity": "soon"},
            "/number": {**BODY, "last_activity": 5},
            "bad host/x": BODY,
            "/twice": BODY,
            "/twice/": BODY,
            "/deep": {**BODY, "x": json.loads("[" * 100 + "]" * 100)},
            "/f": {"target": "http://127.0.0.1:1"},
        }
        answer = await replace(api, {"/good": BODY, **bad})
        lines = answer.body.decode().splitlines()
        assert answer.status == 400
        wrong = [key for key in bad if key not in ("/twice", "/f")]
        assert [line.split(": ")[0] for line in lines] == wrong
        assert set(await table(api)) == {"/f"}
        assert api.workers.changes == []


async def test_a_conflict_with_the_file_is_named_and_nothing_changes() -> None:
    async with serving(fixed=[Route("/f", TARGET, dict(BODY))]) as api:
        for answer in (
            await replace(api, {"/a": BODY, "/f": {"target": "http://127.0.0.1:1"}}),
            await send(api, "PATCH", {"/a": BODY, "/f": None}),
        ):
            assert answer.status == 409
            assert b"route /f is set in routes.yaml" in answer.body
        assert set(await table(api)) == {"/f"}


@pytest.mark.parametrize("key", ["a", "hub.example.org/a", "", "/\ud800", "/a/."], ids=ascii)
async def test_keys_that_cannot_be_are_refused(key: str) -> None:
    async with serving() as api:
        for answer in (
            await replace(api, {key: BODY}), await send(api, "PATCH", {key: None}),
        ):  # fmt: skip
            assert answer.status == 400, answer.body
            assert b"\n" not in answer.body


async def test_a_hubs_routes_are_only_replaced_if_told() -> None:
    async with serving() as api:
        await api.ask("POST", "/api/routes/user/a", {**BODY, "jupyterhub": True})
        assert (await replace(api, {})).json["left"] == 1
        assert set(await table(api)) == {"/user/a"}
        assert (await replace(api, {}, "?hub=1")).json["removed"] == 1
        assert (await replace(api, {}, "?hub=yes")).status == 400


@pytest.mark.parametrize("query", ["?host=a", "?inactiveSince=2000-01-01", "?inactive_since=x"])
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_what_selects_routes_is_not_ignored(method: str, query: str) -> None:
    async with serving(rules=NATIVE) as api:
        assert (await send(api, method, {}, query, If_Match="*")).status == 400


async def test_a_dry_run_names_all_routes() -> None:
    async with serving() as api:
        await api.ask("POST", "/api/routes/a", BODY)
        answer = await replace(api, {"/b": BODY}, "?dry_run=1")
        assert answer.json["keys"] == {
            "added": ["/b"],
            "changed": [],
            "removed": ["/a"],
            "left": [],
        }
        assert set(await table(api)) == {"/a"}
        answer = await send(api, "PATCH", {"/a": None}, "?dry_run=1")
        assert answer.json["keys"]["removed"] == ["/a"]
        assert set(await table(api)) == {"/a"}


@pytest.mark.parametrize("kind", ["application/json", "application/merge-patch+json", None])
async def test_a_patch_is_a_merge_patch(kind: str | None) -> None:
    async with serving() as api:
        await replace(api, {"/a": {**BODY, "x": 1}, "/b": BODY})
        fields = {} if kind is None else {"Content_Type": kind}
        patch = {"/a": {"x": None}, "/b": None, "/c": BODY, "/never": None}
        answer = await send(api, "PATCH", patch, **fields)
        assert answer.json == {"added": 1, "changed": 1, "removed": 1, "left": 0}
        shown = await table(api)
        assert set(shown) == {"/a", "/c"}
        assert "x" not in shown["/a"]


async def test_a_patch_of_another_type_is_refused() -> None:
    async with serving() as api:
        answer = await send(api, "PATCH", [], Content_Type="application/json-patch+json")
        assert answer.status == 415
        assert "application/merge-patch+json" in answer.headers["accept-patch"]


async def test_a_page_may_send_a_merge_patch_and_nothing_simple() -> None:
    async with serving(token="t") as api:
        origin = f"http://127.0.0.1:{api.port}"
        for kind, status in (("application/merge-patch+json", 200), ("text/plain", 415)):
            answer = await send(
                api, "PATCH", {}, Content_Type=kind, Origin=origin, Authorization="token t",
                Sec_Fetch_Site="same-origin",
            )  # fmt: skip
            assert answer.status == status


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_body_that_is_too_large_is_refused(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "LARGEST", 2000)
    async with serving() as api:
        body = json.dumps({f"/{number}": BODY for number in range(100)}).encode()
        assert (await send(api, method, body, If_Match="*")).status == 413
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        head = {"Transfer-Encoding": "chunked", "If-Match": "*"}
        assert (await _chunked(api, method, chunks, head)).status == 413
        assert await table(api) == {}


async def _chunked(api: Api, method: str, chunks: bytes, fields: dict[str, str]) -> Answer:
    sent = {"Host": "127.0.0.1", "Connection": "close", **fields}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(f"{method} /api/routes HTTP/1.1\r\n{lines}\r\n".encode() + chunks)
    try:
        return await read_answer(reader)
    finally:
        writer.close()


@pytest.mark.parametrize("body", [b"", b"[]", b'{"/a":', b'{"/a":1}}', b'{"/a": "\xff"}'])
async def test_a_body_that_is_no_table_is_refused_with_one_line(body: bytes) -> None:
    async with serving() as api:
        for answer in (await replace(api, body), await send(api, "PATCH", body)):
            assert (answer.status, answer.body.count(b"\n")) == (400, 0), answer.body


async def test_without_the_token_nothing_is_changed() -> None:
    async with serving(token="s3cret") as api:
        for method in ("PUT", "PATCH"):
            assert (await send(api, method, {"/a": BODY}, If_Match="*")).status == 403
        assert len(api.service) == 0


async def test_changes_are_counted_by_route() -> None:
    async with serving() as api:
        await replace(api, {"/a": BODY, "/b": BODY})
        await replace(api, {})
        assert api.metrics.totals["api_route_add"] == 2
        assert api.metrics.totals["api_route_delete"] == 2
