"""A real Redis for tests, that can be stopped, killed and started again with other data."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
import redis

from hubgate.store.redis.keys import read_value
from tests.contract.ports import free_port

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
# Seconds
LIMIT = 30.0
ANSWER = 5.0

Place = Callable[[], AbstractContextManager[None]]
"""Makes a block in which this thread's new sockets and processes are on another machine."""


class RedisServer:
    """One server in a folder of its own; it persists what its flags say, by default nothing."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder = folder
        self.flags = flags
        self.host = "127.0.0.1"
        self.port = free_port()
        self.place: Place = nullcontext
        self.client: Place = nullcontext
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address as a setting."""
        return f"redis://{self.host}:{self.port}/0"

    async def becomes(self, role: str) -> None:
        """Wait until it says that it is a "master" or a "slave"."""
        deadline = time.monotonic() + LIMIT
        while f"role:{role}".encode() not in await asyncio.to_thread(self.ask, "INFO replication"):
            assert time.monotonic() < deadline, f"it is no {role}"
            await asyncio.sleep(0.1)

    def start(self) -> None:
        """Start it, and wait until it responds."""
        assert PROGRAM is not None
        with self.place():
            self._process = subprocess.Popen(
                [
                    *(PROGRAM, "--port", str(self.port), "--bind", self.host),
                    *("--dir", str(self.folder), "--save", "", *self.flags),
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        deadline = time.monotonic() + LIMIT
        while self.ask("PING") != b"+PONG\r\n":
            assert self._process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def ask(self, command: str) -> bytes:
        """Send a command, and return the beginning of the reply; "" if nobody is there."""
        place = (self.host, self.port)
        with (
            contextlib.suppress(OSError),
            self.client(),
            socket.create_connection(place, ANSWER) as connection,
        ):
            connection.sendall(f"{command}\r\n".encode())
            return connection.recv(65536)
        return b""

    def table(self, prefix: str = "hubgate") -> dict[str, str]:
        """Return the target of every route that is stored under the prefix."""
        with self.client(), redis.Redis(self.host, self.port, socket_timeout=LIMIT) as client:
            rows = client.hgetall(f"{prefix}:table")
        return {key.decode(): read_value(key, row)[1].target for key, row in rows.items()}

    def revision(self, prefix: str = "hubgate") -> int:
        """Return the revision of the table under the prefix."""
        with self.client(), redis.Redis(self.host, self.port, socket_timeout=LIMIT) as client:
            return int(client.hget(f"{prefix}:meta", "revision") or 0)

    def keep(self, place: Path) -> None:
        """Copy to `place` what it has written so far."""
        shutil.copytree(self.folder, place)

    def restore(self, place: Path) -> None:
        """Have it find what was copied to `place`, and nothing else, when it starts again."""
        self.forget()
        shutil.copytree(place, self.folder, dirs_exist_ok=True)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(LIMIT)
            self._process = None

    def forget(self) -> None:
        """Remove whatever it has written."""
        for file in self.folder.iterdir():
            if file.is_dir():
                shutil.rmtree(file)
            else:
                file.unlink()


@contextlib.contextmanager
def redis_server(
    folder: Path,
    *flags: str,
    host: str = "127.0.0.1",
    place: Place = nullcontext,
    client: Place = nullcontext,
) -> Iterator[RedisServer]:
    """Run a Redis until the block ends, at `host`, which is in `place` and seen from `client`."""
    if PROGRAM is None:
        pytest.skip("no Redis: install the package redis-server")
    folder.mkdir(parents=True, exist_ok=True)
    server = RedisServer(folder, *flags)
    server.host, server.place, server.client = host, place, client
    try:
        server.start()
        yield server
    finally:
        server.kill()
