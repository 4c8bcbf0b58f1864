"""Where it listens: addresses, default ports; and what it says about that."""

import contextlib
import fcntl
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.conftest import StartProxy
from tests.contract.harness import RunningProxy, accepts, spawn, wait_until_listening
from tests.contract.polling import eventually, settled
from tests.contract.ports import free_port, free_ports, is_free

HOSTS = ("127.0.0.1", "127.0.0.2")
IPV6 = Path("/proc/net/if_inet6").exists() or sys.platform == "darwin"


def reachable(port: int, *hosts: str) -> list[str]:
    return [host for host in hosts if accepts((host, port))]


@pytest.fixture(scope="module")
def ports() -> list[int]:
    return [*free_ports(), *free_ports(), *free_ports()]


class TestAddresses:
    """--ip, --port, --api-ip, --api-port, --metrics-ip and --metrics-port."""

    @pytest.fixture
    def everywhere(self, start: StartProxy, ports: list[int]) -> RunningProxy:
        return start(
            *("--metrics-port", str(ports[2])),
            public=("--ip", "", "--port", str(ports[0])),
            api=("--api-ip", "", "--api-port", str(ports[1])),
        )

    @pytest.fixture
    def local(self, start: StartProxy, ports: list[int]) -> RunningProxy:
        return start(public=("--ip", "localhost", "--port", str(ports[4])), api=())

    def test_an_ip_restricts_the_public_port(self, proxy: RunningProxy) -> None:
        assert reachable(proxy.port, *HOSTS) == ["127.0.0.1"]

    def test_an_ip_restricts_the_api_port(self, proxy: RunningProxy) -> None:
        assert not isinstance(proxy.api, str)
        assert reachable(proxy.api[1], *HOSTS) == ["127.0.0.1"]

    def test_an_empty_ip_is_all_interfaces(self, everywhere: RunningProxy) -> None:
        assert reachable(everywhere.port, *HOSTS) == [*HOSTS]

    def test_an_empty_api_ip_is_all_interfaces(
        self, everywhere: RunningProxy, ports: list[int]
    ) -> None:
        assert reachable(ports[1], *HOSTS) == [*HOSTS]

    def test_metrics_are_on_all_interfaces(
        self, everywhere: RunningProxy, ports: list[int]
    ) -> None:
        assert eventually(lambda: reachable(ports[2], *HOSTS) == [*HOSTS])

    @pytest.mark.skipif(not IPV6, reason="there is no IPv6 here")
    def test_all_interfaces_are_those_of_ipv6_too(self, everywhere: RunningProxy) -> None:
        assert reachable(everywhere.port, "::1") == ["::1"]

    @pytest.mark.parametrize("ip", ["*", None])
    def test_an_asterisk_and_nothing_are_all_interfaces(
        self, own: StartProxy, ip: str | None
    ) -> None:
        given = () if ip is None else ("--ip", ip)
        proxy = own(public=(*given, "--port", str(free_port())))
        assert reachable(proxy.port, *HOSTS) == [*HOSTS]

    @pytest.mark.skipif(not IPV6, reason="there is no IPv6 here")
    def test_an_ipv6_address(self, own: StartProxy) -> None:
        proxy = own(public=("--ip", "::1", "--port", str(free_port())))
        assert reachable(proxy.port, "::1", "127.0.0.1") == ["::1"]

    def test_a_host_name(self, local: RunningProxy) -> None:
        assert reachable(local.port, "localhost", "127.0.0.2") == ["localhost"]

    def test_the_api_is_on_the_next_port_and_for_this_machine(self, local: RunningProxy) -> None:
        assert local.routes() == {}
        assert reachable(local.port + 1, "localhost", "127.0.0.2") == ["localhost"]


@contextlib.contextmanager
def alone_with(*ports: int) -> Iterator[None]:
    """Keep other tests of this suite off the default ports; skip when anybody else has them."""
    with open(Path(tempfile.gettempdir()) / "contract-default-ports.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(is_free(port) for port in ports):
            pytest.skip(f"ports {ports} are not free")
        yield


def test_the_default_ports_are_8000_and_8001(tmp_path: Path) -> None:
    with alone_with(8000, 8001):
        process, output = spawn([], {"CONFIGPROXY_AUTH_TOKEN": "t"}, tmp_path)
        public, api = ("127.0.0.1", 8000), ("localhost", 8001)
        proxy = RunningProxy(process, output, public, api, "t")
        try:
            wait_until_listening(proxy, [public, api])
            assert proxy.routes() == {}
            assert proxy.get("/_chp_healthz").status == 200
        finally:
            proxy.kill()


def test_beside_a_socket_the_api_is_on_8001(tmp_path: Path) -> None:
    with alone_with(8001), tempfile.TemporaryDirectory(prefix="contract-") as folder:
        public, api = f"{folder}/s", ("localhost", 8001)
        flags = ["--socket", public]
        process, output = spawn(flags, {"CONFIGPROXY_AUTH_TOKEN": "t"}, tmp_path)
        proxy = RunningProxy(process, output, public, api, "t")
        try:
            wait_until_listening(proxy, [public, api])
            assert proxy.routes() == {}
        finally:
            proxy.kill()


class TestLogging:
    """--log-level."""

    def chatter(self, start: StartProxy, level: str) -> int:
        """Return how many lines are said about starting and about a route."""
        proxy = start("--log-level", level)
        proxy.add("/chatter", "http://127.0.0.1:9")
        assert proxy.get("/chatter").status == 503
        proxy.remove("/chatter")
        # Lines may be written a moment after the response.
        return settled(lambda: len(proxy.output.splitlines()))

    def test_less_is_said_at_higher_levels(self, own: StartProxy) -> None:
        said = [self.chatter(own, level) for level in ("debug", "info", "WARN", "error")]
        assert said[0] >= said[1] > said[2] >= said[3]

    def test_info_says_where_it_listens(self, proxy: RunningProxy) -> None:
        assert eventually(lambda: str(proxy.port) in proxy.output)
