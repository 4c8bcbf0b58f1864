"""What workers report, sorted."""

from time import perf_counter

from hubgate.control.metrics.totals import Metrics
from hubgate.control.routes.service import RouteService
from hubgate.model import Report


class WorkerReports:
    """Sends each part of a worker's report where it belongs."""

    def __init__(self, service: RouteService, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics

    def add(self, worker: int, report: Report) -> None:
        """Take in what the worker with that process id has seen."""
        begun = perf_counter()
        self._service.record(report.activity)
        updated = len(report.activity)
        self._metrics.observe("last_activity_updating", perf_counter() - begun, updated)
        self._metrics.add(worker, report)

    def forget(self, worker: int) -> None:
        """The worker is gone."""
        self._metrics.forget(worker)
