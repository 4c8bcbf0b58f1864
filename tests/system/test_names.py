"""Targets given by name, with name servers that are silent, slow, lying or forgetful."""

import contextlib
import http.client
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.polling import eventually
from tests.system.name_server import AAAA, ADDRESS, SILENT, A, NameServer, Said
from tests.system.namespaces import namespaces, needs_namespaces
from tests.system.served import PROXYCTL, Served, serving
from tests.system.sockets import connect

pytestmark = [pytest.mark.processes, needs_namespaces]

ETC = {
    "resolv.conf": f"nameserver {ADDRESS[0]}\nsearch ns.test\n"
    "options timeout:3 attempts:2 ndots:2\n",
    "hosts": "127.0.0.1 localhost\n127.0.0.9 listed.test\n",
    "nsswitch.conf": "hosts: files dns\n",
}
LOOKUP = 4
SETTINGS = f"timeouts: {{lookup: {LOOKUP}, connect: 4, ready: 0, drain: 1}}\n"
GET = b"GET %s HTTP/1.1\r\nHost: hub\r\n\r\n"


class _Answer(http.server.BaseHTTPRequestHandler):
    """Says at which address it was reached, and closes."""

    def do_GET(self) -> None:
        body = self.connection.getsockname()[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def target(address: str, port: int = 0) -> Iterator[int]:
    """Serve at an address until the block ends; return the port."""
    with http.server.ThreadingHTTPServer((address, port), _Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


class Named:
    """A proxy, its targets at one port of every address, and the server of their names."""

    def __init__(self, served: Served, server: NameServer, port: int, log: Path) -> None:
        self.served = served
        self.server = server
        self.port = port
        self._log = log

    def route(self, name: str, said: Said | None = None, port: int | None = None) -> str:
        """Route a path to a name, about which that is said; return the path."""
        if said is not None:
            self.server.names[name] = said
        self.served.add(f"/{name}", f"http://{name}:{port or self.port}")
        return f"/{name}"

    def get(self, path: str) -> tuple[int, str]:
        """Ask on a connection of its own; return the status and who answered."""
        connection = http.client.HTTPConnection("127.0.0.1", self.served.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def logged(self, text: str) -> bool:
        return eventually(lambda: text in self._log.read_text())


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Named]:
    """Run a proxy in a network of its own."""
    folder = tmp_path_factory.mktemp("names")
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(namespaces(folder, ETC))
        stack.enter_context(own.entered())
        server = stack.enter_context(NameServer())
        port = stack.enter_context(target("0.0.0.0"))
        served = stack.enter_context(running(folder, SETTINGS, own.command))
        yield Named(served, server, port, folder / "serve.log")


@contextlib.contextmanager
def running(folder: Path, settings: str, command: Callable[..., list[str]]) -> Iterator[Served]:
    (folder / "routes.yaml").write_text(settings)
    with serving(folder, command=command(folder, PROXYCTL, "serve")) as served:
        yield served


def test_names_that_nobody_answers_for_hold_up_no_other(named: Named) -> None:
    near = named.route("localhost")
    live = named.route("live.test", Said(("127.0.0.2",)))
    dead = [named.route(f"dead{n}.test", SILENT) for n in range(6)]
    with contextlib.ExitStack() as stack:
        waiting = [
            stack.enter_context(connect(named.served.port, GET % path.encode())) for path in dead
        ]
        assert eventually(lambda: {f"dead{n}.test" for n in range(6)} <= {*named.server.asked})
        assert named.get(near) == (200, "127.0.0.1")
        assert named.get(live) == (200, "127.0.0.2")
        assert [wire.status for wire in waiting] == [503] * 6
    line = f"the name 'dead0.test' could not be looked up within {LOOKUP} s"
    assert named.logged(f"error: 503 GET /dead0.test http://dead0.test:{named.port}: {line}")


def test_a_name_that_is_found_again_works_at_once(named: Named) -> None:
    path = named.route("late.test", SILENT)
    assert named.get(path)[0] == 503
    named.server.names["late.test"] = Said(("127.0.0.2",))
    assert eventually(lambda: named.get(path)[0] == 200)


def test_a_service_that_was_created_anew_is_found_at_its_new_address(named: Named) -> None:
    with target("127.0.0.2") as port:
        path = named.route("moved.test", Said(("127.0.0.2",)), port)
        assert named.get(path) == (200, "127.0.0.2")
    named.server.names["moved.test"] = Said(("127.0.0.3",))
    with target("127.0.0.3", port):
        assert named.get(path) == (200, "127.0.0.3")


def test_hosts_and_search_domains_are_the_systems(named: Named) -> None:
    assert named.get(named.route("listed.test")) == (200, "127.0.0.9")
    named.server.names["short.ns.test"] = Said(("127.0.0.4",))
    assert named.get(named.route("short")) == (200, "127.0.0.4")
    # With fewer dots than ndots, search domains come first.
    named.server.names["one.dot.ns.test"] = Said(("127.0.0.5",))
    assert named.get(named.route("one.dot", Said(("127.0.0.6",)))) == (200, "127.0.0.5")


@pytest.mark.parametrize(
    "said",
    [
        Said(("127.0.0.2",), codes={AAAA: 3}),
        Said(("127.0.0.2",), codes={AAAA: 2}),
        Said(("127.0.0.2",), any_type=True),
        Said(("127.0.0.2",), truncated=True),
        Said(("127.0.0.2",), delay=2),
        Said(("127.0.0.2",), drops={A: 1, AAAA: 1}),
        Said(("2001:db8::1", "127.0.0.2")),
    ],
    ids=["no such name", "failing", "wrong type", "truncated", "slow", "flapping", "unreachable"],
)
def test_answers_that_are_odd(named: Named, said: Said, request: pytest.FixtureRequest) -> None:
    name = f"{request.node.callspec.id.replace(' ', '-')}.odd.test"
    assert named.get(named.route(name, said)) == (200, "127.0.0.2")


def test_a_name_that_does_not_exist(named: Named) -> None:
    assert named.get(named.route("none.test"))[0] == 503
    assert named.logged("the name 'none.test' could not be looked up: Name or service not known")


def test_an_error_target_by_name_is_the_same(tmp_path: Path) -> None:
    settings = SETTINGS + "forward: {error_target: http://errors.test:80}\n"
    with namespaces(tmp_path, ETC) as own, own.entered(), NameServer() as server:
        server.names["errors.test"] = SILENT
        with target("127.0.0.1") as port, running(tmp_path, settings, own.command) as served:
            named = Named(served, server, port, tmp_path / "serve.log")
            missing = [connect(served.port, GET % b"/%d" % n) for n in range(6)]
            assert eventually(lambda: "errors.test" in server.asked)
            assert named.get(named.route("localhost")) == (200, "127.0.0.1")
            assert [wire.status for wire in missing] == [404] * 6
            for wire in missing:
                wire.socket.close()
        line = f"the name 'errors.test' could not be looked up within {LOOKUP} s"
        assert named.logged(f"custom error page for 404: http://errors.test:80: {line}")


def test_the_end_waits_for_no_lookup(tmp_path: Path) -> None:
    """The system would go on for two minutes and a half."""
    etc = {**ETC, "resolv.conf": f"nameserver {ADDRESS[0]}\noptions timeout:30 attempts:5\n"}
    with namespaces(tmp_path, etc) as own, own.entered(), NameServer() as server:
        server.names["dead.test"] = SILENT
        with running(tmp_path, SETTINGS, own.command) as served:
            served.add("/", "http://dead.test:80")
            with connect(served.port, GET % b"/") as wire:
                assert eventually(lambda: "dead.test" in server.asked)
                begun = time.monotonic()
                served.process.terminate()
                assert served.process.wait(30) == 0
                assert time.monotonic() - begun < 20
                assert wire.ends()
