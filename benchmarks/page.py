"""`python -m benchmarks.page`: put the last run's figures and pictures into docs/."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.catalogue import (
    HUBGATE,
    LATENCY,
    MEMORY,
    OPTIONS,
    ROWS,
    TABLES,
    TRAFFIC,
    Row,
)
from benchmarks.record import PATH
from benchmarks.report import markdown, medians, remarks, rounded, spread, table, verdicts

BENCHMARKS = Path("docs/benchmarks.md")
PERFORMANCE = Path("docs/performance.md")
PICTURES = Path("docs/pictures")
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
SECTIONS = (
    ("Traffic", TRAFFIC, "CPU time of the proxy's processes per unit of work.",
     ("requests.png", "ratio.png")),
    ("Options and workers", OPTIONS, "", ("workers.png",)),
    ("Memory", MEMORY, "Proportional set size of all the proxy's processes, freshly started; the"
     " kernel's memory for sockets is not included.", ("tunnels.png",)),
    ("Latency", LATENCY, "One client on one kept-alive connection.", ()),
    ("Routes", TABLES, "", ("routes.png",)),
)  # fmt: skip
PICTURED = {
    "requests.png": "CPU time for each kind of work",
    "ratio.png": "hubgate's CPU time as a share of CHP's",
    "workers.png": "CPU time for a request by number of workers",
    "tunnels.png": "Memory of idle tunnels, and latency beside them",
    "routes.png": "Changing and listing routes",
}
# The costs that an operator plans with.
COSTS = (
    "small", "many", "page", "connect", "upload", "download", "ws-small", "ws-large", "tls",
    "down", "routes-many", "memory-base", "memory-worker", "memory-connection", "memory-tunnel",
    "memory-route", "replaced", "replaced-many",
)  # fmt: skip


def main() -> None:
    """Put the figures between the pages' marks, and draw the pictures."""
    # Imported here, so that the text can be made without matplotlib.
    from benchmarks.plots import draw_all

    result = json.loads(PATH.read_text())
    PICTURES.mkdir(parents=True, exist_ok=True)
    draw_all(result, PICTURES)
    for page, figures in ((BENCHMARKS, figures_of(result)), (PERFORMANCE, costs_of(result))):
        page.write_text(between_marks(page.read_text(), figures))


def between_marks(text: str, figures: str) -> str:
    """Return a page's text with `figures` between its two marks; raise ValueError without them."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} and {END}")
    return f"{head}{BEGIN}\n{figures}{END}{tail}"


def figures_of(result: Mapping[str, Any]) -> str:
    """Return all figures as Markdown."""
    parts = [_about(result)]
    for title, rows, about, pictures in SECTIONS:
        heading, lines = table(result, rows)
        if lines:
            parts.append(f"### {title}\n\n" + (f"{about}\n\n" if about else ""))
            parts.append(markdown(heading, lines) + "\n")
            said = remarks(result, rows)
            parts.append("".join(f"- {line}\n" for line in said) + ("\n" if said else ""))
            parts += [f"![{PICTURED[name]}](pictures/{name})\n\n" for name in pictures]
            parts.append(_cores(result) if rows is TRAFFIC else "")
    return "".join(parts)


def _about(result: Mapping[str, Any]) -> str:
    scale, machine = result["scale"], result["machine"]
    versions = ", ".join(f"{name} {value}" for name, value in result["versions"].items())
    found = [each for row in ROWS.values() for each in verdicts(row, medians(result["figures"]))]
    reached, known = (sum(each.enough is not None for each in found if each.enough is not value)
                      for value in (False, None))  # fmt: skip
    apart = spread(result)
    noise = f" Half of all figures vary by less than {apart:.0%} between rounds." if apart else ""
    return (
        f"Measured on {machine['date']}: {machine['cpu']}, {machine['cores']} cores, Linux"
        f" {machine['kernel']}, Python {machine['python']}; {versions}. Median of"
        f" {_rounds(result)} rounds, {scale['seconds']:g} s per traffic figure.{noise}"
        f" Of {known} figures with a goal, {reached} reach it.\n\n"
    )


def _rounds(result: Mapping[str, Any]) -> int:
    """Return how many times each traffic figure was measured, at least."""
    rows = [result["figures"].get(row.key, {}) for row in TRAFFIC]
    return min((len(values) for taken in rows for values in taken.values()), default=0)


def _cores(result: Mapping[str, Any]) -> str:
    """Return how busy the cores were during small GETs."""
    taken = result.get("cores", {}).get("small", {})
    lines = [
        [name, *(_middle(values, part, form) for part, form in _CORES)]
        for name, values in taken.items()
    ]
    if not lines:
        return ""
    heading = ["small GET, 32 connections", "requests/s", "proxy's core busy", "load's core busy"]
    return markdown(heading, lines) + "\n"


_CORES = (("per_second", "{:,.0f}"), ("proxy", "{:.0%}"), ("load", "{:.0%}"))


def _middle(values: Sequence[Mapping[str, float]], part: str, form: str) -> str:
    return form.format(statistics.median(each[part] for each in values))


def costs_of(result: Mapping[str, Any]) -> str:
    """Return what hubgate's worker costs as Markdown."""
    middle = medians(result["figures"])
    lines = [
        _cost(ROWS[key], middle[key][HUBGATE], result)
        for key in COSTS
        if HUBGATE in middle.get(key, {})
    ]
    machine = result["machine"]
    return (
        markdown(["what", "cost"], lines)
        + f"\n{machine['cpu']}, Python {machine['python']}, hubgate"
        f" {result['versions'].get(HUBGATE, '')}, {machine['date']}.\n"
    )


def _cost(row: Row, value: float, result: Mapping[str, Any]) -> list[str]:
    kind = " of CPU" if row in TRAFFIC or row.unit == "µs" else ""
    return [row.title(result["scale"]), f"{rounded(value)} {row.unit}{kind}"]


if __name__ == "__main__":
    main()
