"""With few files allowed, strangers on any port lock nobody out, and workers are replaced."""

import contextlib
import http.client
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hubgate.certificates.authority import make_authority, make_server
from tests.certificates.made import write
from tests.contract.polling import eventually
from tests.contract.ports import free_ports
from tests.processes import files_allowed
from tests.system.served import PROXYCTL, Served, serving

FEW = 256
STRANGERS = 300
GET = b"GET /_chp_healthz HTTP/1.1\r\nHost: hub\r\n\r\n"
HALF = b"POST /api/routes/a HTTP/1.1\r\nHost: hub\r\nContent-Length: 9\r\n\r\nx"


@dataclass
class Ports:
    """A proxy that may open few files, and its four ports."""

    served: Served
    redirect: int
    metrics: int
    context: ssl.SSLContext
    log: Path

    @property
    def public(self) -> int:
        return self.served.port

    @property
    def api(self) -> int:
        return self.served.api_port

    def public_is_served(self) -> bool:
        """Ask on the public port, over TLS."""
        with (
            contextlib.suppress(OSError),
            self._connected(self.public) as plain,
            self.context.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            client.sendall(GET)
            return client.recv(100).startswith(b"HTTP/1.1 200")
        return False

    def is_redirected(self) -> bool:
        """Ask on the port that redirects."""
        with contextlib.suppress(OSError), self._connected(self.redirect) as client:
            client.sendall(GET)
            return client.recv(100).startswith(b"HTTP/1.1 301")
        return False

    def refused(self) -> dict[str, int]:
        """Return how many connections were turned away, by port, as the metrics say."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics, timeout=30)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        name = 'hubgate_connections_refused_total{port="'
        lines = [line[len(name) :] for line in text.splitlines() if line.startswith(name)]
        return {line.partition('"')[0]: int(line.split()[-1]) for line in lines}

    @staticmethod
    def _connected(port: int) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), 30)


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    folder = tmp_path_factory.mktemp("ports")
    authority = make_authority()
    files = write(folder, "hub", make_server(authority, ("localhost",), days=90), authority)
    redirect, metrics = free_ports()
    (folder / "routes.yaml").write_text(
        f"listen: {{host: 127.0.0.1, redirect_port: {redirect},\n"
        f"         tls: {{cert: {files.cert}, key: {files.key}}}}}\n"
        f"metrics: {{port: {metrics}}}\n"
    )
    command = ("/bin/sh", "-c", f'ulimit -n {FEW}; exec "$0" "$@"', PROXYCTL, "serve")
    with serving(folder, command=command) as served:
        context = ssl.create_default_context(cafile=files.ca)
        yield Ports(served, redirect, metrics, context, folder / "serve.log")


@contextlib.contextmanager
def strangers(port: int, sent: bytes) -> Iterator[None]:
    """Have many connections open that have sent something, those that were closed included."""
    with files_allowed(STRANGERS + 200), contextlib.ExitStack() as those:
        for _ in range(STRANGERS):
            sock = socket.create_connection(("127.0.0.1", port), 30)
            those.enter_context(sock)
            with contextlib.suppress(ConnectionError):
                sock.sendall(sent)
        yield


@pytest.mark.parametrize("sent", [b"", b"GET / HTT", HALF], ids=["silence", "head", "body"])
@pytest.mark.parametrize("name", ["public", "redirect", "api", "metrics"])
def test_strangers_lock_nobody_out(ports: Ports, name: str, sent: bytes) -> None:
    with strangers(getattr(ports, name), sent):
        everything_works(ports)
        if sent != HALF:  # which has an answer at once on some ports
            # Now, as a worker that is killed reports no more.
            assert eventually(lambda: ports.refused().get(name, 0) > STRANGERS / 3)
        (worker,) = ports.served.workers
        worker.kill()
        assert eventually(lambda: worker.pid not in [w.pid for w in ports.served.workers], 60)
        assert eventually(ports.public_is_served, 60), "the worker is not replaced"
        everything_works(ports)
    said = [line for line in ports.log.read_text().splitlines() if f" {name} port is full" in line]
    assert len(said) < 20, "each stranger has a line"


def everything_works(ports: Ports) -> None:
    """Ask on every port."""
    assert ports.public_is_served()
    assert ports.is_redirected()
    assert ports.served.call("GET", "/api/routes") == 200
    ports.refused()
