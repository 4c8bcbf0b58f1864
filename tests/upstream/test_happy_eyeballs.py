"""Which of a host's addresses is connected to, and that nothing of the others stays open."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest

from hubgate.tasks import spawn
from hubgate.upstream import happy_eyeballs
from hubgate.upstream.happy_eyeballs import connect_any
from hubgate.upstream.resolver import HostAddress
from tests.dataplane.peers import open_files, until
from tests.upstream.lookups import v4

# Multicast: the kernel knows no way to connect to it.
(NOWHERE,) = v4("224.0.0.1")
# Unlike those of 127.0.0.1, nobody else is likely to use their ports.
FIRST, SECOND = v4("127.0.0.7", "127.0.0.8")


@contextlib.contextmanager
def listening_at(ip: str, port: int = 0) -> Iterator[int]:
    with socket.create_server((ip, port)) as listener:
        yield int(listener.getsockname()[1])


@contextlib.contextmanager
def silent_at(ip: str, port: int) -> Iterator[None]:
    """Have an address neither accept nor refuse: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((ip, port))
        listener.listen(0)
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex((ip, port))
        yield


async def reached(*addresses: HostAddress, port: int) -> str:
    """Connect and return whom we have reached; nothing else may be open afterwards."""
    before = open_files()
    address, sock = await connect_any(addresses, port)
    with sock:
        assert sock.getpeername() == address.at(port)
        assert open_files() == before + 1
    return address.ip


async def test_the_first_address_is_the_first_choice() -> None:
    with listening_at("") as port:
        assert await reached(FIRST, SECOND, port=port) == FIRST.ip
        assert await reached(SECOND, FIRST, port=port) == SECOND.ip
        assert await reached(SECOND, port=port) == SECOND.ip


async def test_one_that_refuses_is_passed_over_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(happy_eyeballs, "STAGGER", 3600)
    with listening_at(SECOND.ip) as port:
        assert await reached(FIRST, SECOND, port=port) == SECOND.ip
        assert await reached(NOWHERE, SECOND, port=port) == SECOND.ip


async def test_one_that_is_silent_is_passed_over_soon() -> None:
    with listening_at(SECOND.ip) as port, silent_at(FIRST.ip, port):
        assert await reached(FIRST, SECOND, port=port) == SECOND.ip


async def test_one_that_is_slow_still_wins_over_none() -> None:
    """Its queue has room again only when the others have failed long ago, or at once."""
    with contextlib.ExitStack() as room:
        with socket.socket() as free:
            free.bind((FIRST.ip, 0))
            port = free.getsockname()[1]
        room.enter_context(silent_at(FIRST.ip, port))
        others = (*v4("127.0.0.3"), NOWHERE)
        trying = [spawn(connect_any([FIRST, other], port), "connect") for other in others]
        await asyncio.sleep(0.3)
        assert not any(each.done() for each in trying)
        room.close()
        with listening_at(FIRST.ip, port):
            reached = await asyncio.gather(*trying)
    for address, sock in reached:
        assert address == FIRST
        sock.close()


async def test_all_refuse() -> None:
    with listening_at("127.0.0.3") as port:
        before = open_files()
        with pytest.raises(ConnectionRefusedError):
            await connect_any([FIRST, SECOND], port)
        with pytest.raises(ConnectionRefusedError):
            await connect_any([FIRST], port)
        # One that refuses may be starting: what is known of the others must not hide it.
        for addresses in ([NOWHERE, FIRST], [FIRST, NOWHERE]):
            with pytest.raises(ConnectionRefusedError):
                await connect_any(addresses, port)
        assert open_files() == before


async def test_no_address_can_be_used() -> None:
    before = open_files()
    with pytest.raises(OSError, match=r"."):
        await connect_any([HostAddress(socket.AF_INET6, "fe80::1%none", (0, 0))], 80)
    assert open_files() == before


async def test_giving_up_leaves_nothing_open() -> None:
    with listening_at("127.0.0.3") as port, silent_at(FIRST.ip, port), silent_at(SECOND.ip, port):
        before = open_files()
        trying = spawn(connect_any([FIRST, SECOND], port), "connect")
        await until(lambda: open_files() == before + 2, "both are tried")
        trying.cancel()
        await asyncio.gather(trying, return_exceptions=True)
        assert open_files() == before


async def test_what_fails_at_once_is_not_waited_for_beside_one_that_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits = []
    wait = happy_eyeballs._Race.wait

    async def counted(race: happy_eyeballs._Race, timeout: float | None) -> None:
        waits.append(timeout)
        await wait(race, timeout)

    monkeypatch.setattr(happy_eyeballs._Race, "wait", counted)
    with listening_at(SECOND.ip) as port, silent_at(FIRST.ip, port):
        assert await reached(FIRST, NOWHERE, SECOND, port=port) == SECOND.ip
    assert waits == [happy_eyeballs.STAGGER, None]
