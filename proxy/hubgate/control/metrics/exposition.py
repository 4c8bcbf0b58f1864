"""The Prometheus text format, for names that prometheus-client would change.

It requires a `_total` suffix on every counter, and CHP's have none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]
Samples = Mapping[tuple[str, Labels], float]


@dataclass(frozen=True, slots=True)
class Family:
    """A metric: its kind in Prometheus's terms, and the label it is split by, if any."""

    name: str
    kind: str
    text: str
    label: str | None = None


def exposed(families: Iterable[tuple[Family, Samples]]) -> str:
    """Return metrics as text; a sample's key is the suffix to its family's name, and its labels."""
    lines: list[str] = []
    for family, samples in families:
        lines.append(f"# HELP {family.name} {family.text}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        for (suffix, labels), value in sorted(samples.items()):
            shown = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels)
            braces = f"{{{shown}}}" if shown else ""
            lines.append(f"{family.name}{suffix}{braces} {_number(value)}")
    return "".join(f"{line}\n" for line in lines)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    whole = int(value)
    return str(whole) if whole == value else repr(float(value))
