"""Bodies that are passed on without a copy arrive as they were sent, whoever is slow."""

import asyncio
import hashlib
import random
import ssl

import pytest

from hubgate.transport import bounded_reads
from hubgate.transport.bounded_reads import READ_AT_ONCE, READ_OF_TRUSTED, LentReads
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import Front, flood
from tests.dataplane.wire import TLSWire, Wire, request, response

SIZE = 6 << 20
CLIENTS = 4
LENGTH = f"Content-Length: {SIZE}\r\n"


def body(number: int) -> bytes:
    """What the target sends to the client of that number."""
    return random.Random(number).randbytes(SIZE)


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each read has brought that was lent."""
    sizes: list[int] = []
    update = LentReads.buffer_updated

    def note(self: LentReads, nbytes: int) -> None:
        sizes.append(nbytes)
        update(self, nbytes)

    monkeypatch.setattr(LentReads, "buffer_updated", note)
    return sizes


async def read_at_its_own_pace(wire: Wire | TLSWire, number: int) -> str:
    """Ask for a body, read it in fits and starts, and return what it was."""
    pace, digest, left = random.Random(-number), hashlib.sha256(), SIZE
    await wire.send(b"GET /%d HTTP/1.0\r\n\r\n" % number)  # which knows no chunks
    await wire.read_until(b"\r\n\r\n")
    while left:
        data = await wire.read(min(left, pace.choice((1 << 12, 1 << 16, 1 << 20))))
        assert data, f"{left} bytes did not come"
        digest.update(data)
        left -= len(data)
        if pace.random() < 0.1:
            await asyncio.sleep(0.01)
    return digest.hexdigest()


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("field", [LENGTH, ""], ids=["counted", "until the end"])
@pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])
async def test_slow_readers_get_what_was_sent(
    start_front: StartFront,
    start_target: StartTarget,
    server_settings: dict[str, object],
    client_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    field: str,
    tls: bool,
    trusted: bool,
) -> None:
    monkeypatch.setattr(bounded_reads, "_TRUST_AFTER", READ_AT_ONCE if trusted else SIZE)

    async def serve(wire: Wire) -> None:
        asked = await wire.read_request()
        await wire.send(f"HTTP/1.1 200 OK\r\n{field}\r\n".encode())
        await wire.send(body(int(asked.path[1:])))
        wire.close()

    front = await start_front(config=server_settings if tls else {})
    front.route("/", (await start_target(serve)).url)
    wires = [
        await (front.tls_client(client_tls) if tls else front.client(receive_buffer=1 << 14))
        for _ in range(CLIENTS)
    ]
    async with asyncio.timeout(60):
        got = await asyncio.gather(*map(read_at_its_own_pace, wires, range(CLIENTS)))
    assert got == [hashlib.sha256(body(number)).hexdigest() for number in range(CLIENTS)]


async def test_one_who_keeps_up_is_trusted_with_larger_reads_until_it_does_not(
    front: Front, start_target: StartTarget, sizes: list[int]
) -> None:
    target = await start_target()
    front.route("/", target.url)
    client = await front.client()
    await client.send(request("GET", "/"))
    behind = await target.accept()
    await behind.read_request()
    await behind.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))

    await client.read_until(b"\r\n\r\n")
    for _ in range(64):
        if max(sizes, default=0) > READ_AT_ONCE:
            break
        while behind.send_some(bytes(1 << 20)):
            pass
        await client.read(1 << 22)
    assert max(sizes) == READ_OF_TRUSTED
    assert sum(sizes[: sizes.index(READ_OF_TRUSTED)]) > 8 << 20

    await flood(behind, bytes(1 << 16), 1 << 26)  # it reads nothing now
    sizes.clear()
    while len(sizes) < 8:
        await client.read(1 << 20)
        behind.send_some(bytes(1 << 20))
    assert max(sizes) <= READ_AT_ONCE


async def test_trust_in_one_client_is_not_passed_on_to_the_next(
    front: Front, start_target: StartTarget, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_reads, "_TRUST_AFTER", 1)
    target = await start_target()
    front.route("/", target.url)

    async def ask() -> None:
        """Have the target send a head, and its body in large reads when that has arrived."""
        client = await front.client()
        await client.send(request("GET", "/"))
        if not target.wires:
            await target.accept()
        (behind,) = target.wires
        await behind.read_request()
        await behind.send(response(200, f"Content-Length: {SIZE}", body=None))
        await client.read_until(b"\r\n\r\n")
        async with asyncio.TaskGroup() as group:
            group.create_task(behind.send(bytes(SIZE)))
            assert await client.read_exactly(SIZE) == bytes(SIZE)
        client.close()

    await ask()
    assert max(sizes) > READ_AT_ONCE
    sizes.clear()
    await ask()
    assert target.accepted == 1
    assert sizes[1] <= READ_AT_ONCE, "the next client has to earn it"
    assert max(sizes) > READ_AT_ONCE
