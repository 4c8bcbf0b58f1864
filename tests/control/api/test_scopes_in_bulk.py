"""PUT, PATCH and the watch with tokens that have a scope: no other scope is touched, or seen."""

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.control.api.test_scopes import BODY, POSTED, STORED, hubs, keys
from tests.control.api.test_scopes import ask as ask_as
from tests.control.api.test_watch import Watching, watching
from tests.control.serving import Answer, Api, ask

OTHER = {"target": "http://127.0.0.1:2"}


async def send(
    api: Api, name: str, method: str, body: Any, query: str = "", if_match: str = "*"
) -> Answer:
    fields = {"Authorization": f"token secret-{name}", "If-Match": if_match}
    return await ask(api.port, method, "/api/routes" + query, json.dumps(body).encode(), fields)


def watch_as(api: Api, name: str) -> AbstractAsyncContextManager[Watching]:
    return watching(api, fields={"Authorization": f"token secret-{name}"})


@pytest.mark.parametrize("name", POSTED)
async def test_a_whole_table_is_that_of_the_scope(name: str) -> None:
    async with hubs() as api:
        shown = (await ask_as(api, name, "GET", "")).json
        same = await send(api, name, "PUT", shown)
        assert same.json == {"added": 0, "changed": 0, "removed": 0, "left": 0}
        kept, *gone = shown
        answer = await send(api, name, "PUT", {kept: OTHER}, "?dry_run=1")
        assert answer.json["keys"] == {
            "added": [],
            "changed": [kept],
            "removed": gone,
            "left": [],
        }
        assert (await send(api, name, "PUT", {kept: OTHER})).json["removed"] == len(gone)
        assert await keys(api, name) == {kept}
        theirs = STORED - {*POSTED[name].values()}
        assert await keys(api, "admin") == theirs | {POSTED[name][kept]}
        assert (await send(api, name, "PUT", shown)).json["added"] == len(gone)
        assert await keys(api, "admin") == STORED


async def test_a_patch_stays_in_the_scope() -> None:
    async with hubs() as api:
        patch = {"/user/al": None, "/user/bo": BODY, "/": OTHER}
        assert (await send(api, "host", "PATCH", patch)).json["removed"] == 1
        assert await keys(api, "host") == {"/", "/user/bo"}
        for body in ({"/elsewhere": BODY}, {"/elsewhere": None}):
            refused = await send(api, "path", "PATCH", {"/hub-b/x": BODY, **body})
            assert refused.status == 403
            assert b"/elsewhere" in refused.body
        assert (await send(api, "path", "PUT", {"/elsewhere": BODY})).status == 403
        assert await keys(api, "path") == {*POSTED["path"]}


async def test_what_others_change_is_no_change_of_the_scope() -> None:
    async with hubs() as api:
        tag = (await ask_as(api, "path", "GET", "")).headers["etag"]
        await ask_as(api, "host", "POST", "/user/cy", BODY)
        assert (await send(api, "path", "PUT", {"/hub-b/x": BODY}, if_match=tag)).status == 200
        assert (await send(api, "path", "PUT", {}, if_match=tag)).status == 412
        whole = (await ask_as(api, "admin", "GET", "")).headers["etag"]
        await ask_as(api, "host", "DELETE", "/user/cy")
        assert (await send(api, "admin", "PUT", {}, if_match=whole)).status == 412


async def test_a_watcher_is_shown_the_scope() -> None:
    async with hubs() as api, watch_as(api, "subdomains") as stream:
        begun = await stream.event()
        assert begun is not None
        assert begun.data.keys() == POSTED["subdomains"].keys()
        await ask_as(api, "host", "POST", "/user/cy", BODY)
        await ask_as(api, "subdomains", "POST", "/bo.hub-a.example.org/user/bo", BODY)
        added = await stream.event()
        assert added is not None
        assert added.data["put"].keys() == {"/bo.hub-a.example.org/user/bo"}
        await ask_as(api, "host", "DELETE", "/user/cy")
        await ask_as(api, "subdomains", "DELETE", "/")
        removed = await stream.event()
        assert removed is not None
        assert removed.data == {"put": {}, "delete": ["/"]}
