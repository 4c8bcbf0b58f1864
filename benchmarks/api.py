"""The REST API for routes that hubgate and configurable-http-proxy share."""

import http.client
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

TOKEN = "benchmark"
_HEADERS = {"Authorization": f"token {TOKEN}"}


class Api:
    """A kept-alive connection to a contender's API."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def replace(self, routes: Mapping[str, str]) -> bytes:
        """Replace the whole table by one PUT, with these targets by path; hubgate's API only."""
        body = json.dumps({path: {"target": target} for path, target in routes.items()})
        return self._send("PUT", "", body, {**_HEADERS, "If-Match": "*"})

    def call(self, method: str, path: str = "", target: str | None = None) -> bytes:
        """Call the API; raise RuntimeError if it refuses."""
        body = None if target is None else json.dumps({"target": target})
        return self._send(method, path, body, _HEADERS)

    def _send(self, method: str, path: str, body: str | None, fields: dict[str, str]) -> bytes:
        self._connection.request(method, f"/api/routes{path}", body, fields)
        response = self._connection.getresponse()
        data = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {data[:200]!r}")
        return data


def fill(port: int, target: str, count: int, threads: int = 4) -> None:
    """Add `count` routes: `/user/somebody-0` and so on."""

    def add(numbers: range) -> None:
        api = Api(port)
        for number in numbers:
            api.call("POST", f"/user/somebody-{number}", target)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(add, [range(first, count, threads) for first in range(threads)]))
