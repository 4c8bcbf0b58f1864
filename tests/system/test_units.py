"""The units in docs/systemd, and hubgate started as systemd starts it."""

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from hubgate.settings.load import load
from tests.contract.client import Client
from tests.contract.polling import eventually
from tests.contract.ports import free_ports
from tests.environment import clean_environment
from tests.processes import kill
from tests.system.served import PROXYCTL

UNITS = Path(__file__).parents[2] / "docs" / "systemd"
NAMES = ("hubgate.service", "hubgate.socket")
INSTALLED = "/opt/hubgate/bin/proxyctl"
CREDENTIALS = struct.Struct("3i")  # unix(7): pid, uid, gid
TOKEN = ("Authorization", "Bearer secret")

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-socket-activate") is None and not os.environ.get("CI"),
    reason="needs systemd",
)


@dataclass
class Activated:
    """hubgate behind systemd-socket-activate, and what it tells its service manager."""

    process: psutil.Popen
    public: tuple[str, int]
    api: tuple[str, int]
    manager: socket.socket

    def told(self) -> str:
        """Return the next message; fails unless the main process has sent it."""
        text, extra, _, _ = self.manager.recvmsg(4096, 256)
        ((_, _, sender),) = extra
        assert CREDENTIALS.unpack(sender)[0] == self.process.pid
        return text.decode().split("\n")[0]


@pytest.fixture
def activated(tmp_path: Path) -> Iterator[Activated]:
    port, api_port = free_ports()
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    manager.settimeout(120)
    manager.bind(str(tmp_path / "notify"))
    variables = {"HUBGATE_TOKEN": "secret", "NOTIFY_SOCKET": str(tmp_path / "notify")}
    (tmp_path / "routes.yaml").write_text("routes: {}\n")
    command = ["systemd-socket-activate"]
    command += [f"--listen=127.0.0.1:{one}" for one in (api_port, port)]
    command += [f"--setenv={name}={value}" for name, value in variables.items()]
    command += [PROXYCTL, "serve", "--port", str(port), "--api-port", str(api_port)]
    with (tmp_path / "log").open("wb") as log:
        process = psutil.Popen(
            command, cwd=tmp_path, env=clean_environment(), stdout=log, stderr=log
        )
    try:
        text = tmp_path / "log"
        assert eventually(lambda: text.read_text().count("Listening on") == 2, 60)
        yield Activated(process, ("127.0.0.1", port), ("127.0.0.1", api_port), manager)
    finally:
        if process.poll() is None:
            family = [process, *process.children(recursive=True)]
            kill(family)
            psutil.wait_procs(family, timeout=30)
        manager.close()


def ask_public(unit: Activated) -> int:
    with Client(unit.public) as client:
        return client.ask("/_chp_healthz").status


def ask_api(unit: Activated) -> int:
    with Client(unit.api) as client:
        return client.ask("/api/routes", TOKEN).status


@pytest.mark.parametrize(
    "order", [(ask_api, ask_public), (ask_public, ask_api)], ids=["API first", "public port first"]
)
def test_a_connection_to_either_port_starts_it(activated: Activated, order: tuple) -> None:  # type: ignore[type-arg]
    assert [ask(activated) for ask in order] == [200, 200]


def test_connections_to_both_ports_that_came_before_it(activated: Activated) -> None:
    with Client(activated.api) as api, Client(activated.public) as public:
        assert public.ask("/_chp_healthz").status == 200
        assert api.ask("/api/routes", TOKEN).status == 200


def test_the_manager_is_told_what_happens(activated: Activated) -> None:
    ask_api(activated)
    assert activated.told() == "READY=1"
    for number in (signal.SIGHUP, signal.SIGUSR2):
        activated.process.send_signal(number)
        assert activated.told() == "RELOADING=1"
        assert activated.told() == "READY=1"
        # Both given sockets are still in use after the upgrade.
        assert (ask_api(activated), ask_public(activated)) == (200, 200)
    for worker in activated.process.children():
        assert "NOTIFY_SOCKET" not in worker.environ()
    activated.process.send_signal(signal.SIGTERM)
    assert activated.told() == "STOPPING=1"
    assert activated.process.wait(60) == 0


def test_systemd_finds_no_mistake_in_the_units(tmp_path: Path) -> None:
    for name in NAMES:
        text = (UNITS / name).read_text()
        (tmp_path / name).write_text(text.replace(INSTALLED, PROXYCTL))
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name in NAMES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def values(name: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", (UNITS / name).read_text(), re.MULTILINE)


def test_hubgate_starts_at_boot_and_not_only_when_somebody_connects() -> None:
    assert values("hubgate.service", "WantedBy") == ["multi-user.target"]
    assert values("hubgate.socket", "WantedBy") == ["sockets.target"]
    assert values("hubgate.service", "Type") == ["notify"]


def test_the_units_and_their_routes_yaml_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (UNITS / "routes.yaml").read_text()
    here = re.sub(r"(?m)^  tls: .*$", "  no_ssl: true", text).replace("/var/", f"{tmp_path}/")
    (tmp_path / "routes.yaml").write_text(here)
    for folder in ("lib", "log"):
        (tmp_path / folder / "hubgate").mkdir(parents=True)
    settings = load(tmp_path / "routes.yaml", {}, {"HUBGATE_TOKEN": "secret"})
    ports = [str(settings.listen[0].port), str(settings.api[0])]
    assert values("hubgate.socket", "ListenStream") == ports
    # All that hubgate writes is where the unit lets it write.
    state, logs = values("hubgate.service", "(?:State|Logs)Directory")
    assert f"sqlite:/var/lib/{state}/routes.db" in text
    assert f"access_log: /var/log/{logs}/access.log" in text
    drain = settings.worker.timeouts.drain
    assert drain < float(values("hubgate.service", "TimeoutStopSec")[0])
