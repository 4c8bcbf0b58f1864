"""How tunnels end, and a reader that is slow."""

import asyncio
import random

import pytest

from hubgate.dataplane.tunnels import tunnel
from tests.dataplane.peers import Front, Target, flood
from tests.dataplane.tunnels.tunnels import HELLO, closed, opened

# --- back-pressure ---------------------------------------------------------------------------

DATA = random.Random(65).randbytes(1 << 20)
MUCH = 64 << 20


@pytest.mark.parametrize("direction", ["to the target", "to the client"])
async def test_a_slow_reader_slows_the_writer_down(
    joined: Front, target: Target, direction: str
) -> None:
    client, wire = await opened(joined, target, raw=True)
    writer, reader = (client, wire) if direction == "to the target" else (wire, client)
    sent = await flood(writer, DATA, MUCH)
    (tunnel,) = joined.plane.tunnels
    assert max(end.transport.get_write_buffer_size() for end in tunnel._ends) < 512 << 10

    # The other direction is not held up, and nothing is lost.
    await reader.send(b"other way")
    assert await writer.read_exactly(9) == b"other way"
    assert await reader.read_exactly(sent) == (DATA * (sent // len(DATA) + 1))[:sent]
    await writer.send(b"on it goes")
    assert await reader.read_exactly(10) == b"on it goes"


# --- the end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["client", "target"])
@pytest.mark.parametrize("raw", [False, True])
async def test_one_side_may_end_while_the_other_goes_on(
    joined: Front, target: Target, first: str, raw: bool
) -> None:
    client, wire = await opened(joined, target, raw=raw)
    ending, other = (client, wire) if first == "client" else (wire, client)
    await ending.send(b"last words")
    ending.half_close()
    assert await other.read_rest() == b"last words"

    for number in range(5):
        await other.send(b"%d" % number)
        assert await ending.read_exactly(1) == b"%d" % number
    other.close()
    assert await ending.ending() == "end"
    await closed(joined)


@pytest.mark.real_time
async def test_a_half_closed_tunnel_stays_while_something_moves(
    joined: Front, target: Target
) -> None:
    loop = asyncio.get_running_loop()
    client, wire = await opened(joined, target, raw=True)
    client.half_close()
    assert await wire.read() == b""
    (half,) = joined.plane.tunnels
    for _ in range(5):
        before = half.deadline = loop.time() + 20
        await wire.send(b"x")
        assert await client.read_exactly(1) == b"x"
        assert before < half.deadline <= loop.time() + tunnel.LINGER
    half.deadline = 0  # and then nothing does, for so long

    assert await wire.drain() in ("end", "reset")
    await closed(joined)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("side", ["client", "target"])
async def test_the_loss_of_one_side_closes_the_other(
    joined: Front, target: Target, side: str, how: str, raw: bool
) -> None:
    client, wire = await opened(joined, target, raw=raw)
    lost, left = (client, wire) if side == "client" else (wire, client)
    lost.close() if how == "close" else lost.reset()

    assert await left.ending() in ("end", "reset")
    left.close()
    await closed(joined)


@pytest.mark.parametrize("side", ["client", "target"])
async def test_what_was_sent_before_the_loss_still_arrives(
    joined: Front, target: Target, side: str
) -> None:
    client, wire = await opened(joined, target)
    lost, left = (client, wire) if side == "client" else (wire, client)
    data = random.Random(8).randbytes(200000)
    await lost.send(data)
    lost.close()

    assert await left.read_rest() == data


@pytest.mark.parametrize("side", ["client", "target"])
async def test_the_loss_of_a_slow_side_lets_the_other_go(
    joined: Front, target: Target, side: str
) -> None:
    client, wire = await opened(joined, target, raw=True)
    lost, left = (client, wire) if side == "client" else (wire, client)
    await flood(left, DATA, MUCH)
    lost.reset()

    assert await left.drain() in ("end", "reset")
    left.close()
    await closed(joined)


@pytest.mark.parametrize("side", ["client", "target"])
async def test_a_loss_is_noticed_though_the_other_side_does_not_read(
    joined: Front, target: Target, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    monkeypatch.setattr(tunnel, "LINGER", 0.5)
    client, wire = await opened(joined, target, raw=True)
    lost, stuck = (client, wire) if side == "client" else (wire, client)
    await flood(lost, DATA, MUCH)
    lost.reset()

    await closed(joined)
    assert await stuck.drain() in ("end", "reset")


@pytest.mark.real_time
async def test_a_side_that_does_not_read_is_waited_for(
    joined: Front, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "LINGER", 0.3)
    client, wire = await opened(joined, target, raw=True)
    sent = await flood(client, DATA, MUCH)
    await asyncio.sleep(1.5)  # longer than the limit and the sweep's pause together

    assert await wire.read_exactly(sent) == (DATA * (sent // len(DATA) + 1))[:sent]


async def test_a_removed_route_lets_its_tunnels_finish(joined: Front, target: Target) -> None:
    client, wire = await opened(joined, target)
    joined.table.apply((), ["/"])
    await client.send(HELLO)

    assert await wire.read_exactly(len(HELLO)) == HELLO
    assert (await joined.ask("GET", "/")).status == 404
