"""A run's figures as pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.catalogue import HUBGATE, ROWS, TRAFFIC
from benchmarks.report import Medians, contenders_of, medians, rounded

COLOURS = {
    HUBGATE: "#d95f02",
    "CHP": "#7570b3",
    "Caddy": "#66a61e",
    "nginx": "#1b9e77",
    "HAProxy": "#a6a6a6",
}
WIDTH = 9.0
RESOLUTION = 100
REQUESTS = tuple(row.key for row in TRAFFIC if row.unit == "µs")


def draw_all(result: Mapping[str, Any], folder: Path) -> None:
    """Draw every picture that has figures."""
    middle, scale = medians(result["figures"]), result["scale"]
    pictures = {
        "requests": (_requests, 6.5),
        "ratio": (_ratio, 5.0),
        "tunnels": (_tunnels, 3.4),
        "routes": (_routes, 3.8),
        "workers": (_workers, 2.4),
    }
    for name, (draw, height) in pictures.items():
        figure = plt.figure(figsize=(WIDTH, height), layout="constrained")
        if draw(figure, middle, scale):
            _legend(figure)
            figure.savefig(folder / f"{name}.png", dpi=RESOLUTION)
        plt.close(figure)


def _requests(figure: Any, middle: Medians, scale: Mapping[str, Any]) -> bool:
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_xlabel("CPU µs per unit, logarithmic: shorter is better")
    return _bars(axes, middle, REQUESTS, scale)


def _ratio(figure: Any, middle: Medians, scale: Mapping[str, Any]) -> bool:
    axes = figure.subplots()
    keys = [row.key for row in TRAFFIC if {HUBGATE, "CHP"} <= middle.get(row.key, {}).keys()]
    shares = [middle[key][HUBGATE] / middle[key]["CHP"] for key in keys]
    bars = axes.barh(range(len(keys)), shares, 0.6, color=COLOURS[HUBGATE])
    axes.bar_label(bars, [f"{share:.2f}" for share in shares], padding=6)
    aims = [
        (place, wanted.ratio)
        for place, key in enumerate(keys)
        for wanted in ROWS[key].wanted
        if wanted.of == "CHP"
    ]
    places, ratios = zip(*aims, strict=True) if aims else ((), ())
    axes.plot(ratios, places, "|", color="black", markersize=17, mew=2, label="goal: at most")
    axes.axvline(1, color=COLOURS["CHP"], label="CHP")
    axes.set_yticks(range(len(keys)), [_title(key, scale) for key in keys])
    axes.set_xlim(0, max([1.0, *shares]) * 1.1)
    axes.set_xlabel("hubgate's CPU time as a share of CHP's")
    _finish(axes)
    return bool(keys)


def _tunnels(figure: Any, middle: Medians, scale: Mapping[str, Any]) -> bool:
    left, right = figure.subplots(1, 2)
    left.set_xlabel("KiB, logarithmic")
    left.set_xscale("log")
    right.set_xlabel("ms, logarithmic")
    right.set_xscale("log")
    memory = {
        "memory-connection": "keep-alive\nconnection",
        "memory-tunnel": "tunnel",
        "memory-tunnels": f"tunnel, of\n{scale['tunnels']:,}",
    }
    latency = {
        "p99-alone": "p99 of a GET,\nalone",
        "p99-crowd": f"beside {scale['crowd_tunnels']:,}\nidle tunnels and\n"
        f"{scale['crowd_heads']:,} slow heads",
    }
    left.set_title("memory of one more, idle", fontsize="medium")
    right.set_title("latency", fontsize="medium")
    drawn = _bars(left, middle, tuple(memory), scale, memory)
    return _bars(right, middle, tuple(latency), scale, latency) or drawn


def _routes(figure: Any, middle: Medians, scale: Mapping[str, Any]) -> bool:
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        axes.set_xlabel("ms, logarithmic")
        axes.set_xscale("log")
    changes = {
        "add-1": "add a route",
        "add-50": "add, 50 at a time",
        "remove-1": "remove a route",
        "remove-50": "remove,\n50 at a time",
    }
    large = {
        "list": "list all",
        "p99-table": "p99 of a GET",
        "p99-list": "p99 of a GET\nduring listing",
        "replaced-many": "worker killed:\nfirst response",
    }
    left.set_title("changes", fontsize="medium")
    right.set_title(f"with {scale['routes']:,} routes", fontsize="medium")
    drawn = _bars(left, middle, tuple(changes), scale, changes)
    return _bars(right, middle, tuple(large), scale, large) or drawn


def _workers(figure: Any, middle: Medians, scale: Mapping[str, Any]) -> bool:
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        axes.set_xlabel("CPU µs per small GET")
    workers = {f"workers-{count}": f"{count} worker{'s'[: count - 1]}" for count in (1, 2, 4)}
    options = {"plain": "plain", "metrics": "metrics scraped", "access-log": "access logs"}
    left.set_title("workers on one core", fontsize="medium")
    right.set_title("options", fontsize="medium")
    drawn = _bars(left, middle, tuple(workers), scale, workers)
    return _bars(right, middle, tuple(options), scale, options) or drawn


def _bars(
    axes: Axes,
    middle: Medians,
    keys: Sequence[str],
    scale: Mapping[str, Any],
    titles: Mapping[str, str] | None = None,
) -> bool:
    """Draw a group of bars per row, one bar per contender; return whether there are any."""
    keys = [key for key in keys if middle.get(key)]
    names = contenders_of(middle, [ROWS[key] for key in keys])
    height = 0.8 / max(1, len(names))
    for index, name in enumerate(names):
        here = [(place, middle[key][name]) for place, key in enumerate(keys) if name in middle[key]]
        bars = axes.barh(
            [place + (index - (len(names) - 1) / 2) * height for place, _ in here],
            [value for _, value in here],
            height,
            label=name,
            color=COLOURS.get(name, "#444444"),
        )
        axes.bar_label(bars, [rounded(value) for _, value in here], padding=2, fontsize=7)
    shown = [titles[key] if titles else _title(key, scale) for key in keys]
    axes.set_yticks(range(len(keys)), shown)
    axes.margins(x=0.12)
    _finish(axes)
    return bool(keys)


def _finish(axes: Axes) -> None:
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)


def _legend(figure: Any) -> None:
    """Put a legend of the colours above the whole picture."""
    known = [axes.get_legend_handles_labels() for axes in figure.axes]
    shown = {
        label: handle
        for handles, labels in known
        for handle, label in zip(handles, labels, strict=True)
    }
    if len(shown) > 1:
        figure.legend(
            shown.values(), shown.keys(), loc="outside upper center", ncols=5, frameon=False
        )


def _title(key: str, scale: Mapping[str, Any]) -> str:
    """Return a row's name, wrapped for an axis."""
    words, lines = ROWS[key].title(scale).split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > 30:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
