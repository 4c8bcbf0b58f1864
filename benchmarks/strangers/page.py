"""`python -m benchmarks.strangers.page`: put the last run's figures into docs/security.md."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.catalogue import HUBGATE, ORDER
from benchmarks.page import between_marks
from benchmarks.report import markdown, rounded
from benchmarks.strangers import once, silence, slowhttptest, testssl
from benchmarks.strangers.members import MEMBERS, UNREAD
from benchmarks.strangers.results import PATH
from benchmarks.strangers.unread import CLIENTS

PAGE = Path("docs/security.md")
# A bystander's 99th percentile in milliseconds, by number of attackers; one counts as the fewest.
GOALS = {"8": 50.0, "64": 200.0}
MOST_KIB = 128.0
# Below that, growth is what any load does to a proxy that has just been started.
WORTH_SAYING_MIB = 16

Figures = Mapping[str, Any]


def main() -> None:
    """Rewrite what is between the page's marks."""
    PAGE.write_text(between_marks(PAGE.read_text(), figures_of(json.loads(PATH.read_text()))))


def figures_of(found: Figures) -> str:
    """Return all figures of a run as Markdown."""
    parts = [_about(found)]
    counts = sorted(
        {each for row in found.get("latency", {}).values() for own in row.values() for each in own},
        key=int,
    )
    for count in (each for each in counts if each in GOALS):
        parts.append(latency(found["latency"], count))
    parts += [memory(found.get("memory", {})), _sent(found), _silence(found), _slow(found)]
    parts.append(_tls(found.get(testssl.PART, {})))
    return "\n".join(part for part in parts if part)


def _about(found: Figures) -> str:
    if "machine" not in found:
        return ""
    machine = found["machine"]
    versions = ", ".join(f"{name} {value}" for name, value in found["versions"].items())
    return (
        f"Measured on {machine['date']}: {machine['cpu']}, {machine['cores']} cores, Linux"
        f" {machine['kernel']}, Python {machine['python']}; {versions}.\n"
    )


def latency(rows: Figures, count: str) -> str:
    """Return a bystander's latencies beside that many attackers, and what else was seen."""
    names, lines, said = _names(rows.values()), [], []
    for member in MEMBERS:
        key = "1" if member.one else count
        taken = {name: own[key] for name, own in rows.get(member.key, {}).items() if key in own}
        if taken:
            cells = [times(taken[name]) if name in taken else "" for name in names]
            lines.append([member.name, *cells, verdict(taken.get(HUBGATE), GOALS[count])])
            said += [f"- {name}, {member.name}: {text}\n" for name in names
                     if (text := remark(taken.get(name, {})))]  # fmt: skip
    heading = [f"beside {count} attackers", *names, f"hubgate ≤ {GOALS[count]:g} ms"]
    title = f"**A bystander's wait beside {count} attackers**, in milliseconds: median / 99th"
    return "\n".join([
        f"{title} percentile / longest.\n", markdown(heading, lines), "".join(said)
    ])  # fmt: skip


def times(figures: Figures) -> str:
    """Return the median, 99th percentile and longest; `>` before what had not ended by then."""
    if "p99" not in figures:
        return "none answered"
    asked = figures["requests"] - figures["failed"]
    unanswered = figures["unanswered"] / asked if asked else 0
    shares = (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    return " / ".join(
        f"{'> ' if unanswered and share > 1 - unanswered else ''}{rounded(figures[key])}"
        for key, share in shares
    )


def verdict(figures: Figures | None, most: float) -> str:
    """Return whether the 99th percentile reaches the goal."""
    if figures is None:
        return ""
    held = figures.get("p99", most + 1) <= most and not figures["failed"] and not figures["lost"]
    return "✓" if held else "✗"


def missed(found: Figures) -> list[str]:
    """Return hubgate's goals that it missed in a run, one line each."""
    lines = []
    for member in MEMBERS:
        own = found.get("latency", {}).get(member.key, {}).get(HUBGATE, {})
        for count, figures in own.items():
            if verdict(figures, GOALS.get(count, GOALS["8"])) == "✗":
                lines.append(f"{member.name}, {count} attackers: {times(figures)} ms")
    for member in UNREAD:
        kib = found.get("memory", {}).get(member.key, {}).get(HUBGATE, {}).get("kib", 0)
        if kib > MOST_KIB:
            lines.append(f"never read: {member.name}: {rounded(kib)} KiB per client")
    for kind in list(once.REQUESTS)[once.AGAIN_ALLOWED :]:
        if (times_sent := found.get("once", {}).get(kind, {}).get(HUBGATE, 0)) > 1:
            lines.append(f"{kind} arrived {times_sent} times")
    for row, seconds in found.get("silence", {}).items():
        if HUBGATE in seconds and seconds[HUBGATE] is None:
            lines.append(f"{row}: open after {silence.LONGEST:g} s")
    return lines


def remark(figures: Figures) -> str:
    """Return what else happened, if anything did."""
    said = []
    if figures.get("failed"):
        how = ", ".join(f"{times} {each}" for each, times in figures["how"].items())
        said.append(f"{figures['failed']} of {figures['requests']} requests failed ({how})")
    if figures.get("lost"):
        said.append(f"{figures['lost']} processes were lost")
    if figures.get("mib", 0) > WORTH_SAYING_MIB:
        said.append(f"memory grew by {figures['mib']:,.0f} MiB")
    return ", ".join(said)


def memory(rows: Figures) -> str:
    """Return the memory of clients that do not read."""
    lines = []
    names = _names(rows.values())
    for member in (each for each in UNREAD if each.key in rows):
        kib = {name: own["kib"] for name, own in rows[member.key].items()}
        cells = [rounded(max(0.0, kib[name])) if name in kib else "" for name in names]
        reached = ("✓" if kib[HUBGATE] <= MOST_KIB else "✗") if HUBGATE in kib else ""
        lines.append([member.name, *cells, reached])
    if not lines:
        return ""
    heading = ["what is never read", *names, f"hubgate ≤ {MOST_KIB:g} KiB"]
    title = f"**Memory per client that never reads**, in KiB, the most with {CLIENTS} of them."
    return f"{title}\n\n{markdown(heading, lines)}"


def _sent(found: Figures) -> str:
    def cell(times: int) -> str:
        return str(times) if times else "not tried"

    title = (
        "**How often a request without a body arrives** when the target acts on it and closes the"
        " connection, which it had used before. GET, PUT and DELETE may be sent twice (RFC 9110,"
        " 9.2.2). *Not tried*: the proxy took a new connection for it."
    )
    return _matrix(title, "request", list(once.REQUESTS), found.get("once", {}), cell)


def _silence(found: Figures) -> str:
    def cell(seconds: float | None) -> str:
        return "open" if seconds is None else f"{seconds:.0f}"

    title = (
        "**When a silent connection is closed**, in seconds after what was sent; *open*: not within"
        f" {silence.LONGEST:g}."
    )
    return _matrix(title, "port, and what was sent", silence.rows(), found.get("silence", {}), cell)


def _slow(found: Figures) -> str:
    title = (
        "**slowhttptest** (`make slowhttptest`), with"
        f" {slowhttptest.CONNECTIONS:,} connections: whether its own probe, with a limit of 3 s,"
        " was served meanwhile, and what became of the connections."
    )
    rows = found.get(slowhttptest.PART, {})
    named = {mode.name: rows[flag] for flag, mode in slowhttptest.MODES.items() if flag in rows}
    return _matrix(title, "mode", list(named), named, slowhttptest.in_words)


def _tls(ports: Figures) -> str:
    if not ports:
        return ""
    lines = ["**testssl.sh** (`make testssl`), of hubgate's own ports:\n\n"]
    for port, taken in ports.items():
        said = taken[HUBGATE]
        lines.append(f"- {port}: {testssl.in_words(said)}\n")
        lines += [f"  - {finding}\n" for finding in said["findings"]]
    return "".join(lines)


def _matrix(
    title: str, heading: str, order: Sequence[str], rows: Figures, cell: Callable[[Any], str]
) -> str:
    names = _names(rows.values())
    lines = [
        [row, *(cell(rows[row][name]) if name in rows[row] else "" for name in names)]
        for row in order
        if row in rows
    ]
    return f"{title}\n\n{markdown([heading, *names], lines)}" if lines else ""


def _names(rows: Iterable[Figures]) -> list[str]:
    found = {name for row in rows for name in row}
    return [name for name in ORDER if name in found]


if __name__ == "__main__":
    main()
