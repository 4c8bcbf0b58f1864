"""What a worker counts between two reports."""

from collections import defaultdict
from dataclasses import dataclass, field, fields

# Fields that are reported under another name than their own.
_NAMES = {
    "match_seconds": "find_target_for_req_sum",
    "cut_off": "hubgate_cut_off_total",
    "access_log_dropped": "hubgate_access_log_dropped_total",
    "responses": "requests_proxy",
    "connections_refused": "hubgate_connections_refused_total",
    "cleartext_connections": "hubgate_cleartext_connections_total",
}


@dataclass(slots=True)
class Counters:
    """One field for each thing counted; a dict counts by label.

    `responses` are by status, those of tunnels (101) included; `match_seconds` is how long routes
    were searched for; `cut_off` is what a drain could not wait for, by kind; `connections_refused`
    and `cleartext_connections` are by port.
    """

    requests_web: int = 0
    requests_ws: int = 0
    match_seconds: float = 0.0
    access_log_dropped: int = 0
    responses: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    cut_off: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    connections_refused: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    cleartext_connections: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def refused(self, port: str) -> None:
        """Count a connection that was turned away, or closed for a new one, at a port's limit."""
        self.connections_refused[port] += 1

    def cleartext(self, port: str) -> None:
        """Count a connection that spoke HTTP on a port that speaks TLS."""
        self.cleartext_connections[port] += 1

    def take(self) -> dict[str, float]:
        """Return what was counted since the last call, by the names of `model.Report`."""
        taken: dict[str, float] = {
            "find_target_for_req_count": self.requests_web + self.requests_ws
        }
        for each in fields(self):
            name, counted = _NAMES.get(each.name, each.name), getattr(self, each.name)
            if isinstance(counted, dict):
                taken |= {f"{name}:{label}": count for label, count in counted.items()}
                counted.clear()
            else:
                taken[name] = counted
                setattr(self, each.name, type(counted)())
        return {name: value for name, value in taken.items() if value}
