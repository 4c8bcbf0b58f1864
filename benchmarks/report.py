"""A run's figures as a table, for a terminal and for a page."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.catalogue import HUBGATE, ORDER, ROWS, Row, Wanted

Medians = Mapping[str, Mapping[str, float]]


def medians(figures: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, dict[str, float]]:
    """Return row → contender → median."""
    return {
        row: {name: statistics.median(values) for name, values in taken.items() if values}
        for row, taken in figures.items()
    }


def table(result: Mapping[str, Any], rows: Iterable[Row]) -> tuple[list[str], list[list[str]]]:
    """Return the heading and the lines of these rows: figures, goals, and what was reached."""
    rows = [row for row in rows if row.key in result["figures"]]
    middle = medians(result["figures"])
    names = contenders_of(middle, rows)
    lines = []
    for row in rows:
        taken = middle[row.key]
        cells = [rounded(taken[name]) if name in taken else "" for name in names]
        found = verdicts(row, middle)
        wanted = ", ".join(each.wanted for each in found)
        reached = ", ".join(each.reached for each in found)
        lines.append([row.title(result["scale"]), row.unit, *cells, wanted, reached])
    return ["work", "unit", *names, "goal for hubgate", "reached"], lines


def contenders_of(middle: Medians, rows: Iterable[Row]) -> list[str]:
    """Return the contenders that have figures in these rows."""
    found = {name for row in rows for name in middle.get(row.key, {})}
    return [name for name in ORDER if name in found]


def remarks(result: Mapping[str, Any], rows: Iterable[Row]) -> list[str]:
    """Return the remarks on the figures of these rows, a line per row."""
    lines = []
    for row in rows:
        noted = result.get("notes", {}).get(row.key, {})
        said = [f"{name} {', '.join(texts)}" for name, texts in noted.items()]
        if said:
            lines.append(f"{row.title(result['scale'])}: {'; '.join(said)}")
    return lines


@dataclass(frozen=True)
class Verdict:
    """The goal, what was reached, and whether that is enough (None: not measured)."""

    wanted: str
    reached: str
    enough: bool | None


def verdicts(row: Row, middle: Medians) -> list[Verdict]:
    """Return hubgate's goals in this row, each with what was reached."""
    own = middle.get(row.key, {}).get(HUBGATE)
    found = [_verdict(own, row, wanted, middle) for wanted in row.wanted]
    if row.most is not None:
        enough = None if own is None else own <= row.most
        reached = "" if own is None else f"{rounded(own)} "
        found.append(Verdict(f"≤ {row.most:g} {row.unit}", reached + mark(enough), enough))
    return found


def _verdict(own: float | None, row: Row, wanted: Wanted, middle: Medians) -> Verdict:
    asked = f"≤ {fraction(wanted.ratio)} × {wanted.of}"
    ratio = None if own is None else ratio_to(own, row, wanted, middle)
    if ratio is None:
        return Verdict(asked, mark(None), None)
    enough = ratio <= wanted.ratio
    return Verdict(asked, f"{ratio:.2f} {mark(enough)}", enough)


def fraction(ratio: float) -> str:
    """Return 1/6 for a sixth, 1.1 for 1.1."""
    return f"1/{round(1 / ratio)}" if ratio < 1 else f"{ratio:g}"


def ratio_to(own: float, row: Row, wanted: Wanted, middle: Medians) -> float | None:
    """Return the ratio of hubgate's figure to the one it is compared with, or None without one."""
    if wanted.row:
        other = middle.get(wanted.row, {}).get(wanted.whose)
    else:
        other = middle.get(row.key, {}).get(wanted.of)
    return own / other if other else None


def mark(enough: bool | None) -> str:
    """Return a tick or a cross."""
    return "not measured" if enough is None else "✓" if enough else "✗"


def rounded(value: float) -> str:
    """Return a figure rounded to about three digits."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


def spread(result: Mapping[str, Any]) -> float | None:
    """Return the median spread of a figure between rounds, as a share of the figure's median."""
    shares = [
        (max(values) - min(values)) / statistics.median(values)
        for taken in result["figures"].values()
        for values in taken.values()
        if len(values) > 2 and statistics.median(values) > 0
    ]
    return statistics.median(shares) if shares else None


def show(result: Mapping[str, Any]) -> None:
    """Print the table and the remarks on it."""
    heading, lines = table(result, ROWS.values())
    grid = Table(title="CPU time, memory, latency: smaller is better")
    for name in heading:
        left = name in ("work", "reached", "goal for hubgate")
        grid.add_column(name, justify="left" if left else "right")
    for line in lines:
        grid.add_row(*line)
    console = Console(width=200)
    console.print(grid)
    for line in remarks(result, ROWS.values()):
        console.print(line, highlight=False, markup=False)


def markdown(heading: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    rows = [heading, ["---"] * len(heading), *lines]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n"
                   for row in rows)  # fmt: skip
