"""The names by which an API and metrics that need no token may be called, for real."""

import http.client
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import DROP_IN, PROXYCTL, Proxy, running
from tests.contract.polling import eventually
from tests.contract.ports import distinct_ports

pytestmark = pytest.mark.processes

# A network whose only machine has one more address, as a container has.
CONTAINER = (
    *("unshare", "--net", "sh", "-c"),
    'ip link set lo up && ip address add 10.99.0.1/32 dev lo && exec "$@"',
    "sh",
)
ASK = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], 8001, timeout=30)
connection.request("GET", "/api/routes", headers={"Host": sys.argv[2]})
print(connection.getresponse().status)
"""


def status(port: int, path: str, host: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status
    finally:
        connection.close()


def write(folder: Path, hosts: str) -> None:
    (folder / "routes.yaml").write_text(f"api: {{open: true, hosts: [{hosts}]}}\n")


def test_names_from_the_settings_pass_on_both_ports_and_follow_the_file(tmp_path: Path) -> None:
    api_port, metrics_port = distinct_ports(2)
    write(tmp_path, "one.example.org")
    ports = ("--port", "0", "--api-port", str(api_port), "--metrics-port", str(metrics_port))

    def both(host: str) -> list[int]:
        return [status(api_port, "/api/routes", host), status(metrics_port, "/metrics", host)]

    with running(tmp_path, PROXYCTL, "serve", *ports) as proxy:
        assert proxy.wait_for("Serve metrics at")
        assert both("one.example.org:80") == both("localhost") == both("127.0.0.1") == [200, 200]
        assert both("other.example.org") == both("proxy") == [403, 403]
        write(tmp_path, "other.example.org")
        assert eventually(lambda: both("other.example.org") == [200, 200], 60)
        assert both("one.example.org") == [403, 403]
        assert proxy.wait_for("reloaded: api.hosts")
        assert proxy.wait_for(
            "403 GET /api/routes Host 'other.example.org' is not known here: add it to api.hosts"
            r" \(HUBGATE_API_HOSTS\), set a token, or use an address"
        )
        assert proxy.wait_for(
            r"403 GET Host 'other.example.org' is not known here: add it to api.hosts"
            r" \(HUBGATE_API_HOSTS\), or use an address"
        )


def test_the_drop_in_takes_names_from_the_environment(tmp_path: Path) -> None:
    flags = ("--ip", "127.0.0.1", "--port", "0", "--api-ip", "127.0.0.1", "--api-port", "0")
    with running(tmp_path, DROP_IN, *flags, env={"HUBGATE_API_HOSTS": "a.example.org"}) as proxy:
        port = int(proxy.api_url.rpartition(":")[2])
        assert status(port, "/api/routes", "a.example.org") == 200
        assert status(port, "/api/routes", "b.example.org") == 403


def _can_have_networks() -> bool:
    if os.geteuid() != 0 or not shutil.which("nsenter"):
        return False
    return subprocess.run([*CONTAINER, "true"], capture_output=True).returncode == 0


def _ask(proxy: Proxy, address: str, host: str) -> str:
    inside = ("nsenter", "--net", "--target", str(proxy.process.pid))
    command = [*inside, sys.executable, "-P", "-c", ASK, address, host]
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")
def test_a_hub_in_the_next_container_needs_no_token_and_no_setting(tmp_path: Path) -> None:
    """As in a Compose file, where the hub calls `http://proxy:8001`."""
    if not _can_have_networks():
        pytest.skip("may not make a network of its own")
    flags = ("--ip", "0.0.0.0", "--port", "8000", "--api-ip", "0.0.0.0", "--api-port", "8001")
    with running(tmp_path, CONTAINER, *DROP_IN, *flags) as proxy:
        assert proxy.api_url
        assert _ask(proxy, "10.99.0.1", "proxy:8001") == "200"
        assert _ask(proxy, "10.99.0.1", "10.99.0.1:8001") == "200"
        assert _ask(proxy, "10.99.0.1", "evil.example:8001") == "403"
        assert _ask(proxy, "127.0.0.1", "proxy:8001") == "403"
        assert _ask(proxy, "127.0.0.1", "localhost:8001") == "200"
