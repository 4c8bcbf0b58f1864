"""The comparison says so when hubgate is behind CHP, whichever way it is."""

from pathlib import Path

import pytest

from tests.jupyterhub_suite import results
from tests.jupyterhub_suite.results import Outcome, Row

PASSED, SKIPPED, FAILED = Outcome.PASSED, Outcome.SKIPPED, Outcome.FAILED

REPORT = """<?xml version="1.0"?><testsuites><testsuite>
<testcase name="test_good"/>
<testcase name="test_bad"><failure message="no"/></testcase>
<testcase name="test_left_out"><skipped message="no subdomains"/></testcase>
<testcase name="test_bad_at_its_end"/>
<testcase name="test_bad_at_its_end"><error message="teardown"/></testcase>
</testsuite></testsuites>"""


def test_a_report_gives_each_tests_worst_outcome(tmp_path: Path) -> None:
    report = tmp_path / "0.xml"
    report.write_text(REPORT)
    assert results.read(report) == {
        "test_good": PASSED,
        "test_bad": FAILED,
        "test_left_out": SKIPPED,
        "test_bad_at_its_end": FAILED,
    }


def test_a_run_that_was_killed_has_no_outcomes(tmp_path: Path) -> None:
    assert results.read(tmp_path / "none.xml") == {}
    assert results.counts({}) == "not run"


@pytest.mark.parametrize("hubgate", [{"test": FAILED}, {"test": SKIPPED}, {}])
def test_what_passes_with_chp_only_is_a_regression(hubgate: dict[str, Outcome]) -> None:
    row = Row("file", {"test": PASSED}, hubgate)
    assert row.regressions() == ["test"]
    assert row.improvements() == []
    assert any("- with CHP only: file::test" in line for line in results.table([row]))


@pytest.mark.parametrize("chp", [{"test": FAILED}, {"test": SKIPPED}, {}])
def test_what_does_not_pass_with_chp_is_none(chp: dict[str, Outcome]) -> None:
    assert Row("file", chp, {"test": FAILED}).regressions() == []
    assert Row("file", chp, {"test": PASSED}).improvements() == ["test"]


def test_the_last_attempt_counts() -> None:
    attempts = [{"one": PASSED, "two": FAILED, "three": FAILED}, {"two": PASSED, "three": FAILED}]
    assert results.last(attempts) == {"one": PASSED, "two": PASSED, "three": FAILED}
