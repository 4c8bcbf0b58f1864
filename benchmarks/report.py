"""The figures of a run as a table, for a terminal and for a page."""

import statistics
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.hubs import HUB_ROWS
from benchmarks.rows import ROWS, Row

Figures = dict[str, dict[str, list[float]]]


def medians(figures: Figures) -> dict[str, dict[str, float]]:
    """Return row → contender → median."""
    return {
        row: {name: statistics.median(values) for name, values in taken.items()}
        for row, taken in figures.items()
    }


def table(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the heading and the lines of the table: figures, then what is wanted and reached."""
    middle = medians(result["figures"])
    units = {row.name: row.unit for row in (*ROWS, *HUB_ROWS)}
    rows = {row.name: row for row in ROWS}
    names = list(dict.fromkeys(name for taken in middle.values() for name in taken))
    lines = []
    for row, taken in middle.items():
        cells = [f"{_round(taken[name])}" if name in taken else "" for name in names]
        verdicts = _verdicts(rows[row], taken) if row in rows else []
        lines.append([row, units.get(row, ""), *cells, ", ".join(verdicts)])
    return ["work", "unit", *names, "wanted of hubgate: reached"], lines


def _verdicts(row: Row, taken: Mapping[str, float]) -> list[str]:
    verdicts = [_verdict(taken, *each) for each in row.wanted.items()]
    if row.most is not None and "hubgate" in taken:
        verdicts.append(f"≤ {row.most:g}: {'✓' if taken['hubgate'] <= row.most else '✗'}")
    return verdicts


def _verdict(taken: Mapping[str, float], name: str, ratio: float) -> str:
    if name not in taken or "hubgate" not in taken:
        return f"{name} not measured"
    reached = taken["hubgate"] / taken[name]
    asked = f"1/{round(1 / ratio)}" if ratio < 1 else f"{ratio:g}"
    return f"≤ {asked} × {name}: {reached:.2f} {'✓' if reached <= ratio else '✗'}"


def _round(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def show(result: Mapping[str, Any]) -> None:
    """Print the table."""
    heading, lines = table(result)
    grid = Table(title="CPU time of the proxy's processes, memory: smaller is better")
    for name in heading:
        grid.add_column(name, justify="left" if name in ("work", heading[-1]) else "right")
    for line in lines:
        grid.add_row(*line)
    Console(width=200).print(grid)


def markdown(result: Mapping[str, Any]) -> str:
    """Return the table as Markdown."""
    heading, lines = table(result)
    rows = [heading, ["---"] * len(heading), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"
