"""A route works the moment its 201 is there, in every worker."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.target import Target
from tests.system.served import Served, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, "--workers", "4") as served:
        yield served


def status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_hundred_routes_used_at_once(served: Served) -> None:
    target = Target()
    try:
        assert len(served.workers) == 4
        for number in range(100):
            path = f"/user/{number}"
            assert status(served.port, path) == 404
            served.add(path, target.url)
            # Several connections: the kernel deals them out to all four workers.
            assert [status(served.port, path) for _ in range(4)] == [200] * 4
    finally:
        target.stop()
