"""A proxy entrusts its sockets, and the next one gets them."""

import asyncio
import gc
import os
import socket
import stat
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hubgate import keeper as module
from hubgate.errors import ConfigError
from hubgate.keeper import MAX_DESCRIPTORS, VARIABLE, Keeper, KeeperClient
from tests.control.waiting import until


@pytest.fixture
async def keeper() -> AsyncIterator[Keeper]:
    one = Keeper()
    one.open()
    yield one
    one.close()


async def meet(keeper: Keeper) -> KeeperClient:
    """Be a proxy, in a thread: the keeper's event loop has to go on."""
    client = await asyncio.to_thread(KeeperClient.connect, {VARIABLE: keeper.path or ""})
    assert client is not None
    return client


def inodes(fds: list[int]) -> list[int]:
    return [os.fstat(fd).st_ino for fd in fds]


async def taken(keeper: Keeper) -> list[int]:
    """Return what a proxy that starts now gets, by inode."""
    client = await meet(keeper)
    fds = client.take()
    found = inodes(fds)
    assert not any(map(os.get_inheritable, fds))
    for fd in fds:
        os.close(fd)
    client._connection.close()
    return found


async def test_what_is_entrusted_outlives_the_proxy(keeper: Keeper) -> None:
    assert await taken(keeper) == []
    with ExitStack() as stack:
        socks = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        expected = inodes([sock.fileno() for sock in socks])
        where = socks[0].getsockname()
        (await meet(keeper)).lend(sock.fileno() for sock in socks)
        await until(lambda: keeper.keeps)
    with socket.create_connection(where):
        assert await taken(keeper) == expected
        assert await taken(keeper) == expected, "given away instead of shared"
    keeper.release()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(where)


async def test_what_is_entrusted_later_takes_the_place_of_what_was(keeper: Keeper) -> None:
    gc.collect()  # what is collected later must not be missed below
    before = len(os.listdir("/dev/fd"))
    for _ in range(5):
        with socket.create_server(("127.0.0.1", 0)) as sock:
            (await meet(keeper)).lend([sock.fileno()])
            expected = inodes([sock.fileno()])
            await until(lambda wanted=expected: inodes(keeper._kept) == wanted)  # type: ignore[misc]
    await until(lambda: not keeper._clients)
    assert len(os.listdir("/dev/fd")) == before + 1


async def test_a_proxy_that_dies_in_between_changes_nothing(keeper: Keeper) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        (await meet(keeper)).lend([sock.fileno()])
        await until(lambda: keeper.keeps)
        (await meet(keeper))._connection.close()
        await until(lambda: not keeper._clients)
        assert await taken(keeper) == inodes([sock.fileno()])


async def test_as_many_as_the_kernel_takes(keeper: Keeper) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        (await meet(keeper)).lend([sock.fileno()] * (MAX_DESCRIPTORS + 1))
        await until(lambda: keeper.keeps)
        assert len(await taken(keeper)) == MAX_DESCRIPTORS


async def test_its_folder_is_for_its_user_alone(keeper: Keeper) -> None:
    folder = Path(keeper.path or "").parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    keeper.close()
    assert not folder.exists()
    assert KeeperClient.connect({VARIABLE: str(folder / "keeper.sock")}) is None


def test_nobody_keeps_anything() -> None:
    assert KeeperClient.connect({}) is None


async def test_a_keeper_that_does_not_answer_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.1)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "k"))
        silent.listen()
        with pytest.raises(ConfigError, match=r"^HUBGATE_KEEPER: \S+: the hub did not .+$"):
            KeeperClient.connect({VARIABLE: str(tmp_path / "k")})


# --- what others left ---


def left_behind(folder: Path, age: float, *others: str) -> socket.socket:
    """Make the folder of a keeper that is `age` seconds old; nobody listens yet."""
    folder.mkdir()
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(str(folder / "keeper.sock"))
    for name in others:
        (folder / name).touch()
    then = time.time() - age
    os.utime(folder, (then, then))
    return door


async def test_what_a_killed_keeper_left_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left_behind(tmp_path / "hubgate-killed", 3600).close()
    left_behind(tmp_path / "hubgate-just-made", 1).close()
    left_behind(tmp_path / "else", 3600).close()
    (tmp_path / "hubgate-notes").mkdir()
    living = left_behind(tmp_path / "hubgate-lives", 3600)
    living.listen()
    keeper = Keeper()
    own = Path(keeper.open()).parent.name
    names = set(os.listdir(tmp_path))
    assert names == {own, "hubgate-just-made", "else", "hubgate-notes", "hubgate-lives"}
    keeper.close()
    living.close()
