"""Distributes the workers' reports."""

from time import perf_counter

from hubgate.control.metrics.totals import Metrics
from hubgate.control.routes.service import RouteService
from hubgate.model import Report


class WorkerReports:
    """Passes each part of a worker's report to where it belongs."""

    def __init__(self, service: RouteService, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics

    def add(self, worker: int, report: Report) -> None:
        """Record a report of the worker with that process id."""
        begun = perf_counter()
        self._service.record(report.activity)
        updated = len(report.activity)
        self._metrics.observe("last_activity_updating", perf_counter() - begun, updated)
        self._metrics.add(worker, report)

    def forget(self, worker: int) -> None:
        """Drop a worker that has ended."""
        self._metrics.forget(worker)
