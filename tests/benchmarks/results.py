"""A run's results, small."""

from dataclasses import asdict
from typing import Any

from benchmarks.scale import FULL

RESULT: dict[str, Any] = {
    "machine": {"cpu": "Abacus", "cores": "2", "kernel": "6.1", "python": "3.11.2",
                "date": "2026-01-31"},
    "versions": {"hubgate": "0.1.0", "CHP": "5.3.0 on Node 20.1.0"},
    "scale": asdict(FULL),
    "figures": {
        "small": {"nginx": [15.0], "CHP": [150.0], "hubgate": [10.0, 30.0, 20.0]},
        "down": {"hubgate": [8.0], "CHP": [700.0]},
        "memory-tunnels": {"hubgate": [3.0], "CHP": [30.0]},
    },
    "notes": {"memory-tunnels": {"hubgate": ["with 2 workers"], "CHP": ["9,800 open"]}},
    "cores": {"small": {"hubgate": [{"proxy": 0.9, "load": 0.5, "per_second": 20_000.4}]}},
}  # fmt: skip
