"""What a worker counts between two reports."""

from collections import defaultdict
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """One field for each thing counted; `responses` by status, those of tunnels (101) included.

    `match_seconds` is the time spent finding routes.
    """

    requests_web: int = 0
    requests_ws: int = 0
    match_seconds: float = 0.0
    access_log_dropped: int = 0
    responses: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def take(self) -> dict[str, float]:
        """Return what was counted since the last call, under the names of `model.Report`."""
        counted: dict[str, float] = {
            "requests_web": self.requests_web,
            "requests_ws": self.requests_ws,
            "find_target_for_req_count": self.requests_web + self.requests_ws,
            "find_target_for_req_sum": self.match_seconds,
            "access_log_dropped": self.access_log_dropped,
            **{f"requests_proxy:{status}": count for status, count in self.responses.items()},
        }
        self.requests_web = self.requests_ws = self.access_log_dropped = 0
        self.match_seconds = 0.0
        self.responses.clear()
        return {name: value for name, value in counted.items() if value}
