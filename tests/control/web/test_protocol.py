"""What the control plane's ports say to requests that no application sees, and of themselves."""

import asyncio

import pytest
from aiohttp import web

from hubgate.control.web.protocol import handler_args
from tests.control.serving import Answer, read_answer, serve, serving


async def send(port: int, request: bytes) -> Answer:
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await read_answer(reader)
        writer.close()
        return answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
        (b"GET /api/routes HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 403),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70000 + b"\r\n\r\n", 400),
        (b"GET http:// HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"POST /api/routes/a HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
    ],
)
async def test_no_answer_names_the_software(request_: bytes, status: int) -> None:
    """Relies on aiohttp: web.Server.request_factory and web.Request._prepare_hook."""
    async with serving(token="s3cret") as api:
        answer = await send(api.port, request_)
    assert answer.status == status
    assert "server" not in answer.headers
    assert b"aiohttp" not in answer.body


async def test_nor_does_the_answer_to_a_fault() -> None:
    async def broken(request: web.Request) -> web.Response:
        raise ZeroDivisionError

    app = web.Application(handler_args=handler_args())
    app.router.add_get("/", broken)
    async with serve(app) as port:
        answer = await send(port, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert (answer.status, "server" in answer.headers) == (500, False)
