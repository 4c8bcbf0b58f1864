"""`python -m benchmarks.matching`: how many nanoseconds it takes to find a request's route."""

import sys
import timeit

from hubgate.model import ForwardRules, Route
from hubgate.routing.table import RouteTable

ROUTES = 10_000
TARGETS = (
    "/user/somebody-77/lab",
    "/user/somebody-77/api/contents/notebook.ipynb?content=1&type=notebook",
    "/user/somebody-77/static/lab/jlab/some/asset.js?v=1",
    "/hub/home/of/somebody",
)
HOST = "hub.example.org:8000"


def tables() -> dict[str, RouteTable]:
    """Return the tables to measure, by name; they are like those of real hubs."""
    users = [f"/user/somebody-{number}" for number in range(ROUTES)]
    native = ["hub.example.org/docs", *(f"team-{number}.example.org/" for number in range(ROUTES))]
    return {
        "paths": _table(["/", *users]),
        "paths, named servers": _table(["/", *users, "/user/somebody-3/gpu"]),
        "paths and hosts": _table(["/", *users, *native], native_routes=True),
        "host routing": _table(
            ["/", *(f"/hub.example.org{path}" for path in users), "/hub.example.org"],
            host_routing=True,
        ),
    }


def _table(keys: list[str], **rules: bool) -> RouteTable:
    table = RouteTable(ForwardRules(**rules))
    table.replace([Route(key, f"http://10.0.0.1:{port}") for port, key in enumerate(keys, 1)])
    return table


def main() -> int:
    """Measure and print the best of several runs."""
    for name, table in tables().items():
        for target in TARGETS:
            timer = timeit.Timer(lambda: table.match(HOST, target))  # noqa: B023
            empty = min(timeit.repeat(lambda: None, number=200_000, repeat=5)) / 200_000
            best = min(timer.repeat(number=50_000, repeat=7)) / 50_000 - empty
            found = table.match(HOST, target)
            print(f"{name:24} {target:72} {best * 1e9:6.0f} ns  {found.key if found else None}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
