import asyncio
import os
import select
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from hubgate.control.listening.sockets import Listener, listen, listen_for_workers
from hubgate.errors import ConfigError
from hubgate.model import Address
from tests.contract.ports import free_port

AS_NOBODY = """
import encodings.idna  # while its file may still be read
import os
from hubgate.control.listening.sockets import listen_for_workers
from hubgate.errors import ConfigError
from hubgate.model import Address
if os.geteuid() == 0:
    os.setuid(65534)
try:
    listen_for_workers(Address("127.0.0.1", 80), 1)
except ConfigError as error:
    print(error)
"""
LOOPBACK = Address("127.0.0.1", 0)


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def on_workers(stack: ExitStack, address: Address, workers: int) -> Listener:
    return stack.enter_context(closing(listen_for_workers(address, workers)))


def accepted(sock: socket.socket) -> int:
    """Accept all that waits on `sock`; return how many there were."""
    count = 0
    while select.select([sock], [], [], 0)[0]:
        sock.accept()[0].close()
        count += 1
    return count


# --- TCP ---


def test_workers_get_one_port_and_a_share_of_its_connections(opened: ExitStack) -> None:
    listener = on_workers(opened, LOOPBACK, 4)
    assert listener.address.port > 0
    assert {sock.getsockname() for sock in listener.sockets} == {
        ("127.0.0.1", listener.address.port)
    }
    clients = [socket.create_connection(("127.0.0.1", listener.address.port)) for _ in range(64)]
    shares = [0] * len(listener.sockets)
    deadline = time.monotonic() + 30
    while sum(shares) < 64 and time.monotonic() < deadline:
        shares = [had + accepted(sock) for had, sock in zip(shares, listener.sockets, strict=True)]
    assert sum(shares) == 64
    if sys.platform == "linux":
        assert len(set(map(id, listener.sockets))) == 4
        assert min(shares) > 0, "the kernel spreads connections over the workers"
    for client in clients:
        client.close()


def test_single_worker_does_not_share_its_port(opened: ExitStack) -> None:
    listener = on_workers(opened, LOOPBACK, 1)
    assert not listener.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)


def test_sockets_are_not_inherited_and_do_not_block(opened: ExitStack) -> None:
    for sock in on_workers(opened, LOOPBACK, 2).sockets:
        assert not sock.get_inheritable()
        assert not sock.getblocking()


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("reused", [False, True], ids=["plain", "reuseport"])
def test_port_in_use_is_one_clear_line(opened: ExitStack, workers: int, reused: bool) -> None:
    other = opened.enter_context(socket.socket())
    if reused:  # as another hubgate's sockets are: the kernel would let us in
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    other.bind(("127.0.0.1", 0))
    other.listen()
    port = other.getsockname()[1]
    with pytest.raises(ConfigError) as caught:
        listen_for_workers(Address("127.0.0.1", port), workers)
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port}: the port is in use by another process; "
        "choose another with --port or stop it"
    )


def test_port_in_use_on_another_address_does_not_matter(opened: ExitStack) -> None:
    # Not one of the kernel's choice: an outgoing connection may have it on 127.0.0.1.
    port = free_port()
    opened.enter_context(socket.create_server(("127.0.0.2", port)))
    assert on_workers(opened, Address("127.0.0.1", port), 2).address.port == port


def test_message_names_the_flag_to_change(opened: ExitStack) -> None:
    other = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
    with pytest.raises(ConfigError, match="choose another with --api-port or stop it"):
        listen(Address("127.0.0.1", other.getsockname()[1]))


def test_connections_closing_on_the_port_do_not_keep_it(opened: ExitStack) -> None:
    first = listen_for_workers(LOOPBACK, 2)
    port = first.address.port
    client = opened.enter_context(socket.create_connection(("127.0.0.1", port)))
    ready = select.select(first.sockets, [], [])[0][0]
    served = opened.enter_context(ready.accept()[0])
    first.close()
    served.shutdown(socket.SHUT_WR)  # our side closes first: FIN_WAIT, later TIME_WAIT
    assert on_workers(opened, Address("127.0.0.1", port), 2).address.port == port
    client.close()


def test_unknown_host() -> None:
    with pytest.raises(ConfigError, match=r"the host 'no-such-host\.invalid' is not known"):
        listen(Address("no-such-host.invalid", 0))


def test_host_that_cannot_be_a_name() -> None:
    with pytest.raises(ConfigError, match="is not known"):
        listen(Address("a" * 70 + ".example", 0))


def test_address_of_another_machine() -> None:
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1:0: this machine has no such address"):
        listen_for_workers(Address("192.0.2.1", 0), 2)


def test_port_that_needs_rights() -> None:
    floor = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if not floor.exists() or int(floor.read_text()) <= 80:
        pytest.skip("every port is free for all here")
    done = subprocess.run([sys.executable, "-c", AS_NOBODY], capture_output=True, text=True)
    assert done.stdout.strip() == (
        "cannot listen on 127.0.0.1:80: no permission for port 80; "
        "choose one above 1023 with --port"
    ), done.stderr


@pytest.mark.parametrize("host", ["", "::"])
def test_all_interfaces_of_both_families(opened: ExitStack, host: str) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    port = on_workers(opened, Address(host, 0), 2).address.port
    for loopback in ("127.0.0.1", "::1"):
        socket.create_connection((loopback, port)).close()


def test_ipv6_only_where_asked_for(opened: ExitStack) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    port = on_workers(opened, Address("::1", 0), 2).address.port
    socket.create_connection(("::1", port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_api_listens_on_every_address_of_a_name(opened: ExitStack) -> None:
    listener = opened.enter_context(closing(listen(Address("localhost", 0))))
    hosts = {sock.getsockname()[0] for sock in listener.sockets}
    named = {each[4][0] for each in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
    assert hosts <= named
    assert "127.0.0.1" in hosts
    assert {sock.getsockname()[1] for sock in listener.sockets} == {listener.address.port}


def test_workers_listen_on_one_address_of_a_name(opened: ExitStack) -> None:
    listener = on_workers(opened, Address("localhost", 0), 2)
    assert len({sock.getsockname()[:2] for sock in listener.sockets}) == 1


# --- unix sockets ---


def test_workers_share_a_unix_socket_and_its_file_goes(opened: ExitStack, tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    listener = on_workers(opened, Address(path=str(path)), 3)
    assert listener.of_worker(0) is listener.of_worker(2)
    listener.close()
    assert not path.exists()
    listener.close()


def test_unix_socket_follows_the_umask(opened: ExitStack, tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    before = os.umask(0o027)
    try:
        on_workers(opened, Address(path=str(path)), 1)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o750


def test_unix_socket_of_a_dead_process_is_replaced(opened: ExitStack, tmp_path: Path) -> None:
    path = str(tmp_path / "hub.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
        dead.listen()
    on_workers(opened, Address(path=path), 1)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


@pytest.mark.parametrize("backlog", [5, 0], ids=["idle", "full"])
def test_unix_socket_of_a_live_process_is_left(
    opened: ExitStack, tmp_path: Path, backlog: int
) -> None:
    path = str(tmp_path / "hub.sock")
    live = opened.enter_context(socket.socket(socket.AF_UNIX))
    live.bind(path)
    live.listen(backlog)
    if backlog == 0:
        opened.enter_context(socket.socket(socket.AF_UNIX)).connect(path)
    with pytest.raises(ConfigError, match=r"hub\.sock: the socket is in use by another process"):
        listen(Address(path=path))
    assert os.path.exists(path)


def test_file_that_is_no_socket_is_left(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="the file there is not a socket"):
        listen(Address(path=str(path)))
    assert path.read_text() == "precious"


@pytest.mark.parametrize("name", ["missing/hub.sock", "x" * 200])
def test_unix_socket_that_cannot_be_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"^cannot listen on unix:.*; give a path in an existing"):
        listen(Address(path=str(tmp_path / name)))


def test_file_of_a_successor_is_left(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    first = listen(Address(path=str(path)))
    for sock in first.sockets:
        sock.close()  # dead, as for the outside
    made, probe = path.stat().st_mtime_ns, tmp_path / "probe"
    probe.touch()
    while probe.stat().st_mtime_ns == made:  # the kernel's file times move in steps
        probe.touch()
    with closing(listen(Address(path=str(path)))):
        first.close()
        assert path.exists()


async def test_accepting_on_a_shared_unix_socket_serves_everybody(tmp_path: Path) -> None:
    """Several event loops' worth of acceptors on one descriptor lose no connection."""
    path = str(tmp_path / "hub.sock")
    served: list[int] = []

    async def serve(which: int, writer: asyncio.StreamWriter) -> None:
        served.append(which)
        writer.close()

    with closing(listen_for_workers(Address(path=path), 2)) as listener:
        servers = [
            await asyncio.start_unix_server(
                lambda _, writer, which=which: serve(which, writer),
                sock=listener.of_worker(which).dup(),
            )
            for which in range(2)
        ]
        for _ in range(20):
            reader, writer = await asyncio.open_unix_connection(path)
            assert await reader.read() == b""
            writer.close()
        for server in servers:
            server.close()
    assert len(served) == 20
