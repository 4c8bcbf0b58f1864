"""What is read from wrk, and which runs of it count for nothing."""

import pytest

from benchmarks.wrk import Done, Load, check, parse

PLAIN = """Running 10m test @ http://127.0.0.1:8000/small
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.55ms  367.64us  17.93ms   94.49%
    Req/Sec    20.73k     1.30k   22.70k    80.00%
  61931 requests in 3.00s, 13.05MB read
Requests/sec:  20630.15
Transfer/sec:      4.35MB
"""
TROUBLED = PLAIN.replace(
    "Requests/sec", "  Socket errors: connect 1, read 20, write 3, timeout 4\n"
    "  Non-2xx or 3xx responses: 61930\nRequests/sec",
)  # fmt: skip


def test_a_good_run() -> None:
    assert parse(PLAIN) == Done(answers=61931, errors=0, broken=0)


def test_errors_and_broken_connections_are_counted() -> None:
    assert parse(TROUBLED) == Done(answers=61931, errors=61930, broken=28)


def test_anything_else_is_not_taken_for_figures() -> None:
    with pytest.raises(ValueError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:1 Connection refused\n")


@pytest.mark.parametrize(
    ("done", "refused", "why"),
    [
        (Done(0, 0, 0), False, "no answer"),
        (Done(10, 1, 0), False, "1 of 10 responses were errors"),
        (Done(10, 9, 0), True, "1 of 10 were served"),
    ],
)
def test_a_run_that_is_not_about_its_load_is_refused(done: Done, refused: bool, why: str) -> None:
    with pytest.raises(RuntimeError, match=why):
        check(done, Load("/small", refused=refused))


def test_a_run_of_what_it_is_about_counts() -> None:
    check(Done(10, 0, 3), Load("/small"))
    check(Done(10, 10, 0), Load("/down", refused=True))
