"""The token: who may use the API, and what those who may not get to see."""

import asyncio
import hmac
import logging
from pathlib import Path

import pytest

from hubgate.control.web.auth import ANYBODY, Caller, TokenCheck
from hubgate.routing.scope import EVERYTHING, Scope
from hubgate.settings.values import ApiToken
from tests.control.serving import TARGET, ask, read_answer, serving

TOKEN = "s3cret-Token+/="


@pytest.mark.parametrize(
    "header",
    [f"token {TOKEN}", f"Bearer {TOKEN}", f"bearer  {TOKEN}", f"TOKEN {TOKEN} "],
)
def test_the_token_opens(header: str) -> None:
    assert TokenCheck(TOKEN).check(header) == ANYBODY


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        TOKEN,
        "token",
        "token ",
        f"token {TOKEN}x",
        f"token {TOKEN[:-1]}",
        f"token {TOKEN.lower()}",
        f"Basic {TOKEN}",
        f"Basic token {TOKEN}",
        f"token {TOKEN} {TOKEN}",
        "token ü\udcff",
    ],
)
def test_nothing_else_opens_and_the_reason_does_not_repeat_it(header: str | None) -> None:
    reason = TokenCheck(TOKEN).check(header)
    assert reason
    assert isinstance(reason, str)
    assert TOKEN not in reason


@pytest.mark.parametrize("token", [None, ""])
@pytest.mark.parametrize("header", [None, "", "token x", "rubbish"])
def test_without_a_token_set_everybody_may_pass(token: str | None, header: str | None) -> None:
    assert TokenCheck(token).check(header) == ANYBODY


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def noting(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return False

    monkeypatch.setattr(hmac, "compare_digest", noting)
    named = [ApiToken("a", Path("a.token"), "first")]
    assert TokenCheck(TOKEN, named).check("token wrong") == "a wrong token"
    assert compared == [(b"wrong", b"first"), (b"wrong", TOKEN.encode())]


def test_a_guard_does_not_show_its_token() -> None:
    named = [ApiToken("a", Path("a.token"), TOKEN)]
    assert TOKEN not in repr(TokenCheck(TOKEN)) + repr(vars(TokenCheck(None))) + repr(named)


def test_each_token_has_its_own_name_and_scope() -> None:
    scope = Scope("", "/a")
    check = TokenCheck(TOKEN, [ApiToken("hub-a", Path("a"), "first", scope)])
    assert check.check("token first") == Caller("hub-a", scope)
    assert check.check(f"token {TOKEN}") == ANYBODY
    check.replace(None, [ApiToken("hub-b", Path("b"), "second")])
    assert check.check("token second") == Caller("hub-b", EVERYTHING)
    assert check.needed
    assert {check.check(f"token {each}") for each in ("first", TOKEN)} == {"a wrong token"}


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "HEAD"])
@pytest.mark.parametrize("path", ["/api/routes", "/api/routes/a", "/api/routes/%zz", "/api", "/x"])
@pytest.mark.parametrize("token", [None, "wrong"])
async def test_without_the_token_everything_is_403_and_empty(
    method: str, path: str, token: str | None
) -> None:
    async with serving(token=TOKEN) as api:
        answer = await api.ask(method, path, b"{not json", token)
        assert (answer.status, answer.body) == (403, b"")
        assert (api.store.log, api.workers.changes, api.workers.collected) == ([], [], 0)


async def test_with_the_token_the_api_answers() -> None:
    async with serving(token=TOKEN) as api:
        assert (await api.ask("POST", "/api/routes/a", {"target": TARGET}, TOKEN)).status == 201
        fields = {"Authorization": f"Bearer {TOKEN}"}
        assert set((await ask(api.port, "GET", "/api/routes", None, fields)).json) == {"/a"}


async def test_403_does_not_wait_for_the_body() -> None:
    async with serving(token=TOKEN) as api, asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(
            b"POST /api/routes/a HTTP/1.1\r\nHost: api\r\nConnection: close\r\n"
            b"Content-Length: 1000000\r\n\r\n"
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 403 ")
        writer.close()
        await writer.wait_closed()


async def test_a_refusal_is_logged_without_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(token=TOKEN) as api:
        await api.ask("GET", "/api/routes?token=in-the-query", token="wrong-one")
        await api.ask("GET", "/api/routes", token=TOKEN)
    assert "403 GET /api/routes a wrong token, from 127.0.0.1" in caplog.text
    for secret in (TOKEN, "wrong-one", "in-the-query"):
        assert secret not in caplog.text


async def test_a_malformed_request_is_logged_without_the_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(token=TOKEN) as api, asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(
            b"GET /api/routes HTTP/1.1\r\nHost: api\r\n"
            b"Authorization: token " + TOKEN.encode() + b"\0\r\n\r\n"
        )
        answer = await read_answer(reader)
        writer.close()
    assert answer.status == 400
    assert "400, unreadable request: BadHttpMessage" in caplog.text
    assert TOKEN not in caplog.text
    assert "Traceback" not in caplog.text
