"""The page of figures: what was not answered shows, and goals are hubgate's alone."""

from pathlib import Path
from typing import Any

from benchmarks.page import between_marks
from benchmarks.strangers.page import figures_of, missed, remark, times, verdict

ROOT = Path(__file__).resolve().parents[3]
GOOD: dict[str, Any] = {
    "p50": 1.0, "p99": 20.0, "max": 30.0, "failed": 0, "how": {}, "unanswered": 0, "requests": 200,
    "lost": 0, "mib": 0.5,
}  # fmt: skip
STALLED = {**GOOD, "p99": 1990.0, "max": 2000.0, "unanswered": 10}
RESULT: dict[str, Any] = {
    "machine": {"date": "1970-01-01", "cpu": "Abacus", "cores": "2", "kernel": "6.1",
                "python": "3.11.2"},
    "versions": {"hubgate": "0.1.0", "nginx": "1.22.1"},
    "seconds": 2,
    "latency": {
        "404": {"nginx": {"8": GOOD, "64": GOOD}, "hubgate": {"8": GOOD, "64": STALLED}},
        "health": {"hubgate": {"1": GOOD}},
    },
    "memory": {"unread-page": {"hubgate": {"kib": 3862.7}, "nginx": {"kib": 37.9}}},
    "once": {"POST": {"hubgate": 1, "nginx": 0}},
    "slowhttptest": {
        "-H": {"hubgate": {"away": [], "connected": 0, "closed": 1000, "seconds": 15}}
    },
    "testssl": {"public": {"hubgate": {"severities": {"OK": 37, "INFO": 89},
                                       "findings": ["LOW HSTS: not offered"]}}},
    "silence": {"API: half a head": {"hubgate": None}, "public: half a head": {"hubgate": 10.2}},
}  # fmt: skip


def test_all_parts_are_on_the_page() -> None:
    text = figures_of(RESULT)
    for line in (
        "| pipelined GET without a route (404) | 1.00 / 20.0 / 30.0 | 1.00 / 20.0 / 30.0 | ✓ |",
        "| pipelined GET of the health page, one connection | 1.00 / 20.0 / 30.0 |  | ✓ |",
        "| GET without a route, an error page of 20 KB | 3,863 | 37.9 | ✗ |",
        "| POST | 1 | not tried |",
        "| public: half a head | 10 |",
        "| API: half a head | open |",
        "| slow heads | available throughout; 0 still open after 15 s |",
        "- public: 37 checks passed, 89 gave information, 1 remarks\n  - LOW HSTS: not offered\n",
    ):
        assert line in text
    assert "Abacus" in text


def test_parts_that_were_not_measured_are_left_out() -> None:
    text = figures_of({key: RESULT[key] for key in ("machine", "versions", "seconds")})
    assert "|" not in text


def test_what_was_not_answered_in_time_is_marked() -> None:
    assert times(GOOD) == "1.00 / 20.0 / 30.0"
    assert times(STALLED) == "1.00 / > 1,990 / > 2,000"
    assert times({"failed": 3, "requests": 3}) == "none answered"


def test_a_goal_is_missed_by_slowness_and_by_failures() -> None:
    assert verdict(GOOD, 50) == "✓"
    assert verdict(STALLED, 50) == "✗"
    assert verdict({**GOOD, "failed": 1}, 50) == "✗"
    assert verdict({**GOOD, "lost": 1}, 50) == "✗"
    assert verdict({"failed": 3, "requests": 3}, 50) == "✗"
    assert verdict(None, 50) == ""


def test_failures_lost_processes_and_growth_are_remarked_on() -> None:
    assert remark(GOOD) == ""
    text = remark({**GOOD, "failed": 3, "how": {"503": 3}, "lost": 1, "mib": 1024})
    assert (
        text == "3 of 200 requests failed (3 503), 1 processes were lost, memory grew by 1,024 MiB"
    )


def test_missed_goals_are_named() -> None:
    assert missed(RESULT) == [
        "pipelined GET without a route (404), 64 attackers: 1.00 / > 1,990 / > 2,000 ms",
        "never read: GET without a route, an error page of 20 KB: 3,863 KiB per client",
        "API: half a head: open after 100 s",
    ]
    twice = {"POST": {"hubgate": 2}, "GET": {"hubgate": 2}}
    assert "POST arrived 2 times" in missed({**RESULT, "once": twice})
    assert "GET arrived 2 times" not in missed({**RESULT, "once": twice})


def test_the_page_has_its_marks() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    assert "between the lines" in between_marks(page, "between the lines")
