"""Prometheus metrics: their address, their names, and what each one counts."""

import re
from collections.abc import Callable

import psutil  # type: ignore[import-untyped]
import pytest

from tests.contract.client import Client
from tests.contract.conftest import MakeTarget, StartProxy
from tests.contract.frames import FrameServer, handshake
from tests.contract.harness import RunningProxy, accepts
from tests.contract.polling import eventually
from tests.contract.ports import free_port
from tests.contract.target import Target, answer, replying

DEAD = "http://127.0.0.1:9"
COUNTERS = ["api_route_get", "api_route_add", "api_route_delete", "requests_ws", "requests_web"]
LABELLED = ["requests_proxy", "requests_api"]
SUMMARIES = ["find_target_for_req", "last_activity_updating"]


class Metrics:
    """A proxy with metrics, and their values."""

    def __init__(self, proxy: RunningProxy, port: int) -> None:
        self.proxy = proxy
        self.address = ("127.0.0.1", port)

    def page(self) -> str:
        with Client(self.address) as client:
            return client.ask("/metrics").body.decode()

    def value(self, name: str) -> float:
        """Return a sample's value; one with a label that never occurred is 0."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.page(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def grew(self, name: str, by: int, action: Callable[[], object]) -> bool:
        """Say whether `action` made the sample grow by so much, and by no more."""
        before = self.value(name)
        action()
        reached = eventually(lambda: self.value(name) >= before + by)
        return reached and self.value(name) == before + by


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture
def metrics(start: StartProxy, port: int) -> Metrics:
    proxy = start("--metrics-ip", "127.0.0.1", "--metrics-port", str(port))
    assert eventually(lambda: accepts(("127.0.0.1", port)))
    return Metrics(proxy, port)


def listening(proxy: RunningProxy) -> set[int]:
    """Return the TCP ports on which the proxy's processes listen."""
    first = psutil.Process(proxy.process.pid)
    return {
        each.laddr.port
        for process in (first, *first.children(recursive=True))
        for each in process.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN
    }


def upgrade(proxy: RunningProxy, path: str) -> None:
    with proxy.connect() as client:
        handshake(client, path)


def test_the_page_is_prometheus_text(metrics: Metrics) -> None:
    with Client(metrics.address) as client:
        response = client.ask("/metrics")
    assert response.status == 200
    assert (response.get("content-type") or "").startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize("path", ["/", "/metric", "/metrics/x", "/api/routes"])
def test_another_path_is_404(metrics: Metrics, path: str) -> None:
    with Client(metrics.address) as client:
        assert client.ask(path).status == 404


def test_an_ip_restricts_them(metrics: Metrics) -> None:
    assert not accepts(("127.0.0.2", metrics.address[1]))


def test_they_are_on_no_other_port(metrics: Metrics) -> None:
    assert metrics.proxy.get("/metrics").status == 404
    assert metrics.proxy.call("GET", "/metrics").status == 404


def test_no_token_is_needed(metrics: Metrics) -> None:
    with Client(metrics.address) as client:
        assert client.ask("/metrics", ("Authorization", "token wrong")).status == 200


@pytest.mark.parametrize("name", COUNTERS + LABELLED)
def test_counters_are_called_as_ever(metrics: Metrics, name: str) -> None:
    metrics.proxy.get("/nobody")
    assert f"# TYPE {name} counter" in metrics.page().splitlines()
    assert f"# HELP {name} " in metrics.page()
    sample = rf"^{name}(\{{status=\"\d+\"\}})? \d"
    assert eventually(lambda: re.search(sample, metrics.page(), re.MULTILINE) is not None)


@pytest.mark.parametrize("name", SUMMARIES)
def test_summaries_are_called_as_ever(metrics: Metrics, name: str) -> None:
    page = metrics.page()
    assert f"# TYPE {name} summary" in page.splitlines()
    assert re.search(rf"^{name}_sum \S+$", page, re.MULTILINE)
    assert re.search(rf"^{name}_count \d+", page, re.MULTILINE)


@pytest.mark.parametrize(
    "name",
    [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_start_time_seconds",
        "process_open_fds",
        "process_max_fds",
    ],
)
def test_process_metrics_are_there(metrics: Metrics, name: str) -> None:
    assert metrics.value(name) > 0


def test_a_request_counts_as_web(metrics: Metrics, target: Target) -> None:
    metrics.proxy.add("/x", target.url)
    assert metrics.grew("requests_web", 1, lambda: metrics.proxy.get("/x"))


def test_a_request_without_a_route_counts_as_web(metrics: Metrics) -> None:
    assert metrics.grew("requests_web", 1, lambda: metrics.proxy.get("/nobody"))


def test_the_health_check_is_not_counted(metrics: Metrics, target: Target) -> None:
    def both() -> None:
        metrics.proxy.get("/_chp_healthz")
        metrics.proxy.get("/x")

    metrics.proxy.add("/x", target.url)
    assert metrics.grew("requests_web", 1, both)


@pytest.mark.parametrize("path", ["/x", "/nobody", "/dead"])
def test_an_upgrade_counts_as_ws(metrics: Metrics, make_target: MakeTarget, path: str) -> None:
    metrics.proxy.add("/x", make_target(FrameServer()).url)
    metrics.proxy.add("/dead", DEAD)
    assert metrics.grew("requests_ws", 1, lambda: upgrade(metrics.proxy, path))


@pytest.mark.parametrize("status", [200, 204, 302, 404, 500])
def test_a_targets_answer_counts_by_its_status(
    metrics: Metrics, make_target: MakeTarget, status: int
) -> None:
    reply = answer(status, b"", length=status != 204)
    metrics.proxy.add("/x", make_target(replying(reply)).url)
    sample = f'requests_proxy{{status="{status}"}}'
    assert metrics.grew(sample, 1, lambda: metrics.proxy.get("/x"))


@pytest.mark.parametrize(("path", "status"), [("/nobody", 404), ("/dead", 503)])
def test_an_error_of_ours_counts_by_its_status(metrics: Metrics, path: str, status: int) -> None:
    metrics.proxy.add("/dead", DEAD)
    sample = f'requests_proxy{{status="{status}"}}'
    assert metrics.grew(sample, 1, lambda: metrics.proxy.get(path))


@pytest.mark.parametrize(("path", "status"), [("/nobody", 404), ("/dead", 503)])
def test_a_failed_upgrade_counts_by_its_status(metrics: Metrics, path: str, status: int) -> None:
    metrics.proxy.add("/dead", DEAD)
    sample = f'requests_proxy{{status="{status}"}}'
    assert metrics.grew(sample, 1, lambda: upgrade(metrics.proxy, path))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/routes", 200),
        ("GET", "/api/routes/nobody", 404),
        ("GET", "/nowhere", 404),
        ("DELETE", "/api/routes/nobody", 404),
        ("PUT", "/api/routes/a", 405),
        ("POST", "/api/routes/a", 400),
    ],
)
def test_an_api_call_counts_by_its_status(
    metrics: Metrics, method: str, path: str, status: int
) -> None:
    body = b"{}" if method == "POST" else None
    sample = f'requests_api{{status="{status}"}}'
    assert metrics.grew(sample, 1, lambda: metrics.proxy.call(method, path, body))


def test_a_refused_api_call_counts_by_its_status(metrics: Metrics) -> None:
    def ask() -> None:
        with Client(metrics.proxy.api) as client:
            client.ask("/api/routes")

    assert metrics.grew('requests_api{status="403"}', 1, ask)


def test_adding_and_removing_routes_is_counted(metrics: Metrics) -> None:
    assert metrics.grew("api_route_add", 1, lambda: metrics.proxy.add("/a", DEAD))
    assert metrics.grew("api_route_delete", 1, lambda: metrics.proxy.remove("/a"))


def test_reading_the_table_is_counted(metrics: Metrics) -> None:
    assert metrics.grew("api_route_get", 1, metrics.proxy.routes)


def test_choosing_a_target_is_timed(metrics: Metrics, target: Target) -> None:
    metrics.proxy.add("/x", target.url)
    assert metrics.grew("find_target_for_req_count", 1, lambda: metrics.proxy.get("/x"))
    assert 0 < metrics.value("find_target_for_req_sum") < 10


def test_recording_activity_is_timed(metrics: Metrics, target: Target) -> None:
    metrics.proxy.add("/x", target.url)
    before = metrics.value("last_activity_updating_count")
    metrics.proxy.get("/x")
    assert eventually(lambda: metrics.value("last_activity_updating_count") > before)


def test_without_the_flag_there_are_none(proxy: RunningProxy) -> None:
    assert listening(proxy) == {proxy.port, proxy.api[1]}
    assert proxy.get("/metrics").status == 404
