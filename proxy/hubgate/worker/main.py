"""The worker process: it follows the link, holds a copy of the route table, and forwards."""

import gc
import logging
import os
import socket
import time
from collections.abc import Iterable
from contextlib import suppress

import uvloop

from hubgate.dataplane.plane import DataPlane
from hubgate.errors import HubgateError
from hubgate.logs import configure_logging, settle
from hubgate.model import Address, Route, WorkerConfig
from hubgate.output.log_writer import PATIENCE
from hubgate.process_name import name_process
from hubgate.routing.table import RouteTable
from hubgate.tasks import spawn
from hubgate.transport.allocator import configure_allocator
from hubgate.worker.link import Link, LinkClosedError
from hubgate.worker.messages import (
    Ack,
    Change,
    Collect,
    Collected,
    Configure,
    Configured,
    Drain,
    Drained,
    Failed,
    Hello,
    InheritedSocket,
    Message,
    Ready,
    Retire,
    SocketKind,
    Start,
    Table,
)

log = logging.getLogger("hubgate.worker")

FINAL_REPORT = 0

# Seconds that the log has to be written where nobody should wait for it.
AT_ONCE = 0.1


def main(link_fd: int, index: int) -> None:
    """Serve as worker `index` until the supervisor sends Drain or is gone; never returns."""
    configure_allocator()
    uvloop.run(_main(adopt(link_fd), index))


def adopt(fd: int) -> socket.socket:
    """Return the inherited socket `fd`, made non-inheritable for our own children."""
    sock = socket.socket(fileno=fd)
    sock.set_inheritable(False)
    sock.setblocking(False)
    return sock


def address_of(sock: socket.socket) -> str:
    """Return where a socket listens, as settings say it: `127.0.0.1:8000`, `*:8000`."""
    if sock.family == socket.AF_UNIX:
        return str(Address(path=sock.getsockname()))
    host, port = sock.getsockname()[:2]
    return str(Address("" if host in ("0.0.0.0", "::") else host, port))


async def _main(sock: socket.socket, index: int) -> None:
    link = await Link.open(sock)
    try:
        worker = await _start(link, index)
        await link.deliver(worker.handle)
    except LinkClosedError:
        pass
    except Exception:
        log.exception("a worker ends: this is a bug in hubgate")
        settle()
    # At once: open connections must not hold the port any longer than the supervisor lives.
    settle(AT_ONCE)
    os._exit(1)


async def _start(link: Link, index: int) -> "Worker":
    gc.disable()  # loading a large table only creates objects, none of them garbage
    link.send(Hello(os.getpid()))
    targets: dict[str, str] = {}
    others: list[Route] = []
    while not isinstance(message := await link.receive(), Start):
        if isinstance(message, Table):
            targets.update(zip(message.keys, message.targets, strict=True))
            others.extend(message.others)
    configure_logging(message.config.log_level, message.config.log_format)
    try:
        table = RouteTable(message.config.rules)
        table.replace(others, targets)
        worker = Worker(index, message.config, table, link)
        await worker.listen(message.sockets)
    except (HubgateError, OSError) as error:
        link.send(Failed(str(error)))
        with suppress(TimeoutError):
            await link.flush()
        settle()
        os._exit(1)
    link.send(Ready())
    return worker


class Worker:
    """A copy of the route table, the data plane that reads it, and the link that changes it."""

    def __init__(self, index: int, config: WorkerConfig, table: RouteTable, link: Link) -> None:
        self._index = index
        self._title = f"worker {index}"
        self._link = link
        self._table = table
        self._plane = DataPlane(config, table)
        # Later collections need not visit objects that live as long as the process.
        gc.freeze()
        # A request leaves no cycles behind: a collection every 700 objects would find none.
        gc.set_threshold(20_000, 20, 50)
        gc.enable()

    async def listen(self, sockets: Iterable[InheritedSocket]) -> None:
        """Accept connections on the inherited sockets; raises whatever prevents that."""
        public = [adopt(each.fd) for each in sockets if each.kind is SocketKind.PUBLIC]
        redirect = [adopt(each.fd) for each in sockets if each.kind is SocketKind.REDIRECT]
        await self._plane.start(public, redirect)
        addresses = dict.fromkeys(address_of(sock) for sock in public)
        self._title = " ".join([self._title, ", ".join(addresses)]).strip()
        self._be_called(self._title)

    def handle(self, message: Message) -> None:
        """Handle a message; nothing here waits, so messages take effect in order."""
        match message:
            case Change(revision, put, delete):
                self._table.apply(put, delete)
                self._link.send(Ack(revision))
            case Collect(number):
                self._link.send(Collected(number, self._plane.report()))
            case Configure(number, config):
                spawn(self._configure(number, config), "configure")
            case Retire(limit, drain):
                spawn(self._retire(limit, drain), "retire")
            case Drain(timeout):
                spawn(self._drain(timeout), "drain")
            case _:
                log.error("the supervisor sent an unexpected %s", type(message).__name__)

    def _be_called(self, title: str) -> None:
        name_process(f"hubgate-w{self._index}", title)

    async def _configure(self, number: int, config: WorkerConfig) -> None:
        mistake = None
        try:
            await self._plane.reconfigure(config)
            configure_logging(config.log_level, config.log_format)
        except (HubgateError, OSError) as error:
            mistake = str(error)
        self._link.send(Configured(number, mistake))

    async def _retire(self, limit: float, drain: float) -> None:
        self._be_called(f"{self._title}, retired")
        await self._plane.retire(limit)
        await self._drain(drain)

    async def _drain(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        await self._plane.drain(timeout)
        self._link.send(Collected(FINAL_REPORT, self._plane.report()))
        self._link.send(Drained())
        with suppress(TimeoutError):
            await self._link.flush()
        settle(max(AT_ONCE, min(PATIENCE, end - time.monotonic() - AT_ONCE)))
        os._exit(0)
