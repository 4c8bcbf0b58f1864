"""What docs/high-availability.md says for systemd, and its routes.yaml with the units."""

import shutil
import subprocess
from pathlib import Path

import pytest

from hubgate.settings.load import load
from tests.replicated.page import Place, block
from tests.system.served import PROXYCTL
from tests.system.test_units import INSTALLED, UNITS, values

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd"),
]


def test_systemd_finds_no_mistake_in_the_unit_with_its_addition(tmp_path: Path) -> None:
    unit = tmp_path / "hubgate.service"
    unit.write_text((UNITS / unit.name).read_text().replace(INSTALLED, PROXYCTL))
    (tmp_path / "hubgate.service.d").mkdir()
    (tmp_path / "hubgate.service.d" / "override.conf").write_text(block("hubgate", "ini"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_unit_waits_for_a_drain_that_the_balancer_notices(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for name in ("api.token", "redis.password", "sentinel.password"):
        (tmp_path / name).write_text("secret")
    subprocess.run([PROXYCTL, "certs", "--dir", str(tmp_path)], check=True, capture_output=True)
    text = place.own(block("hubgate", "yaml")).replace("api.pem", "hub.pem")
    (tmp_path / "routes.yaml").write_text(text.replace("api-key.pem", "hub-key.pem"))
    settings = load(tmp_path / "routes.yaml", {}, {})
    timeouts = settings.worker.timeouts
    limit = float(values("hubgate.service", "TimeoutStopSec")[0])
    assert timeouts.drain_delay + timeouts.drain < limit
    # Two checks that fail, and the time limit of one.
    haproxy = block("HAProxy", "haproxy")
    assert "inter 1s fall 2" in haproxy
    assert "timeout check 2s" in haproxy
    assert timeouts.drain_delay > 2 * 1 + 2
