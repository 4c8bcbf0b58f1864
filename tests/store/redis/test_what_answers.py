"""Addresses that are not what they say: what answers there is named, and what should be written."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from hubgate.errors import StoreRefusedError, StoreUnavailableError
from hubgate.model import RedisLogin
from hubgate.redis_address import parse_redis
from hubgate.store.redis.trial import try_redis
from hubgate.store.redis.what_answers import mistake_in
from tests.certificates.made import make_files
from tests.contract.ports import free_port
from tests.redis_server import RedisServer, redis_server
from tests.sentinels import PROGRAM as SENTINEL

needs_sentinel = pytest.mark.skipif(SENTINEL is None, reason="needs redis-sentinel")


@contextmanager
def sentinel(folder: Path, *more: str) -> Iterator[int]:
    """Run a sentinel; yields its port."""
    port, config = free_port(), folder / "sentinel.conf"
    lines = (f"port {port}", "bind 127.0.0.1", f"dir {folder}", *more)
    config.write_text("\n".join(lines) + "\n")
    assert SENTINEL is not None
    process = subprocess.Popen([SENTINEL, str(config)], stdout=subprocess.DEVNULL)
    server = RedisServer(folder)
    server.port = port
    try:
        while not server.ask("PING"):
            assert process.poll() is None
        yield port
    finally:
        process.kill()
        process.wait()


@contextmanager
def tls_redis(folder: Path) -> Iterator[int]:
    """Run a Redis with TLS; yields the port of that."""
    files, port = make_files(folder), free_port()
    flags = ("--tls-port", port, "--tls-auth-clients", "no", "--tls-ca-cert-file", files.ca)
    pair = ("--tls-cert-file", files.cert, "--tls-key-file", files.key)
    with redis_server(folder / "redis", *map(str, (*flags, *pair))):
        yield port


@asynccontextmanager
async def web_server(context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Run what answers every line as an HTTP server does; yields its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def wrong(url: str, login: RedisLogin | None = None) -> str:
    """Return what a trial says of this address, which ends a start at once."""
    address = parse_redis(url)
    with pytest.raises(StoreRefusedError) as caught:
        await try_redis(address, login or RedisLogin())
    line = str(caught.value)
    assert line.startswith(f"store: {address}"), line
    return line.removeprefix(f"store: {address}").removeprefix(": ")


async def test_a_redis_without_tls(server: RedisServer) -> None:
    place = f"127.0.0.1:{server.port}"
    line = await wrong(f"rediss://{place}/2?prefix=hub")
    assert line == (
        f"what answers at {place} is a Redis without TLS; give its port with TLS, or write"
        f" redis://{place}/2?prefix=hub"
    )
    server.ask("CONFIG SET requirepass s3cret")
    assert await wrong(f"rediss://{place}/2?prefix=hub") == line


async def test_a_redis_with_tls(tmp_path: Path) -> None:
    with tls_redis(tmp_path) as port:
        place = f"127.0.0.1:{port}"
        line = (
            f"what answers at {place} is a Redis with TLS; write rediss://{place}/0?prefix=hubgate"
        )
        assert await wrong(f"redis://{place}") == line
        assert await wrong(f"redis+sentinel://{place}/hub") == line
        assert await wrong(f"rediss+sentinel://{place}/hub") == line.replace(" with TLS", "")


async def test_a_redis_that_is_no_sentinel(server: RedisServer) -> None:
    place = f"127.0.0.1:{server.port}"
    line = f"what answers at {place} is a Redis; write redis://{place}/0?prefix=hubgate"
    assert await wrong(f"redis+sentinel://{place}/hub") == line
    gone = f"127.0.0.1:{free_port()}"
    assert await wrong(f"redis+sentinel://{gone},{place}/hub") == line
    server.ask("CONFIG SET requirepass s3cret")
    login = RedisLogin(sentinel_password="s3cret")
    assert (
        await wrong(f"redis+sentinel://{place}/hub", login)
        == "what answers there is not a sentinel; write redis://HOST:PORT/0"
    )


@needs_sentinel
async def test_a_sentinel_that_is_no_redis(tmp_path: Path) -> None:
    with sentinel(tmp_path) as port:
        place = f"127.0.0.1:{port}"
        right = f"redis+sentinel://{place}/mymaster/0?prefix=hubgate, with the name of its master"
        assert (
            await wrong(f"redis://{place}")
            == f"what answers at {place} is a sentinel; write {right}"
        )
        assert await wrong(f"rediss://{place}") == (
            f"what answers at {place} is a sentinel without TLS; give its port with TLS, or write"
            f" {right}"
        )
        line = await wrong(f"rediss+sentinel://{place}/main")
        assert line.endswith(f"or write redis+sentinel://{place}/main/0?prefix=hubgate")


@needs_sentinel
async def test_a_sentinel_that_wants_a_password(tmp_path: Path) -> None:
    with sentinel(tmp_path, "requirepass s3cret") as port:
        url = f"redis://127.0.0.1:{port}"
        assert "needs a password" in await wrong(url)
        assert await wrong(url, RedisLogin(password="s3cret")) == (
            "what answers there seems to be a sentinel; write"
            " redis+sentinel://HOST:26379/mymaster/0"
        )


SCHEMES = ("redis://{}", "rediss://{}", "redis+sentinel://{}/hub", "rediss+sentinel://{}/hub")


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_web_server(scheme: str, tmp_path: Path) -> None:
    files = make_files(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)
    for tls in (None, context):
        async with web_server(tls) as port:
            place = f"127.0.0.1:{port}"
            assert (
                await wrong(scheme.format(place))
                == f"what answers at {place} is not a Redis; correct the address"
            )


async def test_a_right_address_is_left_alone(server: RedisServer) -> None:
    assert await mistake_in(parse_redis(server.url)) is None
    server.ask("CONFIG SET requirepass s3cret")
    assert await mistake_in(parse_redis(server.url)) is None


async def test_nobody_there() -> None:
    for scheme in SCHEMES:
        address = parse_redis(scheme.format(f"127.0.0.1:{free_port()}"))
        assert await mistake_in(address) is None
        with pytest.raises(StoreUnavailableError) as caught:
            await try_redis(address, RedisLogin())
        assert not isinstance(caught.value, StoreRefusedError)
        assert str(caught.value).endswith("; start it, or correct the address")


async def test_a_unix_socket(tmp_path: Path) -> None:
    place = tmp_path / "redis.sock"
    with redis_server(tmp_path / "redis", "--unixsocket", str(place)):
        assert await try_redis(parse_redis(f"redis+unix://{place}"), RedisLogin()) == []
    (tmp_path / "redis.sock").unlink(missing_ok=True)

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org\r\n")
        writer.close()

    async with await asyncio.start_unix_server(greet, place):
        assert (
            await wrong(f"redis+unix://{place}")
            == "what answers there is not a Redis; correct the address"
        )


async def test_a_command_that_is_not_known(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis", "--rename-command", "XADD", "xx") as server:
        assert (
            await wrong(server.url)
            == "it does not know the command XADD; take one that is newer, or renames none"
        )
