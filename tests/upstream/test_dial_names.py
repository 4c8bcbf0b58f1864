"""Opening connections to targets that are given by name."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from hubgate.certificates.contexts import client_context
from hubgate.errors import ConnectError, NameLookupError, RefusedError
from hubgate.model import ClientTLS, Timeouts
from hubgate.routing.target import Peer
from hubgate.tasks import spawn
from hubgate.upstream import dial as dial_module
from hubgate.upstream.happy_eyeballs import Connected, connect_any
from hubgate.upstream.resolver import Addresses, Resolver
from tests.certificates.made import make_files
from tests.dataplane.conftest import StartTarget
from tests.dataplane.peers import Target, open_files, until
from tests.upstream.lookups import Lookups, v4
from tests.upstream.pooled import dialer, pooled
from tests.upstream.test_happy_eyeballs import silent_at


async def test_a_name(target: Target, resolver: Resolver, lookups: Lookups) -> None:
    dialing = dialer(resolver=resolver)
    for _ in range(2):
        await dialing.connect(Peer("hub", target.port), asyncio.Protocol)
        (await target.accept()).close()
    assert lookups.asked == {"hub": 1}


async def test_an_address_is_not_looked_up(
    target: Target, resolver: Resolver, lookups: Lookups
) -> None:
    await dialer(resolver=resolver).connect(Peer("127.0.0.1", target.port), asyncio.Protocol)
    (await target.accept()).close()
    assert not lookups.asked


async def test_a_certificate_is_for_the_name(
    start_target: StartTarget, resolver: Resolver, tmp_path: Path
) -> None:
    files = make_files(tmp_path, hosts=("hub.test",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)
    target = await start_target(tls=context)
    dialing = dialer(tls=client_context(ClientTLS(ca=files.ca)), resolver=resolver)
    before = open_files()
    await dialing.connect(Peer("hub.test", target.port, tls=True), asyncio.Protocol)
    (await target.accept()).close()
    with pytest.raises(ConnectError, match=r"https://other\.test"):
        await dialing.connect(Peer("other.test", target.port, tls=True), asyncio.Protocol)
    await until(lambda: open_files() <= before, "nothing stays open")


async def test_a_handshake_that_is_given_up_leaves_nothing_open(
    target: Target, resolver: Resolver
) -> None:
    before = open_files()
    peer = Peer("hub", target.port, tls=True)
    dialing = dialer(tls=client_context(ClientTLS(verify=False)), resolver=resolver)
    attempt = spawn(dialing.connect(peer, asyncio.Protocol), "an attempt")
    wire = await target.accept()
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    assert await wire.drain() in ("end", "reset")
    wire.close()
    await until(lambda: open_files() <= before, "nothing stays open")


async def test_a_silent_handshake_has_its_time(target: Target, resolver: Resolver) -> None:
    tls = client_context(ClientTLS(verify=False))
    dialing = dialer(Timeouts(connect=0.2), tls, resolver)
    with pytest.raises(ConnectError, match=r"within 0\.2 s"):
        await dialing.connect(Peer("hub", target.port, tls=True), asyncio.Protocol)


async def test_a_lookup_that_takes_too_long(resolver: Resolver, lookups: Lookups) -> None:
    lookups.silent = {"hub"}
    dialing = dialer(Timeouts(lookup=0.05), resolver=resolver)
    line = "http://hub:80: the name 'hub' could not be looked up within 0.05 s"
    with pytest.raises(NameLookupError) as caught:
        await dialing.connect(Peer("hub", 80), asyncio.Protocol)
    assert str(caught.value) == line


async def test_a_lookup_has_a_time_limit_of_its_own(
    target: Target, resolver: Resolver, lookups: Lookups
) -> None:
    lookups.silent = {"hub"}
    dialing = dialer(Timeouts(connect=0.2), resolver=resolver)
    attempt = spawn(dialing.connect(Peer("hub", target.port), asyncio.Protocol), "an attempt")
    await asyncio.sleep(0.4)
    assert not attempt.done()
    lookups.wake()
    await attempt
    (await target.accept()).close()


# --- a service that was created anew has another address ------------------------------------------


async def moved(start_target: StartTarget, lookups: Lookups, resolver: Resolver) -> Peer:
    """Remember an address of `hub`, then have it live at another, where a target listens."""
    target = await start_target(address=("127.0.0.3", 0))
    lookups.answers["hub"] = v4("127.0.0.2")
    await resolver.look_up("hub", 5)
    lookups.answers["hub"] = v4("127.0.0.3")
    return Peer("hub", target.port)


async def test_it_is_found_when_the_old_address_refuses(
    start_target: StartTarget, resolver: Resolver, lookups: Lookups
) -> None:
    peer = await moved(start_target, lookups, resolver)
    await dialer(resolver=resolver).connect(peer, asyncio.Protocol)
    assert resolver.recall("hub") == v4("127.0.0.3")


async def test_it_is_found_when_the_old_address_is_silent(
    start_target: StartTarget,
    resolver: Resolver,
    lookups: Lookups,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dial_module, "_REMEMBERED_TRIED", 0.1)
    peer = await moved(start_target, lookups, resolver)
    with silent_at("127.0.0.2", peer.port):
        await dialer(Timeouts(connect=3600), resolver=resolver).connect(peer, asyncio.Protocol)


async def test_an_old_address_is_not_asked_again_while_a_new_one_is_sought(
    start_target: StartTarget, resolver: Resolver, lookups: Lookups
) -> None:
    peer = await moved(start_target, lookups, resolver)
    lookups.silent = {"hub"}
    with pytest.raises(NameLookupError):
        await dialer(Timeouts(lookup=0.05), resolver=resolver).connect(peer, asyncio.Protocol)
    assert resolver.recall("hub") is None


async def test_one_address_that_is_slow_has_all_its_time(
    resolver: Resolver, lookups: Lookups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time is short only for addresses that may be those of yesterday."""
    monkeypatch.setattr(dial_module, "_REMEMBERED_TRIED", 0.1)
    lookups.answers["hub"] = v4("127.0.0.7")
    await resolver.look_up("hub", 5)
    with socket.socket() as free:
        free.bind(("127.0.0.7", 0))
        port = free.getsockname()[1]
    dialing = dialer(Timeouts(connect=0.5), resolver=resolver)
    with silent_at("127.0.0.7", port):
        begun = asyncio.get_running_loop().time()
        with pytest.raises(ConnectError, match=r"within 0\.5 s"):
            await dialing.connect(Peer("hub", port), asyncio.Protocol)
    assert asyncio.get_running_loop().time() - begun > 0.55


async def test_a_refusal_is_one_by_name_too(
    refusing: socket.socket, resolver: Resolver, lookups: Lookups
) -> None:
    port = refusing.getsockname()[1]
    dialing = dialer(resolver=resolver)
    for asked in (1, 2, 3):
        with pytest.raises(RefusedError, match=f"http://hub:{port}: Connection refused"):
            await dialing.connect(Peer("hub", port), asyncio.Protocol)
        # What was remembered has been looked up anew, what is new has been remembered.
        assert lookups.asked["hub"] == asked


async def test_an_address_that_refuses_is_not_dialled_again_for_its_name(
    refusing: socket.socket, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialled: list[Addresses] = []

    async def noted(addresses: Addresses, port: int) -> Connected:
        dialled.append(addresses)
        return await connect_any(addresses, port)

    monkeypatch.setattr(dial_module, "connect_any", noted)
    dialing = dialer(resolver=resolver)
    for asked in (1, 2, 3):
        with pytest.raises(RefusedError):
            await dialing.connect(Peer("hub", refusing.getsockname()[1]), asyncio.Protocol)
        assert dialled == [v4("127.0.0.1")] * asked


async def test_a_target_by_name_that_starts_is_waited_for(
    refusing: socket.socket, start_target: StartTarget, resolver: Resolver
) -> None:
    peer = Peer("hub", refusing.getsockname()[1])
    _, connector = pooled(Timeouts(ready=20), resolver=resolver)
    attempt = spawn(connector.connect(peer, patient=True), "a patient one")
    await until(lambda: peer in connector._waits, "it waits")
    await start_target(sock=refusing)
    (await attempt).abort()
