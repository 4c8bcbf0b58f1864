"""A gigabyte costs what a kilobyte costs: bodies stream, nothing is ever held whole."""

import http.client
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.target import Target
from tests.system.bulk import BLOCK, bulk_target
from tests.system.served import Served, serving

GIB = 1 << 30
ALLOWED_GROWTH = 16 << 20


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with bulk_target() as target:
        yield target


@pytest.fixture
def served(tmp_path: Path, target: Target) -> Iterator[Served]:
    with serving(tmp_path, "--drain-timeout", "1") as served:
        served.add("/", target.url)
        assert download(served, 1 << 20) == 1 << 20  # the first request pays for what stays
        yield served


def download(served: Served, size: int, watch: list[int] | None = None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    connection.request("GET", f"/down?n={size}")
    response = connection.getresponse()
    count, blocks = 0, 0
    while block := response.read(len(BLOCK)):
        count += len(block)
        blocks += 1
        if watch is not None and blocks % 64 == 0:
            watch.append(served.resident)
    connection.close()
    return count


@pytest.mark.timeout(300)
def test_a_download_of_a_gibibyte(served: Served) -> None:
    seen = [served.resident]
    assert download(served, GIB, seen) == GIB
    assert max(seen) - seen[0] < ALLOWED_GROWTH


@pytest.mark.timeout(300)
def test_an_upload_of_a_gibibyte(served: Served) -> None:
    seen = [served.resident]

    def blocks() -> Iterator[bytes]:
        for number in range(GIB // len(BLOCK)):
            if number % 64 == 0:
                seen.append(served.resident)
            yield BLOCK

    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    connection.request("PUT", "/up", blocks(), {"Content-Length": str(GIB)})
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"%d" % GIB)
    connection.close()
    assert max(seen) - seen[0] < ALLOWED_GROWTH


def test_a_reader_of_100_kib_a_second_for_20_seconds(served: Served) -> None:
    before = served.resident
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    connection.request("GET", f"/down?n={GIB}")
    response = connection.getresponse()
    seen = []
    for _ in range(20):
        assert len(response.read(100 << 10)) == 100 << 10
        seen.append(served.resident)
        time.sleep(1)
    connection.close()
    assert max(seen) - before < ALLOWED_GROWTH
