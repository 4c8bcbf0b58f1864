"""The API's log: a line for every response, which nobody can forge."""

import asyncio
import logging

import pytest

from hubgate.errors import StoreError
from hubgate.model import Route
from tests.control.serving import TARGET, serving
from tests.control.waiting import until

BODY = {"target": TARGET}


def lines(caplog: pytest.LogCaptureFixture, logger: str = "hubgate.api") -> list[tuple[str, str]]:
    return [(r.levelname, r.getMessage()) for r in caplog.records if r.name == logger]


async def test_every_response_has_a_line_with_its_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving(fixed=[Route("/docs", TARGET)]) as api:
        await api.ask("POST", "/api/routes/user/a%40b?x=private", BODY)
        await api.ask("GET", "/api/routes/nobody")
        await api.ask("POST", "/api/routes/a", b"{}")
        await api.ask("DELETE", "/api/routes/docs")
        api.store.failing = StoreError("the store is full")
        await api.ask("DELETE", "/api/routes/user/a@b")
    assert lines(caplog) == [
        ("INFO", "201 POST /api/routes/user/a%40b"),
        ("INFO", "404 GET /api/routes/nobody"),
        (
            "WARNING",
            '400 POST /api/routes/a the body needs a "target" that is a string,'
            ' such as "http://HOST:PORT"',
        ),
        (
            "WARNING",
            "409 DELETE /api/routes/docs route /docs is set in routes.yaml: change it there",
        ),
        ("ERROR", "500 DELETE /api/routes/user/a@b the store is full"),
    ]


async def test_no_request_can_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    forged = "%0A2026-11-29T12:00:00.000Z%20[hubgate]%20info:%20201%20POST%20%C3%A9%1B[31m"
    async with serving(fixed=[Route("/docs\n12:00", TARGET)]) as api:
        await api.ask("POST", "/api/routes/" + forged, BODY)
        await api.ask("DELETE", "/api/routes/" + forged)
        await api.ask("DELETE", "/api/routes/docs%0A12:00")
        await api.ask("GET", "/api/routes?inactiveSince=%0A201%0A")
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 6
    assert all(message.isprintable() for message in messages)


async def test_a_password_in_a_target_stays_out_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with serving() as api:
        await api.ask("POST", "/api/routes/a", {"target": "http://me:hush@127.0.0.1:9001/x"})
    assert ("INFO", "route added: '/a' -> 'http://...@127.0.0.1:9001/x'") in lines(
        caplog, "hubgate.routes"
    )
    assert "hush" not in caplog.text


async def test_a_fault_of_ours_is_a_500_that_tells_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving() as api:

        def broken(path: str) -> None:
            raise ZeroDivisionError("inner workings")

        monkeypatch.setattr(api.service, "get", broken)
        answer = await api.ask("GET", "/api/routes/a")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    assert "inner workings" in caplog.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("framing", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("reset", [False, True])
async def test_a_client_that_leaves_in_its_body_is_nobody_s_fault(
    caplog: pytest.LogCaptureFixture, method: str, framing: str, reset: bool
) -> None:
    caplog.set_level(logging.INFO)
    path = "/api/routes/a" if method == "POST" else "/api/routes"
    head = f"{method} {path}?x HTTP/1.1\r\nHost: localhost\r\nIf-Match: *\r\n{framing}\r\n"
    async with serving() as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(b'64\r\n{"/a": {"target": ')
        if reset:
            writer.transport.abort()
        else:
            writer.close()
        await until(lambda: lines(caplog))
        await api.ask("GET", "/api/routes/nobody")  # what else there would be is there by then
        counted = [name for name in api.metrics.totals if name.startswith("requests_api:")]
    assert lines(caplog) == [
        ("INFO", f"{method} {path} the client left in the middle of its body"),
        ("INFO", "404 GET /api/routes/nobody"),
    ]
    assert "Traceback" not in caplog.text
    assert counted == ["requests_api:404"]
