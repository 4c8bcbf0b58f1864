"""Hundreds of tunnels leave nothing open behind."""

from tests.dataplane.conftest import StartTarget
from tests.dataplane.peers import Front, hello, open_files, until
from tests.dataplane.tunnels.tunnels import HELLO, SWITCH, UPGRADE, closed
from tests.dataplane.wire import Wire, request

ROUNDS = 200


async def nothing_left(front: Front, files: int) -> None:
    front.plane.connector.close()
    await closed(front)
    await until(lambda: open_files() <= files, "no socket is left")


async def test_tunnels_leave_nothing_open(front: Front, start_target: StartTarget) -> None:
    async def serve(wire: Wire) -> None:
        await wire.read_request()
        await wire.send(SWITCH)
        await wire.send(await wire.read_exactly(len(HELLO)))
        await wire.read_rest()

    target = await start_target(serve)
    front.route("/", target.url)
    files = open_files()
    for number in range(ROUNDS):
        client = await front.client()
        await client.send(request("GET", "/", *UPGRADE) + HELLO)
        await client.read_response()
        assert await client.read_exactly(len(HELLO)) == HELLO
        client.reset() if number % 2 else client.close()

    await nothing_left(front, files)


async def test_refused_upgrades_leave_nothing_open(front: Front, start_target: StartTarget) -> None:
    target = await start_target(hello)
    front.route("/", target.url)
    files = open_files()
    for number in range(ROUNDS):
        client = await front.client()
        await client.send(request("GET", "/", *UPGRADE) + (HELLO if number % 2 else b""))
        assert (await client.read_response()).body == b"hello"
        client.close()

    await nothing_left(front, files)


async def test_upgrades_to_dead_targets_leave_nothing_open(
    front: Front, start_target: StartTarget
) -> None:
    async def die(wire: Wire) -> None:
        await wire.read_request()

    target = await start_target(die)
    front.route("/", target.url)
    files = open_files()
    for _ in range(ROUNDS):
        client = await front.client()
        await client.send(request("GET", "/", *UPGRADE))
        assert (await client.read_response()).status == 503
        client.close()

    await nothing_left(front, files)
