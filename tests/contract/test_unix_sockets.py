"""Unix sockets on every side: the public port, the API, the metrics, the targets."""

import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.client import Client
from tests.contract.conftest import StartProxy
from tests.contract.frames import FrameServer, client_frame, handshake, read_frame
from tests.contract.harness import RunningProxy
from tests.contract.polling import eventually
from tests.contract.ports import free_ports
from tests.contract.target import Target, answer, replying
from tests.frames import TEXT

DEAD = "http+unix://%2Fno%2Fsuch%2Fplace.sock"


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    # Not tmp_path: a unix socket's path has to be short.
    with tempfile.TemporaryDirectory(prefix="contract-") as name:
        yield Path(name)


@pytest.fixture
def backend(folder: Path) -> Iterator[Target]:
    target = Target(path=str(folder / "target.sock"))
    yield target
    target.stop()


class TestListening:
    """--socket, --api-socket and --metrics-socket."""

    @pytest.fixture
    def proxy(self, start: StartProxy, shared: Path) -> RunningProxy:
        return start(
            *("--metrics-socket", str(shared / "metrics")),
            public=("--socket", str(shared / "public")),
            api=("--api-socket", str(shared / "api")),
        )

    def test_requests_are_served(self, proxy: RunningProxy, target: Target) -> None:
        proxy.add("/x", target.url)
        assert proxy.get("/x/y").body == b"hello"
        assert target.paths == ["/x/y"]

    def test_the_table_is_served(self, proxy: RunningProxy) -> None:
        proxy.add("/x", DEAD)
        assert list(proxy.routes()) == ["/x"]
        with Client(proxy.api) as client:
            assert client.ask("/api/routes").status == 403

    def test_metrics_are_served(self, proxy: RunningProxy, shared: Path) -> None:
        assert eventually(lambda: (shared / "metrics").exists())
        with Client(str(shared / "metrics")) as client:
            assert b"requests_web" in client.ask("/metrics").body

    def test_websockets_are_served(self, proxy: RunningProxy) -> None:
        target = Target(FrameServer(echo=True))
        try:
            proxy.add("/x", target.url)
            with proxy.connect() as client:
                assert handshake(client, "/x").status == 101
                client.send(client_frame(TEXT, b"hello"))
                assert read_frame(client) == (TEXT, b"hello")
        finally:
            target.stop()

    def test_they_are_sockets(self, proxy: RunningProxy, shared: Path) -> None:
        assert all(stat.S_ISSOCK((shared / name).stat().st_mode) for name in ("public", "api"))


def test_only_the_api_may_be_one(own: StartProxy, folder: Path, target: Target) -> None:
    public = ("--ip", "127.0.0.1", "--port", str(free_ports()[0]))
    proxy = own(public=public, api=("--api-socket", str(folder / "api")))
    proxy.add("/x", target.url)
    assert proxy.get("/x").status == 200


class TestTargets:
    """http+unix:// and unix+http:// with the socket's path percent-encoded as the host."""

    @pytest.mark.parametrize("scheme", ["http+unix", "unix+http"])
    def test_requests_are_forwarded(
        self, proxy: RunningProxy, backend: Target, scheme: str
    ) -> None:
        proxy.add("/x", backend.url.replace("http+unix", scheme))
        assert proxy.get("/x/y?z").body == b"hello"
        assert backend.paths == ["/x/y?z"]

    @pytest.mark.parametrize(("base", "expected"), [("/", "/x/y"), ("/base", "/base/x/y")])
    def test_the_targets_path_comes_first(
        self, proxy: RunningProxy, backend: Target, base: str, expected: str
    ) -> None:
        proxy.add("/x", backend.url + base)
        proxy.get("/x/y")
        assert backend.paths == [expected]

    def test_no_include_prefix_drops_the_prefix(self, start: StartProxy, backend: Target) -> None:
        proxy = start("--no-include-prefix")
        proxy.add("/x", backend.url)
        proxy.get("/x/y")
        assert backend.paths == ["/y"]

    def test_the_host_goes_through_untouched(self, proxy: RunningProxy, backend: Target) -> None:
        proxy.add("/x", backend.url)
        proxy.get("/x", ("Host", "hub.example.org:99"))
        assert backend.last.all("Host") == ["hub.example.org:99"]

    def test_bodies_are_forwarded(self, proxy: RunningProxy, backend: Target) -> None:
        proxy.add("/x", backend.url)
        with proxy.connect() as client:
            client.ask("/x", method="POST", body=b"data" * 1000)
        assert backend.last.body == b"data" * 1000

    def test_websockets_are_forwarded(self, proxy: RunningProxy, backend: Target) -> None:
        backend.script = FrameServer(echo=True)
        proxy.add("/x", backend.url)
        with proxy.connect() as client:
            assert handshake(client, "/x").status == 101
            client.send(client_frame(TEXT, b"hello"))
            assert read_frame(client) == (TEXT, b"hello")

    def test_a_missing_socket_is_503(self, proxy: RunningProxy) -> None:
        proxy.add("/x", DEAD)
        assert proxy.get("/x").status == 503

    def test_a_default_target_may_be_one(self, own: StartProxy, backend: Target) -> None:
        backend.script = replying(answer(200, b"by default"))
        assert own("--default-target", backend.url).get("/any").body == b"by default"
