import asyncio
import pickle
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import replace

import pytest

from hubgate.model import Report, Route, RouteOptions, ServerTLS, Source, WorkerConfig
from hubgate.tasks import spawn
from hubgate.worker import link as link_module
from hubgate.worker.link import (
    CHANGES_PER_FRAME,
    ROUTES_PER_FRAME,
    Link,
    LinkClosedError,
    encode,
    parts,
)
from hubgate.worker.messages import (
    PART,
    Ack,
    Change,
    Collect,
    Collected,
    InheritedSocket,
    Message,
    SocketKind,
    Start,
    Table,
    forwarding,
)

Pair = tuple[Link, Link]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    ends = socket.socketpair()
    links = [await Link.open(end) for end in ends]
    yield links[0], links[1]
    for link in links:
        await link.close()


def table(size: int) -> tuple[Route, ...]:
    return tuple(Route(f"/user/{number}", "http://127.0.0.1:9") for number in range(size))


def start(size: int) -> Start:
    return Start(WorkerConfig(), (), 1, table(size))


async def test_messages_arrive_whole_and_in_order(pair: Pair) -> None:
    here, there = pair
    options = RouteOptions(True, (("X-A", "b"),))
    route = Route("hub.example.org/a", "http://h", {"x": [1]}, options, Source.FILE)
    tls = ServerTLS("c", "k", passphrase="secret")
    sent: list[Message] = [
        Table(("/a",), ("http://h",), (route,)),
        Start(WorkerConfig(tls=tls), (InheritedSocket(5, SocketKind.REDIRECT),), 3),
        Change(4, (route,), ("/gone",)),
        Ack(4),
        Collected(1, Report({"/a": 1.5}, {"requests_web": 2}, 3, 4)),
    ]
    for message in sent:
        here.send(message)
    sent[2] = Change(4, (forwarding(route),), ("/gone",))
    assert [await there.receive() for _ in sent] == sent


async def test_both_directions_at_once(pair: Pair) -> None:
    here, there = pair
    for number in range(500):
        here.send(Ack(number))
        there.send(Ack(-number))
    for number in range(500):
        assert await there.receive() == Ack(number)
        assert await here.receive() == Ack(-number)


def routes_of(messages: Iterable[Message]) -> list[Route]:
    tables = [message for message in messages if isinstance(message, Table)]
    plain = [
        Route(key, target)
        for each in tables
        for key, target in zip(each.keys, each.targets, strict=True)
    ]
    return plain + [route for each in tables for route in each.others]


async def test_large_table_does_not_block_the_sender(pair: Pair) -> None:
    here, there = pair
    here.send(start(50_000))  # far more than the socket holds, and nobody reads
    await asyncio.sleep(0)
    flushed = spawn(here.flush(), "flush")
    received: list[Message] = []
    while not isinstance(message := await there.receive(), Start):
        received.append(message)
    assert tuple(routes_of(received)) == table(50_000)
    assert message == start(0)
    await flushed


async def test_change_behind_a_large_table_stays_behind_it(pair: Pair) -> None:
    here, there = pair
    here.send(start(3 * ROUTES_PER_FRAME))
    here.send(Change(2, (), ("/user/1",)))
    kinds = [type(await there.receive()) for _ in range(5)]
    assert kinds == [Table, Table, Table, Start, Change]


@pytest.mark.parametrize("size", [1, ROUTES_PER_FRAME - 1, ROUTES_PER_FRAME])
def test_small_table_is_one_frame(size: int) -> None:
    assert list(parts(start(size))) == [
        Table(tuple(each.key for each in table(size)), tuple(each.target for each in table(size))),
        start(0),
    ]


def test_no_table_is_no_frame() -> None:
    assert list(parts(start(0))) == [start(0)]


@pytest.mark.parametrize("size", [ROUTES_PER_FRAME + 1, 3 * ROUTES_PER_FRAME + 17])
def test_large_table_is_cut_without_loss(size: int) -> None:
    *tables, last = parts(start(size))
    assert last == start(0)
    assert tuple(routes_of(tables)) == table(size)
    assert all(len(part.targets) <= ROUTES_PER_FRAME for part in tables)  # type: ignore[union-attr]


def test_options_go_along_and_what_was_posted_does_not() -> None:
    options = RouteOptions(strip_prefix=True)
    routes = (
        Route("/a", "http://a", {"target": "http://a", "user": "alice"}),
        Route("/b", "http://b", {"target": "http://b"}, options),
        Route("/c", "http://c", options=RouteOptions()),
    )
    sent = list(parts(replace(start(0), routes=routes)))
    assert routes_of(sent) == [
        *(Route("/a", "http://a"), Route("/b", "http://b", options=options)),
        Route("/c", "http://c"),
    ]


def test_a_worker_is_told_nothing_of_a_source() -> None:
    routes = [Route("/a", "http://a", {"target": "http://a"}, source=each) for each in Source]
    frames = {encode(Change(1, (forwarding(route),), ())) for route in routes}
    assert len(frames) == 1
    assert b"Source" not in frames.pop()


@pytest.mark.parametrize("source", Source)
def test_a_route_keeps_its_source_on_the_way(source: Source) -> None:
    route = Route("/a", "http://a", {"target": "http://a"}, source=source)
    assert pickle.loads(pickle.dumps(route)) == route


async def test_end_of_the_other_side_ends_the_messages(pair: Pair) -> None:
    here, there = pair
    here.send(Ack(1))
    await here.flush()
    await here.close()
    assert [message async for message in there] == [Ack(1)]
    with pytest.raises(LinkClosedError):
        await there.receive()


async def test_half_a_frame_is_the_end() -> None:
    ours, theirs = socket.socketpair()
    link = await Link.open(theirs)
    ours.sendall(encode(Ack(1))[:-1])
    ours.close()
    with pytest.raises(LinkClosedError):
        await link.receive()
    await link.close()


async def test_sending_to_nobody_is_no_error(pair: Pair) -> None:
    here, there = pair
    await there.close()
    for _ in range(100):
        here.send(start(2000))
        await asyncio.sleep(0)
    await asyncio.wait_for(here.flush(), 30)


async def test_handed_over_amid_a_frame_nothing_is_lost() -> None:
    """The next program reads on where this one stopped, and what was sent has arrived."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    ours.setblocking(False)
    first = await Link.open(ours)
    frames = b"".join(encode(Ack(number)) for number in range(3))
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(theirs, frames[:-7])
    assert await first.receive() == Ack(0)
    assert await first.receive() == Ack(1)
    with suppress(TimeoutError):
        await asyncio.wait_for(first.receive(), 0.05)
    first.send(Collect(5))
    fd, received = await first.hand_over()
    await loop.sock_sendall(theirs, frames[-7:] + encode(Ack(3)))
    second = await Link.open(socket.socket(fileno=fd), received)
    assert [await second.receive() for _ in range(2)] == [Ack(2), Ack(3)]
    other = await Link.open(theirs)
    assert await other.receive() == Collect(5)
    await second.close()
    await other.close()


async def test_a_peer_that_does_not_read_keeps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "FLUSH_LIMIT", 0.1)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        link = await Link.open(ours)
        routes = tuple(Route(f"/{number}", "http://127.0.0.1:1") for number in range(20000))
        link.send(Change(1, routes, ()))
        with pytest.raises(LinkClosedError, match="does not read"):
            await link.hand_over()
        await link.close()


def change(put: int, delete: int) -> Change:
    return Change(7, table(put), tuple(f"/gone/{number}" for number in range(delete)))


@pytest.mark.parametrize(
    ("put", "delete"), [(0, 0), (1, 1), (250, 0), (251, 0), (0, 251), (200, 100), (1000, 1001)]
)
def test_a_change_is_cut_up_without_loss_and_only_its_end_is_acknowledged(
    put: int, delete: int
) -> None:
    whole = change(put, delete)
    cut = [part for part in parts(whole) if isinstance(part, Change)]
    assert tuple(route for part in cut for route in part.put) == whole.put
    assert tuple(key for part in cut for key in part.delete) == whole.delete
    assert [part.revision for part in cut] == [*[PART] * (len(cut) - 1), 7]
    assert all(len(part.put) + len(part.delete) <= CHANGES_PER_FRAME for part in cut)


def test_keys_are_deleted_before_routes_are_put() -> None:
    kinds = ["".join("d" * bool(part.delete) + "p" * bool(part.put))
             for part in parts(change(600, 600)) if isinstance(part, Change)]  # fmt: skip
    assert "".join(kinds) == "".join(sorted("".join(kinds)))


async def test_messages_are_handled_as_they_arrive_until_the_end(pair: Pair) -> None:
    here, there = pair
    handled: list[Message] = []
    delivering = spawn(there.deliver(handled.append), "deliver")
    for number in range(100):
        here.send(Ack(number))
    here.send(change(600, 0))
    here.send(Ack(100))
    await here.flush()
    await here.close()
    await delivering
    acknowledged = [each.revision for each in handled if isinstance(each, Ack)]
    assert acknowledged == [*range(101)]
    assert routes_put(handled) == table(600)
    assert handled[-1] == Ack(100)


def routes_put(messages: Iterable[Message]) -> tuple[Route, ...]:
    return tuple(route for each in messages if isinstance(each, Change) for route in each.put)


async def test_others_have_their_turn_between_the_parts_of_a_large_change(pair: Pair) -> None:
    here, there = pair
    here.send(change(4 * CHANGES_PER_FRAME, 0))
    await here.flush()
    turns, at = 0, list[int]()
    delivering = spawn(there.deliver(lambda _: at.append(turns)), "deliver")
    while len(at) < 4:
        await asyncio.sleep(0)
        turns += 1
    assert len(set(at)) == 4
    delivering.cancel()


async def test_what_handling_raises_ends_the_delivery(pair: Pair) -> None:
    here, there = pair

    def handle(_: Message) -> None:
        raise ValueError("unexpected")

    here.send(Ack(1))
    here.send(Ack(2))
    with pytest.raises(ValueError, match="unexpected"):
        await there.deliver(handle)
    assert await there.receive() == Ack(2)


async def test_nothing_is_lost_when_a_delivery_is_cancelled(pair: Pair) -> None:
    here, there = pair
    handled: list[Message] = []

    def handle(message: Message) -> None:
        handled.append(message)
        delivering.cancel()

    delivering = spawn(there.deliver(handle), "deliver")
    here.send(change(8 * CHANGES_PER_FRAME, 0))
    here.send(Ack(1))
    await asyncio.wait({delivering})
    assert len(handled) < 8
    while not isinstance(message := await there.receive(), Ack):
        handled.append(message)
    assert routes_put(handled) == table(8 * CHANGES_PER_FRAME)


async def test_what_is_sent_in_one_turn_is_written_twice_at_most(pair: Pair) -> None:
    here, there = pair
    writes = 0
    write = here._transport.write

    class Counting:
        """The transport, which counts writes."""

        def __getattr__(self, name: str) -> object:
            return getattr(here_transport, name)

        def write(self, data: bytes) -> None:
            nonlocal writes
            writes += 1
            write(data)

    here_transport = here._transport
    here._transport = Counting()  # type: ignore[assignment]
    for number in range(50):
        here.send(Ack(number))
    assert writes == 1
    assert [await there.receive() for _ in range(50)] == [Ack(number) for number in range(50)]
    assert writes == 2
    here._transport = here_transport


async def test_a_large_change_does_not_overtake_small_ones_before_it(pair: Pair) -> None:
    here, there = pair
    for number in range(3):
        here.send(Ack(number))
    here.send(change(2 * CHANGES_PER_FRAME, 0))
    here.send(Ack(3))
    kinds = [type(await there.receive()) for _ in range(6)]
    assert kinds == [Ack, Ack, Ack, Change, Change, Ack]
