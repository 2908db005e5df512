"""
How many decisions a second are wanted at the two doors
=======================================================
For each load: what the mail servers do, who is asked, and what ratio is wanted. No measuring here:
`doors.py` makes the samples, `judged` turns them into the rows of a table.

G10: eight times as many as postgrey, for new triplets and for known ones.

G11: 0.8 times as many as milter-greylist, for new ones. That one is a C program with a thread a
connection, and mostly not at hand. In the run from which the goal comes postgrey was measured, too:
milter-greylist decided 4.86 times as fast for new triplets, and 10.4 times for known ones. So our
milter door is compared with postgrey, which both runs have, and 0.8 x 4.86 = 3.9 is wanted.

greylistd (all in memory, no log, no disk) was 8.8 and 10.1 times as fast as postgrey in that run:
the rows of G10 say how that compares.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "proxy"))

from door_targets import MILTER, MILTER_GREYLIST, OURS, POLICY, POSTGREY
from goal_list import Row

USUAL = 8  # connections, as in the run from which the goals come


@dataclass(frozen=True, slots=True)
class Shape:
    """What the mail servers do; options as door_load.c has them."""

    protocol: str
    mode: str
    connections: int = USUAL
    options: tuple[str, ...] = ()

    def command(self) -> tuple[str, ...]:
        return ("-m", self.mode, "-c", str(self.connections), *self.options)


SHAPES = {
    "policy new": Shape(POLICY, "new"),
    "policy known": Shape(POLICY, "known"),
    "policy new 1": Shape(POLICY, "new", connections=1),
    # The first two are those of the run from which the goal comes.
    "milter new": Shape(MILTER, "new", options=("-s",)),
    "milter known": Shape(MILTER, "known", options=("-s",)),
    "milter new postfix": Shape(MILTER, "new"),
    "milter known postfix": Shape(MILTER, "known"),
    "milter new single": Shape(MILTER, "new", options=("-k", "1")),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One run against one target. elsewhere: processors that others were busy with meanwhile."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_s_per_1000: float
    elsewhere: float = 0.0


Samples = Mapping[str, Mapping[str, Sequence[Sample]]]  # shape -> target -> one a round


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours in one load, divided by the peer's in another of the same round, is to be at least
    `ratio`; 0: it is only told."""

    goal: str
    shape: str
    peer: str
    ratio: float
    peer_shape: str = ""
    note: str = ""


COMPARISONS = [
    Comparison("G10", "policy new", POSTGREY, 8, note="greylistd: 8.8"),
    Comparison("G10", "policy known", POSTGREY, 8, note="greylistd: 10.1"),
    Comparison("", "policy new 1", POSTGREY, 0),
    Comparison("G11", "milter new", MILTER_GREYLIST, 0.8),
    Comparison("G11", "milter new", POSTGREY, 3.9, "policy new", note="milter-greylist: 4.86"),
    Comparison("", "milter known", POSTGREY, 0, "policy known", note="milter-greylist: 10.4"),
    Comparison("", "milter new postfix", POSTGREY, 0, "policy new"),
    Comparison("", "milter known postfix", POSTGREY, 0, "policy known"),
    Comparison("", "milter new single", POSTGREY, 0, "policy new"),
]


def judged(samples: Samples) -> list[Row]:
    """A row for each comparison whose load was measured."""
    return [row for one in COMPARISONS for row in _compared(one, samples)]


def _compared(one: Comparison, samples: Samples) -> Iterator[Row]:
    ours = samples.get(one.shape, {}).get(OURS, ())
    theirs = samples.get(one.peer_shape or one.shape, {}).get(one.peer, ())
    if not ours:
        return
    wanted = f">= {one.ratio:g} x {one.peer}" if one.ratio else ""
    rates = [sample.per_second for sample in ours]
    if not theirs:
        yield Row(one.goal, one.shape, wanted, _middle(rates), "-", "-", None)
        return
    ratios = [
        mine.per_second / other.per_second
        for mine, other in zip(ours, theirs, strict=True)
        if other.per_second
    ]
    ratio = statistics.median(ratios) if ratios else 0.0
    met = ratio >= one.ratio if one.ratio and ratios else None
    yield Row(
        one.goal,
        one.shape,
        wanted,
        _middle(rates),
        _middle([sample.per_second for sample in theirs]),
        f"{ratio:.3g}" + (f" ({one.note})" if one.note else ""),
        met,
        " / ".join(_middle([s.cpu_s_per_1000 for s in some]) for some in (ours, theirs)),
    )


def latencies(samples: Samples) -> str:
    """How long an answer took, and how busy others were: a line for each load and target."""
    lines = []
    for shape, by_target in samples.items():
        for name, found in by_target.items():
            p50, p99, elsewhere = (
                statistics.median(getattr(one, column) for one in found)
                for column in ("p50_ms", "p99_ms", "elsewhere")
            )
            lines.append(
                f"{shape}, {name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms; {elsewhere:.2f} processors"
                " busy elsewhere"
            )
    return "\n".join(lines)


def _middle(values: Sequence[float]) -> str:
    value = statistics.median(values)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
