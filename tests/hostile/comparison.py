"""Writes two proxies' results side by side into a page, between its two marks.

python -m tests.hostile.comparison HUBGATE.json OTHER.json PAGE.md
"""

import json
import sys
from collections import Counter
from pathlib import Path

from tests.hostile.finding import Finding

Results = dict[str, dict[str, tuple[str, str]]]

BEGIN, END = "<!-- comparison: begin -->\n", "<!-- comparison: end -->\n"

_NAMED = 12
"""How many messages of one kind are named."""

_BAD = (Finding.HIDDEN, Finding.AMBIGUOUS, Finding.PASSED, Finding.OWN, Finding.OTHERS)


def kinds(topic: dict[str, tuple[str, str]]) -> Counter[Finding]:
    """Count a topic's findings."""
    return Counter(Finding[name] for name, _ in topic.values())


def table(ours: Results, theirs: Results) -> list[str]:
    """Return the table: a line for each topic, and the sums."""
    lines = [
        "| topic | messages | hubgate, as required | CHP, as required | refused otherwise "
        "| left hanging | passed on wrongly | request behind | client misled |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    totals: Counter[str] = Counter()
    for topic, found in theirs.items():
        row = _row(kinds(ours[topic]), kinds(found), len(found))
        totals.update(row)
        lines.append(f"| {topic} | " + " | ".join(map(str, row.values())) + " |")
    lines.append("| **all** | " + " | ".join(f"**{value}**" for value in totals.values()) + " |")
    return lines


def _row(ours: Counter[Finding], theirs: Counter[Finding], size: int) -> dict[str, int]:
    return {
        "messages": size,
        "hubgate": ours[Finding.RIGHT],
        "chp": theirs[Finding.RIGHT],
        "refused": theirs[Finding.REFUSED],
        "hung": theirs[Finding.HUNG],
        "passed": theirs[Finding.PASSED] + theirs[Finding.AMBIGUOUS],
        "hidden": theirs[Finding.HIDDEN],
        "misled": theirs[Finding.OWN] + theirs[Finding.OTHERS],
    }


def list_of_bad(theirs: Results) -> list[str]:
    """Return the messages that CHP let do what they were meant to do."""
    lines = []
    for topic, found in theirs.items():
        for kind in _BAD:
            names = [name for name, (finding, _) in found.items() if finding == kind.name]
            if names:
                more = f"; and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
                lines.append(f"- **{topic}**, {kind.value}: {'; '.join(names[:_NAMED])}{more}.")
    return lines


def write(page: Path, ours: Results, theirs: Results) -> None:
    """Replace what stands between the page's marks."""
    before, mark, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise SystemExit(f"{page}: the lines {BEGIN.strip()} and {END.strip()} are missing")
    text = "\n".join([*table(ours, theirs), "", "By name:", "", *list_of_bad(theirs), ""])
    page.write_text(before + BEGIN + "\n" + text + "\n" + END + after)


if __name__ == "__main__":
    first, second, target = map(Path, sys.argv[1:])
    write(target, json.loads(first.read_text()), json.loads(second.read_text()))
