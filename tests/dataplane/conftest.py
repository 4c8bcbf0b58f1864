"""A running data plane and targets for it, on the loop that workers use."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import uvloop

from hubgate.certificates.authority import make_authority, make_server
from hubgate.dataplane.access_log import log as log_module
from hubgate.model import AccessLogConfig, ForwardRules, Limits, ServerTLS, Timeouts, WorkerConfig
from tests.certificates.made import Files, write
from tests.dataplane.access_log.access_lines import LogText
from tests.dataplane.peers import Front, Script, Target, listening
from tests.dataplane.wire import PATIENCE

StartFront = Callable[..., Awaitable[Front]]
StartTarget = Callable[..., Awaitable[Target]]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test here on uvloop, as a worker does, but for those that name another loop."""
    marker = item.get_closest_marker("asyncio")
    named = marker is not None and "loop_factories" in marker.kwargs
    return {"uvloop": uvloop.new_event_loop} | (
        {"asyncio": asyncio.new_event_loop} if named else {}
    )


@pytest.fixture(autouse=True)
def nothing_failed_in_silence(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail when a callback or a task failed, though nobody saw it: event loops only log that."""
    yield
    failed = [
        record.getMessage()
        for record in (*caplog.get_records("setup"), *caplog.get_records("call"))
        if record.exc_info or record.name == "asyncio"
    ]
    assert not failed


@pytest.fixture
async def start_target() -> AsyncIterator[StartTarget]:
    """Return a function that starts a target: with a script, TLS, or on a given address.

    It can take over the socket of `refusing`, which is how a target comes up.
    """
    started: list[Target] = []

    async def start(
        script: Script | None = None,
        tls: ssl.SSLContext | None = None,
        family: socket.AddressFamily = socket.AF_INET,
        address: Any = ("127.0.0.1", 0),
        sock: socket.socket | None = None,
    ) -> Target:
        if sock is None:
            sock = listening(family, address)
        else:
            sock = socket.socket(fileno=sock.detach())
            sock.setblocking(False)
            sock.listen(1024)
        target = Target(sock, script, tls)
        started.append(target)
        await target.start()
        return target

    yield start
    for target in started:
        await target.stop()


@pytest.fixture
def refusing() -> Iterator[socket.socket]:
    """A socket that refuses connections, as nobody listens, and keeps its port from others."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


@pytest.fixture
async def start_front(start_target: StartTarget) -> AsyncIterator[StartFront]:
    """Return a function that starts a data plane; its keywords are fields of ForwardRules."""
    started: list[Front] = []

    async def start(
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        config: Mapping[str, Any] | None = None,
        sock: socket.socket | None = None,
        redirect: Sequence[socket.socket] = (),
        **rules: Any,
    ) -> Front:
        front = Front(
            WorkerConfig(
                rules=ForwardRules(**rules),
                timeouts=timeouts or Timeouts(),
                limits=limits or Limits(),
                **(config or {}),
            ),
            sock or listening(socket.AF_INET, ("127.0.0.1", 0)),
            redirect,
        )
        started.append(front)
        await front.start()
        return front

    yield start
    for front in started:
        await front.stop()


@pytest.fixture
async def front(start_front: StartFront) -> Front:
    """A data plane with the default rules and no routes."""
    return await start_front()


@pytest.fixture
def log_text(tmp_path: Path) -> LogText:
    """Where `logged` has a data plane write its access log."""
    return LogText(tmp_path / "access.log")


@pytest.fixture
def patient_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have access logs wait for their lines for as long as tests wait for anything."""
    monkeypatch.setattr(log_module, "FLUSH_TIMEOUT", PATIENCE)
    monkeypatch.setattr(log_module, "LEAST_FLUSH_TIMEOUT", PATIENCE)


@pytest.fixture
def logged(log_text: LogText, patient_log: None) -> dict[str, Any]:
    """What has a data plane write an access log, in JSON."""
    return {"access_log": AccessLogConfig(str(log_text.path), "json")}


@pytest.fixture
async def target(start_target: StartTarget) -> Target:
    """A target whose connections the test serves itself."""
    return await start_target()


@pytest.fixture
def joined(front: Front, target: Target) -> Front:
    """The data plane with `/` routed to `target`."""
    front.route("/", target.url)
    return front


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A certificate for 127.0.0.1 and the authority that signed it."""
    authority = make_authority()
    pair = make_server(authority, ("127.0.0.1", "localhost"), days=30)
    return write(Path(tmp_path_factory.mktemp("certificates")), "server", pair, authority)


@pytest.fixture(scope="session")
def client_tls(certificates: Files) -> ssl.SSLContext:
    """A client's context that trusts `certificates`."""
    return ssl.create_default_context(cafile=certificates.ca)


@pytest.fixture
def server_tls(certificates: Files) -> ssl.SSLContext:
    """A target's context with `certificates`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.cert, certificates.key)
    return context


@pytest.fixture
def server_settings(certificates: Files) -> dict[str, Any]:
    """What a data plane needs to speak TLS with `certificates`."""
    return {"tls": ServerTLS(certificates.cert, certificates.key)}


@pytest.fixture
async def secured(
    start_front: StartFront, target: Target, server_settings: dict[str, Any]
) -> Front:
    """A data plane that speaks TLS, with `/` routed to `target`."""
    front = await start_front(config=server_settings)
    front.route("/", target.url)
    return front
