"""`python -m benchmarks.page`: the last run as docs/benchmarks.md and its pictures."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from benchmarks.report import markdown, medians
from benchmarks.rows import ROWS

RESULTS = Path("build/bench/results.json")
PAGE = Path("docs/benchmarks.md")
PICTURES = Path("docs/pictures")
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
COLOURS = {"hubgate": "#d95f02", "CHP": "#7570b3", "Caddy": "#66a61e", "nginx": "#1b9e77"}


def main() -> None:
    """Put the figures between the page's two marks, and draw them."""
    result = json.loads(RESULTS.read_text())
    PICTURES.mkdir(parents=True, exist_ok=True)
    _draw(result, "requests", [row.name for row in ROWS if row.unit == "µs"], "CPU µs, log scale")
    text = PAGE.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n{_figures(result)}{END}{tail}")


def _figures(result: Mapping[str, Any]) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    versions = "\n".join(f"- {name}: {value}" for name, value in result["versions"].items())
    return (
        f"Median of {result['rounds']} rounds of {result['seconds']:g} s for a figure, contenders"
        f" interleaved; {machine}.\n\n{markdown(result)}\n"
        f"![CPU time for each kind of work](pictures/requests.png)\n\nVersions:\n\n{versions}\n"
    )


def _draw(result: Mapping[str, Any], name: str, rows: list[str], label: str) -> None:
    middle = medians(result["figures"])
    rows = [row for row in rows if row in middle]
    names = list(dict.fromkeys(each for row in rows for each in middle[row]))
    figure, axes = plt.subplots(figsize=(10, 1 + 0.8 * len(rows)))
    height = 0.8 / len(names)
    for index, contender in enumerate(names):
        places = [place + index * height for place in range(len(rows))]
        values = [middle[row].get(contender, 0) for row in rows]
        axes.barh(places, values, height, label=contender, color=COLOURS.get(contender, "#999999"))
    axes.set_yticks([place + 0.4 - height / 2 for place in range(len(rows))], rows)
    axes.set_xscale("log")
    axes.set_xlabel(label)
    axes.invert_yaxis()
    axes.legend()
    figure.tight_layout()
    figure.savefig(PICTURES / f"{name}.png", dpi=110)


if __name__ == "__main__":
    main()
