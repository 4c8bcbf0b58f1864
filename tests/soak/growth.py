"""What a proxy's processes use, and whether that has grown."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from tests.system.served import Served

SETTLED = 300.0
"""From when on nothing may grow, in seconds from the start."""
LONG = 600.0
"""A run of this many seconds or more is long enough to be held to the stricter bound."""
_WINDOW = 60.0
_GROWTH, _GROWTH_OF_SHORT, _LEFT_BEHIND = 1.05, 1.10, 1.10


@dataclass(frozen=True)
class Use:
    """Memory in KiB, shared pages in proportion, and open descriptors, of all processes."""

    memory: float
    descriptors: float

    def __str__(self) -> str:
        return f"{self.memory / 1024:.1f} MiB, {self.descriptors:.0f} descriptors"


def use(served: Served) -> Use:
    """Return what supervisor and workers use together."""
    processes = [served.process, *served.workers]
    memory = sum(each.memory_full_info().pss for each in processes) // 1024
    return Use(memory, served.descriptors)


@dataclass(frozen=True)
class Look:
    """What was used when, in seconds from the start."""

    after: float
    use: Use


def windows(looks: Sequence[Look], seconds: float) -> list[Use]:
    """Return means over windows of a minute: who is there at one moment is chance.

    A run of less than LONG `seconds` is divided into eight windows, of which the first two are
    left out; a longer one begins when it has SETTLED.
    """
    length, start = (_WINDOW, SETTLED) if seconds >= LONG else (seconds / 8, seconds / 4)
    kinds: dict[int, list[Use]] = {}
    for look in looks:
        if start <= look.after <= seconds:
            kinds.setdefault(int((look.after - start) // length), []).append(look.use)
    # The last one may be only a moment.
    full = [uses for _, uses in sorted(kinds.items()) if 2 * len(uses) >= len(kinds[0])]
    return [_mean(uses) for uses in full]


def _mean(uses: Sequence[Use]) -> Use:
    return Use(fmean(each.memory for each in uses), fmean(each.descriptors for each in uses))


def grown(looks: Sequence[Look], seconds: float) -> list[str]:
    """Return what used more in some later window than it may: 5 % more than in the first one.

    A run of less than LONG seconds has hardly settled: 10 %.
    """
    first, *later = windows(looks, seconds)
    allowed = _GROWTH if seconds >= LONG else _GROWTH_OF_SHORT
    most = Use(
        max((each.memory for each in later), default=0),
        max((each.descriptors for each in later), default=0),
    )
    wrong = []
    if most.memory > first.memory * allowed:
        wrong.append(f"memory went from {first} to {most}")
    if most.descriptors > first.descriptors * allowed:
        wrong.append(f"descriptors went from {first} to {most}")
    return wrong


def is_back(before: Use, left: Use) -> bool:
    """Return whether `left`, what is used when all have left, is what was used `before`.

    All descriptors must be closed; of the memory, 10 % more may be in use.
    """
    return left.descriptors <= before.descriptors and left.memory <= before.memory * _LEFT_BEHIND
