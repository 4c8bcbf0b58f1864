"""Nothing that was measured is lost, whatever happens next."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.machine import number_in
from benchmarks.record import Record
from benchmarks.scale import FULL


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bench" / "results.json"


@pytest.fixture
def record(path: Path) -> Record:
    return Record({"scale": asdict(FULL)}, path)


def test_every_figure_is_on_the_disk_at_once(record: Record, path: Path) -> None:
    record.add("small", "CHP", 1.0)
    assert json.loads(path.read_text())["figures"] == {"small": {"CHP": [1.0]}}
    record.add("small", "CHP", 2.0)
    assert json.loads(path.read_text())["figures"] == {"small": {"CHP": [1.0, 2.0]}}


def test_a_failure_costs_its_rows_alone(record: Record, path: Path) -> None:
    with record.attempt(["list", "p99-list"], "CHP"):
        record.add("list", "CHP", 1.0)
        raise RuntimeError("out of order\nat length")
    said = ["failed: RuntimeError: out of order"]
    result = json.loads(path.read_text())
    assert result["notes"] == {"list": {"CHP": said}, "p99-list": {"CHP": said}}
    assert result["figures"] == {"list": {"CHP": [1.0]}}


def test_a_stop_is_no_failure(record: Record) -> None:
    with pytest.raises(KeyboardInterrupt), record.attempt(["list"], "CHP"):
        raise KeyboardInterrupt
    assert record.result["notes"] == {}


def test_a_remark_is_made_once(record: Record) -> None:
    for _ in range(2):
        record.note("list", "CHP", "slow")
    assert record.result["notes"] == {"list": {"CHP": ["slow"]}}


def test_rows_measured_anew_replace_the_earlier_ones(record: Record) -> None:
    earlier = {"figures": {"small": {"CHP": [9.0]}, "page": {"CHP": [8.0]}}, "notes": {}}
    record.go_on_from(earlier)
    record.forget(["small"])
    record.add("small", "CHP", 1.0)
    assert record.result["figures"] == {"small": {"CHP": [1.0]}, "page": {"CHP": [8.0]}}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("nginx version: nginx/1.22.1", "1.22.1"),
        ("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/", "2.6.12"),
        ("v20.20.2", "20.20.2"),
        ("nothing", "unknown"),
    ],
)
def test_versions_are_found_in_what_programs_say(text: str, number: str) -> None:
    assert number_in(text) == number
