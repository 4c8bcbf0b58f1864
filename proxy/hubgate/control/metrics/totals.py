"""The metrics: CHP's under CHP's names, and hubgate's own beside them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest

from hubgate.control.metrics.exposition import Family, Labels, Samples, exposed
from hubgate.model import Report

# Everything that is summed up, by the name under which it is counted.
SUMMED = (
    Family("api_route_get", "counter", "Requests for the whole route table"),
    Family("api_route_add", "counter", "Routes added or replaced through the API"),
    Family("api_route_delete", "counter", "Requests to remove a route through the API"),
    Family("requests_ws", "counter", "Upgrade requests on the public port"),
    Family("requests_web", "counter", "Other requests on the public port"),
    Family("requests_proxy", "counter", "Responses on the public port by status", "status"),
    Family("requests_api", "counter", "Responses of the API by status", "status"),
    Family("find_target_for_req", "summary", "Seconds to find a request's target"),
    Family("last_activity_updating", "summary", "Seconds to record a route's activity"),
    # CHP has none of those that follow.
    Family(
        "hubgate_access_log_dropped_total", "counter", "Access log lines that could not be written"
    ),
    Family(
        "hubgate_api_token_requests_total",
        "counter",
        "Requests to the API with a token that has a name",
        "token",
    ),
    Family(
        "hubgate_cut_off_total",
        "counter",
        "Requests and tunnels that did not end in the time that a stop leaves them",
        "kind",
    ),
    Family(
        "hubgate_missing_replicas_total",
        "counter",
        "Changes of routes that were answered before this replica served them",
        "replica",
    ),
    Family(
        "hubgate_connections_refused_total",
        "counter",
        "Connections refused, or closed unused for new ones, as a port's limit was reached",
        "port",
    ),
    Family(
        "hubgate_cleartext_connections_total",
        "counter",
        "Connections that spoke HTTP on a port that speaks HTTPS",
        "port",
    ),
)

ROUTES = Family("hubgate_routes", "gauge", "Routes served now")
READY = Family("hubgate_ready", "gauge", "1 if new connections should come, 0 while it drains")
WORKERS = Family("hubgate_workers", "gauge", "Workers serving now")
CONNECTIONS = Family("hubgate_connections", "gauge", "Open client connections, by worker")
TUNNELS = Family("hubgate_tunnels", "gauge", "Open tunnels (websockets), by worker")

# Process metrics without a prefix are the supervisor's; CHP has only one process.
WORKER_PREFIX = "hubgate_worker"


class Metrics:
    """Sums of what the API and all workers, past and present, have counted.

    A counter's name carries its label's value after a colon, `requests_proxy:200`; a summary
    is counted as `NAME_count` and `NAME_sum`.
    """

    def __init__(self, totals: Mapping[str, float] | None = None) -> None:
        self._totals: defaultdict[str, float] = defaultdict(float, totals or {})
        self._latest: dict[int, Report] = {}
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        PlatformCollector(registry=self._process)
        GCCollector(registry=self._process)

    def __repr__(self) -> str:
        return f"<Metrics of {len(self._latest)} workers>"

    @property
    def totals(self) -> Mapping[str, float]:
        """Every sum so far."""
        return self._totals

    def count(self, name: str, amount: float = 1) -> None:
        """Add `amount` to the counter `name`."""
        self._totals[name] += amount

    def observe(self, name: str, seconds: float, times: int = 1) -> None:
        """Add `times` events that took `seconds` in all to the summary `name`."""
        self.count(f"{name}_sum", seconds)
        self.count(f"{name}_count", times)

    def add(self, worker: int, report: Report) -> None:
        """Add a report: what the worker with that process id has seen since its last one."""
        for name, growth in report.counters.items():
            self._totals[name] += growth
        self._latest[worker] = report

    def forget(self, worker: int) -> None:
        """Drop a worker that has ended: its counters stay in the sums, its connections do not."""
        self._latest.pop(worker, None)

    def render(
        self,
        routes: int,
        ready: bool = True,
        replication: Iterable[tuple[Family, Samples]] = (),
    ) -> bytes:
        """Return everything as Prometheus text; `routes` is the current number of routes.

        `ready` is what the health page says, `replication` what there is of a shared store.
        """
        families: list[tuple[Family, Samples]] = [
            *((family, self._samples(family)) for family in SUMMED),
            (ROUTES, {("", ()): routes}),
            (READY, {("", ()): int(ready)}),
            *replication,
            (WORKERS, {("", ()): len(self._latest)}),
            (CONNECTIONS, self._by_worker("connections")),
            (TUNNELS, self._by_worker("tunnels")),
            *self._worker_processes(),
        ]
        return exposed(families).encode() + generate_latest(self._process)

    def _samples(self, family: Family) -> Samples:
        if family.kind == "summary":
            return {(part, ()): self._totals[family.name + part] for part in ("_count", "_sum")}
        if family.label is None:
            return {("", ()): self._totals[family.name]}
        mark = family.name + ":"
        return {
            ("", ((family.label, name.removeprefix(mark)),)): value
            for name, value in self._totals.items()
            if name.startswith(mark)
        }

    def _by_worker(self, what: str) -> Samples:
        return {("", _pid(worker)): getattr(each, what) for worker, each in self._latest.items()}

    def _worker_processes(self) -> Iterator[tuple[Family, Samples]]:
        families: dict[str, tuple[Family, dict[tuple[str, Labels], float]]] = {}
        for worker in self._latest:
            collector = ProcessCollector(WORKER_PREFIX, partial(int, worker), registry=None)
            for metric in collector.collect():
                for sample in metric.samples:
                    family = Family(sample.name, metric.type, metric.documentation)
                    _, samples = families.setdefault(sample.name, (family, {}))
                    samples["", _pid(worker)] = sample.value
        yield from families.values()


def _pid(worker: int) -> Labels:
    return (("pid", str(worker)),)
