"""The metrics: CHP's names to the letter, sums over workers, and a port with one page."""

import os
from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hubgate.control.health import Health
from hubgate.control.metrics.app import build_metrics_app
from hubgate.control.metrics.totals import Metrics
from hubgate.control.routes.service import RouteService
from hubgate.control.web.guard import Guard
from hubgate.control.web.host_names import HostNames
from hubgate.model import Report, Route
from tests.control.recording import RecordingStore, RecordingWorkers
from tests.control.serving import TARGET, ask, serve, serving

READY = Health(serves=True)

CHP_COUNTERS = ("api_route_get", "api_route_add", "api_route_delete", "requests_ws", "requests_web")


def samples(text: bytes) -> dict[str, float]:
    """Return {name and labels: value} as the lines have them.

    prometheus-client's own parser would add `_total` to the names of counters.
    """
    lines = [line for line in text.decode().splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def rendered(metrics: Metrics, routes: int = 0) -> Mapping[str, float]:
    return samples(metrics.render(routes))


def test_before_anything_happens_every_name_is_there() -> None:
    text = Metrics().render(0).decode()
    for name in CHP_COUNTERS:
        assert f"# TYPE {name} counter\n{name} 0\n" in text
    for name in ("requests_proxy", "requests_api"):
        assert f"# TYPE {name} counter\n" in text
    for name in ("find_target_for_req", "last_activity_updating"):
        assert f"# TYPE {name} summary\n{name}_count 0\n{name}_sum 0\n" in text
    assert rendered(Metrics())["process_cpu_seconds_total"] > 0


def test_every_line_reads_as_prometheus_text_and_no_name_is_there_twice() -> None:
    metrics = Metrics()
    metrics.add(os.getpid(), Report(counters={"requests_proxy:200": 1}))
    text = metrics.render(3).decode()
    families = list(text_string_to_metric_families(text))
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names)) == len(families)
    assert sum(len(family.samples) for family in families) == len(samples(text.encode()))


def test_counters_add_up_over_workers_and_time() -> None:
    metrics = Metrics()
    metrics.add(1, Report(counters={"requests_web": 2, "requests_proxy:200": 2}))
    metrics.add(2, Report(counters={"requests_web": 3, "requests_proxy:503": 1, "requests_ws": 1}))
    metrics.add(1, Report(counters={"requests_web": 1, "requests_proxy:200": 1}))
    metrics.forget(2)
    shown = rendered(metrics)
    assert shown["requests_web"] == 6
    assert shown["requests_ws"] == 1
    assert shown['requests_proxy{status="200"}'] == 3
    assert shown['requests_proxy{status="503"}'] == 1


def test_summaries_have_a_count_and_a_sum_in_seconds() -> None:
    metrics = Metrics()
    growth = {"find_target_for_req_count": 2, "find_target_for_req_sum": 0.00025}
    metrics.add(1, Report(counters=growth))
    metrics.observe("last_activity_updating", 0.5, 10)
    shown = rendered(metrics)
    assert shown["find_target_for_req_count"] == 2
    assert shown["find_target_for_req_sum"] == pytest.approx(0.00025)
    assert shown["last_activity_updating_count"] == 10
    assert shown["last_activity_updating_sum"] == 0.5


def test_open_connections_are_the_latest_of_each_living_worker() -> None:
    metrics = Metrics()
    metrics.add(1, Report(connections=5, tunnels=2))
    metrics.add(1, Report(connections=4, tunnels=1))
    metrics.add(2, Report(connections=7))
    shown = rendered(metrics, routes=9)
    assert shown['hubgate_connections{pid="1"}'] == 4
    assert shown['hubgate_connections{pid="2"}'] == 7
    assert shown['hubgate_tunnels{pid="1"}'] == 1
    assert (shown["hubgate_workers"], shown["hubgate_routes"]) == (2, 9)
    metrics.forget(1)
    metrics.forget(1)
    shown = rendered(metrics)
    assert 'hubgate_connections{pid="1"}' not in shown
    assert shown["hubgate_workers"] == 1


def test_each_worker_has_process_metrics_of_its_own() -> None:
    metrics = Metrics()
    metrics.add(os.getpid(), Report())
    name = f'hubgate_worker_process_resident_memory_bytes{{pid="{os.getpid()}"}}'
    assert rendered(metrics)[name] > 1_000_000


async def test_the_api_counts_what_chp_counts() -> None:
    async with serving(token="secret") as api:
        for method, target, body in (
            ("POST", "/api/routes/a", {"target": TARGET}),
            ("POST", "/api/routes/b", {"target": 1}),
            ("GET", "/api/routes", None),
            ("GET", "/api/routes/a", None),
            ("GET", "/api/routes?inactiveSince=never", None),
            ("DELETE", "/api/routes/a", None),
            ("DELETE", "/api/routes/a", None),
            ("PUT", "/api/routes/a", None),
        ):
            await api.ask(method, target, body, "secret")
        await api.ask("GET", "/api/routes", token="wrong")
        shown = rendered(api.metrics)
    assert [shown[name] for name in CHP_COUNTERS[:3]] == [1, 1, 2]
    statuses = {200: 2, 201: 1, 204: 1, 400: 2, 403: 1, 404: 1, 405: 1}
    assert {code: shown[f'requests_api{{status="{code}"}}'] for code in statuses} == statuses


async def test_the_metrics_port_answers_nothing_but_metrics() -> None:
    workers = RecordingWorkers()
    service = RouteService(RecordingStore(), workers)
    await service.open([], [])
    await service.add(Route("/a", TARGET))
    async with serve(build_metrics_app(service, workers, Metrics(), Guard(None), READY)) as port:
        answer = await ask(port, "GET", "/metrics")
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert samples(answer.body)["hubgate_routes"] == 1
        assert workers.collected == 1
        head = await ask(port, "HEAD", "/metrics")
        assert (head.status, head.body) == (200, b"")
        for method, target in (
            ("GET", "/"),
            ("GET", "/metrics/"),
            ("GET", "/metricsx"),
            ("GET", "/%6detrics"),
            ("POST", "/metrics"),
            ("DELETE", "/api/routes/a"),
        ):
            assert (await ask(port, method, target)).status == 404, (method, target)


async def test_a_web_page_reads_no_metrics(caplog: pytest.LogCaptureFixture) -> None:
    workers = RecordingWorkers()
    service = RouteService(RecordingStore(), workers)
    await service.open([], [])
    guard = Guard("s3cret", HostNames(["metrics.example.org"])).without_token()
    async with serve(build_metrics_app(service, workers, Metrics(), guard, READY)) as port:

        async def status(**fields: str) -> int:
            return (await ask(port, "GET", "/metrics", None, fields)).status

        assert await status(Host="metrics.example.org:8002") == 200
        assert workers.collected == 1
        assert await status(Host="evil.example") == 403
        assert await status(Origin="http://evil.localhost:9") == 403
        assert workers.collected == 1
    lines = [record.getMessage() for record in caplog.records if "evil" in record.getMessage()]
    assert [line[:26] for line in lines] == ["403 GET Host 'evil.example"]
