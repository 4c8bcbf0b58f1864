"""What the runs said, side by side: which tests pass behind CHP and not behind hubgate."""

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Outcome(Enum):
    """How one test ended; a later member is worse."""

    PASSED = "passed"
    SKIPPED = "skipped"
    FAILED = "failed"


Outcomes = Mapping[str, Outcome]

SEVERITY = tuple(Outcome)


def read(report: Path) -> dict[str, Outcome]:
    """Return the outcome of every test in a JUnit file; a file that is not there has none.

    A test whose call and teardown both failed stands there twice: the worst counts.
    """
    found: dict[str, Outcome] = {}
    if not report.exists():
        return found
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.attrib["name"]
        found[name] = max(found.get(name, Outcome.PASSED), outcome(case), key=SEVERITY.index)
    return found


def outcome(case: ElementTree.Element) -> Outcome:
    if case.find("failure") is not None or case.find("error") is not None:
        return Outcome.FAILED
    return Outcome.PASSED if case.find("skipped") is None else Outcome.SKIPPED


def failed(outcomes: Outcomes) -> list[str]:
    """Return the names of the tests that failed."""
    return [name for name, ended in outcomes.items() if ended is Outcome.FAILED]


def last(attempts: Iterable[Outcomes]) -> dict[str, Outcome]:
    """Return how each test ended when it was last tried."""
    return {name: ended for outcomes in attempts for name, ended in outcomes.items()}


@dataclass(frozen=True)
class Row:
    """One file of tests behind both proxies."""

    name: str
    chp: Outcomes
    hubgate: Outcomes

    def regressions(self) -> list[str]:
        """Return the tests that pass with CHP and do not pass with hubgate."""
        return passes_only(self.chp, self.hubgate)

    def improvements(self) -> list[str]:
        """Return the tests that pass with hubgate and do not pass with CHP."""
        return passes_only(self.hubgate, self.chp)


def passes_only(one: Outcomes, other: Outcomes) -> list[str]:
    return [
        name
        for name, ended in one.items()
        if ended is Outcome.PASSED and other.get(name) is not Outcome.PASSED
    ]


def table(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the lines of a Markdown report: counts for each file, then every difference."""
    yield "| file | CHP | hubgate | passes with CHP only |"
    yield "| --- | --- | --- | --- |"
    differences: list[str] = []
    for row in rows:
        worse = row.regressions()
        yield f"| {row.name} | {counts(row.chp)} | {counts(row.hubgate)} | {len(worse)} |"
        differences += [f"- with CHP only: {row.name}::{name}" for name in worse]
        differences += [f"- with hubgate only: {row.name}::{name}" for name in row.improvements()]
    yield ""
    yield from differences


def counts(outcomes: Outcomes) -> str:
    """Return how many tests ended in which way, in words."""
    found = Counter(outcomes.values())
    return ", ".join(f"{found[kind]} {kind.value}" for kind in Outcome if found[kind]) or "not run"
