"""What the bystander counts as answered, and how its times are summed up."""

import pytest

from benchmarks.strangers.bystander import complete
from benchmarks.strangers.latency import summary


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", False),
        (b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", False),
        (b"", False),
    ],
)
def test_a_response_counts_once_it_is_whole(data: bytes, whole: bool) -> None:
    assert complete(data) is whole


def test_what_is_unanswered_counts_with_the_time_it_waited() -> None:
    seen = summary({"times": [0.001] * 98, "waiting": [2.0, 1.5], "failed": {}})
    assert (seen["p50"], seen["p99"], seen["max"]) == (1.0, 2000.0, 2000.0)
    assert (seen["unanswered"], seen["requests"]) == (2, 100)


def test_failed_requests_have_no_time() -> None:
    seen = summary({"times": [0.001], "waiting": [], "failed": {"closed": 3, "503": 1}})
    assert (seen["p99"], seen["failed"], seen["requests"]) == (1.0, 4, 5)


def test_with_all_failed_there_is_no_latency() -> None:
    assert "p99" not in summary({"times": [], "waiting": [], "failed": {"closed": 7}})
