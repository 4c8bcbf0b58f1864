import asyncio
import os
import signal
import ssl
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from hubgate.model import (
    ForwardRules,
    Limits,
    Route,
    ServerTLS,
    Source,
    Timeouts,
    WorkerConfig,
)
from tests.certificates.made import make_files
from tests.control.launched import SETTINGS, launched
from tests.control.slow_backend import slow_backend

NOBODY_HOME = "http://127.0.0.1:9"


def of_file(*keys: str) -> tuple[Route, ...]:
    return tuple(Route(key, NOBODY_HOME, source=Source.FILE) for key in keys)


WATCHING = replace(SETTINGS, workers=2, config_file=Path("its name is given when it is launched"))


@pytest.mark.processes
async def test_changed_file_is_taken_over(tmp_path: Path) -> None:
    async with launched(tmp_path, replace(WATCHING, file_routes=of_file("/a"))) as hubgate:
        await hubgate.serving()
        hubgate.write(replace(WATCHING, file_routes=of_file("/b")))
        await hubgate.printed("reloaded: routes")
        statuses = [(await hubgate.get(path)).status for path in ("/a", "/b")]
        assert statuses == [404, 503]


@pytest.mark.processes
async def test_bad_file_changes_nothing(tmp_path: Path) -> None:
    async with launched(tmp_path, replace(WATCHING, file_routes=of_file("/a"))) as hubgate:
        await hubgate.serving()
        hubgate.write(replace(WATCHING, file_routes=of_file("/b", "/b")))
        await hubgate.printed("not reloaded, the running settings stay: ")
        statuses = [(await hubgate.get(path)).status for path in ("/a", "/b")]
        assert statuses == [503, 404]
        hubgate.write(replace(WATCHING, file_routes=of_file("/b")))
        await hubgate.printed("reloaded: routes")


@pytest.mark.processes
async def test_signal_reloads_and_names_what_needs_a_restart(tmp_path: Path) -> None:
    rules = ForwardRules(host_routing=True, change_origin=True)
    async with launched(tmp_path, WATCHING) as hubgate:
        await hubgate.serving()
        hubgate.signal(signal.SIGHUP)
        await hubgate.printed("reloaded: nothing has changed")
        hubgate.write(replace(WATCHING, workers=5, worker=WorkerConfig(rules=rules)))
        hubgate.signal(signal.SIGHUP)
        await hubgate.printed("reloaded: forward.change_origin")
        await hubgate.printed("changed, and needs a restart: workers, forward.host_routing\n")


@pytest.mark.processes
async def test_the_ports_of_the_supervisor_take_over_their_limits(tmp_path: Path) -> None:
    async with launched(tmp_path, WATCHING) as hubgate:
        await hubgate.serving()
        hubgate.write(replace(WATCHING, worker=WorkerConfig(limits=Limits(control_connections=1))))
        await hubgate.printed("reloaded: limits.control_connections")
        where = "127.0.0.1", hubgate.api_port
        (silent, first), (_, second) = [await asyncio.open_connection(*where) for _ in range(2)]
        with suppress(ConnectionError):
            assert await asyncio.wait_for(silent.read(), 30) == b""
        await hubgate.printed("the API port is full: over 1 connections are open")
        for writer in (first, second):
            writer.close()


@pytest.mark.processes
async def test_workers_take_over_settings_and_keep_them(tmp_path: Path) -> None:
    async with slow_backend() as backend, launched(tmp_path, WATCHING) as hubgate:
        await hubgate.serving()
        await hubgate.add("/", backend.url)
        worker = WorkerConfig(timeouts=Timeouts(response=0.1, drain=3))
        hubgate.write(replace(WATCHING, worker=worker))
        await hubgate.printed("reloaded: timeouts.response, timeouts.drain")
        assert (await hubgate.get("/")).status in (503, 504)
        victims = hubgate.workers
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        assert (await hubgate.get("/")).status in (503, 504), "a new worker has them too"
        hubgate.signal(signal.SIGTERM)
        await hubgate.printed("draining, for 3 seconds")


async def shown_certificate(port: int) -> bytes:
    """Return the certificate that the server on `port` shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    assert isinstance(shown, bytes)
    return shown


@pytest.mark.processes
async def test_renewed_certificate_is_shown_to_new_connections(tmp_path: Path) -> None:
    """Without a file of settings too, as with the drop-in command."""
    files = make_files(tmp_path)
    tls = ServerTLS(files.cert, files.key)
    settings = replace(SETTINGS, workers=2, worker=WorkerConfig(tls=tls), api_tls=tls)
    async with launched(tmp_path, settings) as hubgate:
        await hubgate.serving()
        ports = hubgate.port, hubgate.api_port
        before = {await shown_certificate(port) for port in ports}
        assert len(before) == 1
        other = make_files(tmp_path, "other")
        os.replace(other.cert, files.cert)
        await hubgate.printed("not reloaded, the running settings stay: cannot use certificate")
        assert {await shown_certificate(port) for port in ports} == before
        os.replace(other.key, files.key)
        await hubgate.printed("reloaded: certificates")
        after = {await shown_certificate(port) for _ in range(5) for port in ports}
        assert len(after) == 1
        assert after != before
