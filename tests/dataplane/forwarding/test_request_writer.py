"""What was made for one connection's client is never used for another's."""

from copy import deepcopy

from hubgate.dataplane.downstream.connection import DownstreamConnection
from hubgate.http1.reader import RequestReader
from hubgate.http1.request import RequestHead
from hubgate.model import ForwardRules, Limits, WorkerConfig
from tests.dataplane.conftest import StartFront
from tests.dataplane.peers import ANSWER, Front, Target, until
from tests.dataplane.wire import Wire, request

SAME = request("GET", "/lab?x=1", "User-Agent: one browser", "Accept: */*")
ROUNDS = 4


async def said_of(client: Wire, wire: Wire) -> str | None:
    """Send the same bytes once more; return which address the target is told."""
    await client.send(SAME)
    seen = await wire.read_request()
    await wire.send(ANSWER)
    assert (await client.read_response()).status == 200
    return seen.get("x-forwarded-for")


async def test_clients_that_send_the_same_bytes_are_told_apart(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(trusted_peers=())
    front.route("/", target.url)
    addresses = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
    clients = {}
    for address in addresses * 2:  # two connections from each, so that lines come again
        clients[address] = await front.client(address=address)
        await clients[address].send(SAME)
        wire = target.wires[0] if target.wires else await target.accept()
        assert (await wire.read_request()).get("x-forwarded-for") == address
        await wire.send(ANSWER)
        await clients[address].read_response()
    for _ in range(ROUNDS):
        for address, client in clients.items():
            assert await said_of(client, wire) == address

    # Without a block that they share the test would prove nothing.
    blocks = {id(block_of(front, address)) for address in addresses}
    assert len(blocks) == 1


def block_of(front: Front, address: str) -> object:
    """Return the header lines that the latest connection from there goes by."""
    (client,) = [each for each in downstreams(front) if each.peer == address][-1:]
    return client._reader._block


def downstreams(front: Front) -> list[DownstreamConnection]:
    return list(front.plane._listener.clients)


async def test_a_head_is_as_it_was_read_once_it_was_written(front: Front, target: Target) -> None:
    front.route("/", target.url)
    await front.client()
    await until(lambda: downstreams(front), "the connection is there")
    (client,) = downstreams(front)
    reader = RequestReader(Limits())
    reader.feed(SAME)
    incoming = reader.requests[0]
    assert incoming.head is not None
    assert incoming.block is not None, "it is canonical"
    entry = front.plane.table.match("hub", "/lab")
    assert entry is not None
    assert entry.target is not None

    before = state(incoming.head), state(incoming.block.head)
    written = front.plane.request_writer.opening(client, incoming, entry, entry.target)
    assert written.startswith(b"GET /lab?x=1 HTTP/1.1\r\n")
    assert (state(incoming.head), state(incoming.block.head)) == before
    assert not {"opening", "rests", "heads"} & set(RequestHead.__slots__)


def state(head: RequestHead) -> dict[str, object]:
    """Return all that a head says."""
    caches = ("_fields", "_lines")  # the same lines in two forms, one made of the other
    names = [name for name in RequestHead.__slots__ if name not in caches]
    return deepcopy({name: getattr(head, name) for name in (*names, "lines", "fields")})


async def test_what_was_made_by_other_rules_is_not_used(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front()
    front.route("/", target.url)
    client = await front.client()
    await client.send(SAME)
    wire = await target.accept()
    assert (await wire.read_request()).get("x-forwarded-for") == "127.0.0.1"
    await wire.send(ANSWER)
    await client.read_response()

    await front.plane.reconfigure(WorkerConfig(rules=ForwardRules(x_forward=False)))
    await client.send(SAME)
    wire = await target.accept()
    assert (await wire.read_request()).get("x-forwarded-for") is None
