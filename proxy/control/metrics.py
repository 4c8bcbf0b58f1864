"""What is counted: CHP's metrics under CHP's names, and hubgate's own beside them."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest

from proxy.model import Report

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric: its kind in Prometheus' words, and the label it is split by, if any."""

    name: str
    kind: str
    text: str
    label: str | None = None


FAMILIES = (
    Family("api_route_get", "counter", "Requests for the whole route table"),
    Family("api_route_add", "counter", "Routes added or replaced through the API"),
    Family("api_route_delete", "counter", "Requests to remove a route through the API"),
    Family("requests_ws", "counter", "Upgrade requests on the public port"),
    Family("requests_web", "counter", "Other requests on the public port"),
    Family("requests_proxy", "counter", "Proxied responses by status", "status"),
    Family("requests_api", "counter", "API responses by status", "status"),
    Family("find_target_for_req", "summary", "Seconds to find a request's target"),
    Family("last_activity_updating", "summary", "Seconds to note a route's activity"),
)


class Metrics:
    """Sums of what the API and all workers, past and present, have counted.

    A counter's name carries its label's value after a colon, `requests_proxy:200`; a summary
    is counted as `NAME_count` and `NAME_sum`.
    """

    def __init__(self) -> None:
        self._totals: defaultdict[str, float] = defaultdict(float)
        self._latest: dict[int, Report] = {}
        self._restarts = 0
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        PlatformCollector(registry=self._process)
        GCCollector(registry=self._process)

    def __repr__(self) -> str:
        return f"<Metrics of {len(self._latest)} workers>"

    def count(self, name: str, amount: float = 1) -> None:
        """Add `amount` to the counter `name`."""
        self._totals[name] += amount

    def add(self, worker: int, report: Report) -> None:
        """Take in what the worker with that process id has seen since its last report."""
        for name, growth in report.counters.items():
            self._totals[name] += growth
        self._latest[worker] = report

    def forget(self, worker: int) -> None:
        """The worker has ended: its counters stay in the sums, its open connections do not."""
        self._latest.pop(worker, None)

    def render(self, routes: int) -> bytes:
        """Return everything as Prometheus text; `routes` is the current number of routes."""
        own = "".join(self._lines(routes))
        return own.encode() + generate_latest(self._process)

    # prometheus-client insists on `_total` behind every counter's name, and CHP has none: these
    # few lines of the text format are written here, the process metrics by the library.
    def _lines(self, routes: int) -> Iterator[str]:
        for family in FAMILIES:
            yield from _head(family.name, family.kind, family.text)
            if family.kind == "summary":
                for part in ("sum", "count"):
                    yield _sample(f"{family.name}_{part}", self._totals[f"{family.name}_{part}"])
            elif family.label is None:
                yield _sample(family.name, self._totals[family.name])
            else:
                yield from self._labelled(family.name, family.label)
        yield from self._gauges(routes)

    def _labelled(self, name: str, label: str) -> Iterator[str]:
        for counter in sorted(self._totals):
            family, _, value = counter.partition(":")
            if family == name and value:
                yield _sample(f'{name}{{{label}="{value}"}}', self._totals[counter])

    def _gauges(self, routes: int) -> Iterator[str]:
        reports = self._latest.values()
        gauges = {
            "hubgate_routes": ("Routes served now", routes),
            "hubgate_workers": ("Workers that have reported and live", len(reports)),
            "hubgate_connections": (
                "Open connections of clients",
                sum(report.connections for report in reports),
            ),
            "hubgate_tunnels": ("Open tunnels", sum(report.tunnels for report in reports)),
        }
        for name, (text, value) in gauges.items():
            yield from _head(name, "gauge", text)
            yield _sample(name, value)


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}\n"
    yield f"# TYPE {name} {kind}\n"


def _sample(name: str, value: float) -> str:
    whole = int(value)
    return f"{name} {whole if whole == value else repr(float(value))}\n"
