"""--timeout, --proxy-timeout and --keep-alive-timeout, in milliseconds."""

import contextlib
import operator
import time
from collections.abc import Callable

import pytest

from tests.contract.better import better
from tests.contract.client import Client
from tests.contract.conftest import MakeTarget, StartProxy
from tests.contract.frames import FrameServer, client_frame, handshake, read_frame
from tests.contract.harness import RunningProxy
from tests.contract.polling import eventually
from tests.contract.target import Connection, Target, answer
from tests.contract.wire import Closed
from tests.frames import TEXT

BRIEF = 700
LONG = 600_000

# Sets of flags rather than single ones: every proxy started costs a second.
IMPATIENT_WITH_CLIENTS = ("--timeout", str(BRIEF))
IMPATIENT_WITH_TARGETS = ("--proxy-timeout", str(BRIEF), "--keep-alive-timeout", str(BRIEF))
PATIENT = tuple(
    part
    for flag in ("--timeout", "--proxy-timeout", "--keep-alive-timeout")
    for part in (flag, str(LONG))
)


def silent(connection: Connection) -> None:
    """Take a request and never answer it."""
    connection.read_request()
    connection.closes()


def late(connection: Connection) -> None:
    """Answer after two seconds."""
    while True:
        connection.read_request()
        time.sleep(2)
        connection.send(answer(200, b"late"))


def in_time(ask: Callable[[], bool]) -> bool:
    """Say whether `ask` succeeds; it may fail only if it takes as long as the limits allow.

    On a busy machine the target may: then it is rightly given up.
    """
    begun = time.monotonic()
    try:
        done = ask()
    except (Closed, OSError):
        done = False
    assert done or time.monotonic() - begun > BRIEF / 1000 - 0.1
    return done


class TestProxyTimeout:
    """The target sends nothing: 503."""

    @pytest.fixture
    def proxy(self, start: StartProxy) -> RunningProxy:
        return start(*IMPATIENT_WITH_TARGETS)

    def test_a_silent_target_is_503(self, proxy: RunningProxy, make_target: MakeTarget) -> None:
        proxy.add("/x", make_target(silent).url)
        started = time.monotonic()
        assert proxy.get("/x").status == 503
        assert time.monotonic() - started > BRIEF / 1000 - 0.1

    def test_the_targets_connection_is_closed(
        self, proxy: RunningProxy, make_target: MakeTarget
    ) -> None:
        left: list[bool] = []

        def waiting(connection: Connection) -> None:
            connection.read_request()
            left.append(connection.closes())

        proxy.add("/x", make_target(waiting).url)
        proxy.get("/x")
        assert eventually(lambda: left == [True])

    def test_a_prompt_target_is_not_bothered(self, proxy: RunningProxy, target: Target) -> None:
        proxy.add("/x", target.url)
        assert eventually(lambda: in_time(lambda: proxy.get("/x").status == 200))


class TestTimeout:
    """No byte either way on the client's connection during a request: it is dropped."""

    @pytest.fixture
    def proxy(self, start: StartProxy) -> RunningProxy:
        return start(*IMPATIENT_WITH_CLIENTS)

    def test_the_clients_connection_is_dropped(
        self, proxy: RunningProxy, make_target: MakeTarget
    ) -> None:
        proxy.add("/x", make_target(silent).url)
        with proxy.connect() as client:
            client.start("/x")
            assert client.closes()

    def test_a_request_in_motion_is_left_alone(
        self, proxy: RunningProxy, make_target: MakeTarget
    ) -> None:
        moments: list[float] = []

        def dripping(connection: Connection) -> None:
            connection.read_request()
            connection.send(b"HTTP/1.1 200 Fine\r\nContent-Length: 10\r\n\r\n")
            for _ in range(10):
                time.sleep(BRIEF / 1000 / 5)
                moments.append(time.monotonic())
                connection.send(b"x")

        def comes_whole() -> bool:
            moments[:] = [time.monotonic()]
            try:
                return proxy.get("/x").body == b"x" * 10
            except (Closed, OSError):
                # Rightly cut if it was the target that paused, on a busy machine: again.
                pauses = map(operator.sub, [*moments[1:], time.monotonic()], moments)
                assert max(pauses) > BRIEF / 1000 - 0.1
                return False

        proxy.add("/x", make_target(dripping).url)
        assert eventually(comes_whole, 60)


class TestNoTimeout:
    """Without the flags nothing is cut."""

    def test_a_late_target_is_waited_for(
        self, proxy: RunningProxy, make_target: MakeTarget
    ) -> None:
        proxy.add("/x", make_target(late).url)
        assert proxy.get("/x").body == b"late"

    def test_long_timeouts_are_waited_for(self, start: StartProxy, make_target: MakeTarget) -> None:
        proxy = start(*PATIENT)
        proxy.add("/x", make_target(late).url)
        assert proxy.get("/x").body == b"late"

    @pytest.mark.parametrize("flags", [IMPATIENT_WITH_CLIENTS, IMPATIENT_WITH_TARGETS])
    def test_an_open_tunnel_outlives_them(
        self, start: StartProxy, make_target: MakeTarget, flags: tuple[str, ...]
    ) -> None:
        proxy = start(*flags)
        proxy.add("/x", make_target(FrameServer(echo=True)).url)
        with contextlib.ExitStack() as connections:
            opened: list[Client] = []

            def opens() -> bool:
                opened.append(connections.enter_context(proxy.connect()))
                return handshake(opened[-1], "/x").status == 101

            assert eventually(lambda: in_time(opens))
            client = opened[-1]
            time.sleep(BRIEF / 1000 * 2)
            client.send(client_frame(TEXT, b"still here"))
            assert read_frame(client) == (TEXT, b"still here")


class TestKeepAlive:
    """An idle connection of a client."""

    def test_it_is_closed_after_the_time_given(self, start: StartProxy) -> None:
        proxy = start(*IMPATIENT_WITH_TARGETS)
        with proxy.connect() as client:
            started = time.monotonic()
            assert client.ask("/_chp_healthz").status == 200
            assert client.closes()
            assert time.monotonic() - started > BRIEF / 1000 - 0.1

    def test_it_stays_open_within_the_time_given(self, start: StartProxy) -> None:
        proxy = start(*PATIENT)
        with proxy.connect() as client:
            assert client.ask("/_chp_healthz").status == 200
            client.socket.settimeout(7)
            with pytest.raises(TimeoutError):
                client.socket.recv(1)
            assert client.ask("/_chp_healthz").status == 200

    @better("it closes after 5 s, while balancers keep connections for 60 s")
    def test_it_stays_open_for_longer_than_5_seconds(self, proxy: RunningProxy) -> None:
        with proxy.connect() as client:
            assert client.ask("/_chp_healthz").status == 200
            client.socket.settimeout(7)
            with pytest.raises(TimeoutError):
                client.socket.recv(1)
