"""Everybody at once: answers never get mixed up, and nothing stays open."""

import asyncio
import contextlib
import random

import pytest

from hubgate.model import Timeouts
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import Front, open_files, until
from tests.dataplane.wire import EndedError, Message, Wire, chunked, request, response

CLIENTS = 24
ROUNDS = 25
UPGRADE = ["Connection: Upgrade", "Upgrade: x"]
SWITCH = b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"


class Moody:
    """A target that answers each request with what it asked for, or fails in some way."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    async def __call__(self, wire: Wire) -> None:
        """Serve one connection."""
        while True:
            head = await wire.read_head()
            mood = self._chance.random()
            if mood < 0.05:
                return
            if head.get("upgrade"):
                await self._tunnel(wire, head)
                return
            size = int(head.get("content-length") or 0)
            if mood < 0.1 and size:
                await wire.send(response(413, body=head.path.encode()))
                return
            body = await self._body(wire, head)
            await self._pause()
            await self._answer(wire, head.path.encode() + b" " + body, mood)

    async def _body(self, wire: Wire, head: Message) -> bytes:
        if head.get("transfer-encoding"):
            return await wire.read_chunked()
        return await wire.read_exactly(int(head.get("content-length") or 0))

    async def _pause(self) -> None:
        if self._chance.random() < 0.3:
            await asyncio.sleep(self._chance.random() / 50)

    async def _answer(self, wire: Wire, body: bytes, mood: float) -> None:
        kind = self._chance.choice(["length", "chunked", "until close"])
        if kind == "length":
            data = response(200, body=body)
        elif kind == "chunked":
            data = response(200, "Transfer-Encoding: chunked", body=None) + chunked(body)
        else:
            data = response(200, body=None) + body
        if mood > 0.95:
            # All but the end; only a reset tells that a body until close is not complete.
            await wire.send(data[: self._chance.randrange(len(data))])
            wire.reset()
            raise EndedError
        cut = self._chance.randrange(len(data))
        await wire.send(data[:cut])
        await self._pause()
        await wire.send(data[cut:])
        if kind == "until close":
            raise EndedError

    async def _tunnel(self, wire: Wire, head: Message) -> None:
        if self._chance.random() < 0.2:
            await wire.send(response(403, body=head.path.encode()))
            return
        await wire.send(SWITCH + head.path.encode() + b"\n")
        while data := await wire.read():
            await wire.send(data)


class Visitor:
    """A client that does all kinds of things, and checks that what it gets is its own."""

    def __init__(self, front: Front, seed: int) -> None:
        self._front = front
        self._chance = random.Random(seed)
        self.answers = 0

    async def visit(self, name: str) -> None:
        """Make some requests on one connection, then leave in one way or another."""
        client = await self._front.client()
        with contextlib.suppress(EndedError, ConnectionError):
            for number in range(self._chance.randrange(1, 6)):
                await self._ask(client, f"/{name}-{number}")
        client.reset() if self._chance.random() < 0.3 else client.close()

    async def _ask(self, client: Wire, path: str) -> None:
        mood = self._chance.random()
        if mood < 0.15:
            await self._upgrade(client, path)
        data = self._chance.randbytes(self._chance.choice([0, 10, 5000, 200000]))
        if mood < 0.5:
            sent = request("POST", path, body=data)
        elif mood < 0.7:
            sent = request("POST", path, "Transfer-Encoding: chunked") + chunked(
                *([data] if data else [])
            )
        else:
            sent, data = request("GET", path), b""
        if self._chance.random() < 0.1:
            await client.send(sent[: self._chance.randrange(len(sent))])
            raise EndedError
        await client.send(sent)
        if self._chance.random() < 0.1:
            raise EndedError
        self._check(await client.read_response(), path.encode(), data)

    async def _upgrade(self, client: Wire, path: str) -> None:
        await client.send(request("GET", path, *UPGRADE) + b"early")
        got = await client.read_response()
        if got.status == 101:
            data = self._chance.randbytes(100000)
            assert await client.read_exactly(len(path) + 6) == path.encode() + b"\nearly"
            _, back = await asyncio.gather(client.send(data), client.read_exactly(len(data)))
            assert back == data
        else:
            assert got.status in (403, 503)
        raise EndedError

    def _check(self, got: Message, path: bytes, data: bytes) -> None:
        assert got.status in (200, 413, 503)
        if got.status == 200:
            self.answers += 1
            assert got.body == path + b" " + data
        elif got.status == 413:
            assert got.body == path


@pytest.mark.parametrize("seed", [1, 2])
async def test_everybody_at_once(
    start_front: StartFront, start_target: StartTarget, seed: int
) -> None:
    front = await start_front(timeouts=Timeouts(ready=0, down=0))
    files = open_files()
    target = await start_target(Moody(seed))
    front.route("/", target.url)
    visitors = [Visitor(front, 1000 * seed + number) for number in range(CLIENTS)]

    async def come_and_go(number: int) -> None:
        for turn in range(ROUNDS):
            await visitors[number].visit(f"{number}-{turn}")

    await asyncio.gather(*(come_and_go(number) for number in range(CLIENTS)))
    assert sum(visitor.answers for visitor in visitors) > CLIENTS * ROUNDS / 2

    await until(lambda: front.open == 0, "no client is left")
    assert not front.plane.tunnels
    entry = front.table.match("", "/")
    assert entry is not None
    assert (entry.requests, entry.tunnels) == (0, 0)
    front.plane.connector.close()
    await target.stop()
    await until(lambda: open_files() <= files, "no socket is left")
