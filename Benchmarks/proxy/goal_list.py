"""
The goals, and whether they are met
===================================
What is wanted of the proxy: for each goal the shape of the load, the peer it is compared with and
the ratio to that peer, or a limit that is a number of its own. No measuring here: `goals.py` makes
the samples, `judged` turns them into rows, and `as_table` prints those.

    >>> from goal_list import COMPARISONS, Sample, judged
    >>> fast, slow = (Sample(rate, 1.0, 2.0, 0.1, 0.0) for rate in (9_000.0, 10_000.0))
    >>> rows = judged({"accept": {"kamaelia-grey": [fast], "haproxy": [slow]}})
    >>> [(row.goal, row.wanted, row.seen, row.met) for row in rows][0]
    ('G1', '>= 0.4 x haproxy', '0.9', True)

A ratio is the median over the rounds of the ratio within one round: rivals of one round had the
same machine. A peer that was not there gives a row without a verdict, never a goal that is met.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

OURS = "kamaelia-grey"
DIRECT = "direct"
POSTGREY = "postfix-postgrey"
MILTER = "postfix-milter-greylist"
HARAKA = "haraka-greylist"
MIB = 1 << 20
USUAL = 32  # connections


@dataclass(frozen=True, slots=True)
class Shape:
    """What the clients do; options as load.c has them."""

    dialogue: str
    connections: int
    each: int  # pieces of work on a connection, 0: no limit
    options: tuple[str, ...] = ()
    least_seconds: float = 0.0  # shorter says nothing

    def command(self, connections: int | None) -> tuple[str, ...]:
        """Options for the generator; a rival may need more connections than the usual 32 to be
        busy. Where a load has fewer, their number is what it is about."""
        count = max(USUAL, connections or 0) if self.connections == USUAL else self.connections
        return ("-d", self.dialogue, "-c", str(count), "-k", str(self.each), *self.options)


SHAPES = {
    "accept": Shape("message", USUAL, 100),
    "pipelined": Shape("message", USUAL, 100, ("-P",)),
    "single": Shape("message", USUAL, 1),
    "100 KB": Shape("message", 16, 20, ("-s", "102400")),
    "10 MB": Shape("message", 4, 5, ("-s", "10485760"), least_seconds=2.5),
    "reject": Shape("stranger", USUAL, 100),
    "reject single": Shape("stranger", USUAL, 1),
    "visit": Shape("visit", USUAL, 1),
    "100/s": Shape("message", 16, 0, ("-r", "100"), least_seconds=2.5),
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours divided by the peer's is to be at least, or at most, `ratio`."""

    goal: str
    shape: str
    peer: str
    ratio: float
    column: str = "per_second"  # or added_p50_ms, for which less is better

    @property
    def at_least(self) -> bool:
        return self.column == "per_second"


def _rates(goal: str, shape: str, **ratios: float) -> list[Comparison]:
    peers = {"postgrey": POSTGREY, "milter": MILTER, "haraka": HARAKA}
    return [Comparison(goal, shape, peers.get(peer, peer), ratio) for peer, ratio in ratios.items()]


COMPARISONS = [
    *_rates("G1", "accept", haproxy=0.40, postgrey=5, milter=4, haraka=8, aiosmtpd=6),
    *_rates("G2", "pipelined", haproxy=0.30),
    *_rates("G3", "single", haproxy=0.8, postgrey=4),
    *_rates("G4", "100 KB", haproxy=0.45, postgrey=4),
    *_rates("G5", "10 MB", haproxy=0.40, postgrey=1.5),
    *_rates("G6", "reject", postgrey=8, milter=4, haraka=5),
    *_rates("G6", "reject single", postgrey=4, milter=3),
    *_rates("G7", "visit", haproxy=0.8),
    Comparison("G8", "100/s", "haproxy", 2.5, "added_p50_ms"),
    Comparison("G8", "100/s", POSTGREY, 0.5, "added_p50_ms"),
]
MIB_PER_TRANSFER = 1.0  # G5


@dataclass(frozen=True, slots=True)
class Sample:
    """One run against one target."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_s_per_1000: float  # of all the target's processes
    grown_mib: float  # most memory during the run, less what it was before


Samples = Mapping[str, Mapping[str, list[Sample]]]  # shape -> target -> one a round


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. met is None if there was nothing to compare, or nothing wanted."""

    goal: str
    what: str
    wanted: str
    ours: str
    theirs: str
    seen: str
    met: bool | None
    cpu: str = ""  # CPU seconds per 1000, ours / theirs


def shapes_of(goals: Iterable[str]) -> dict[str, list[str]]:
    """Shapes that those goals need, and for each the targets that are measured in it."""
    needed: dict[str, list[str]] = {}
    for one in COMPARISONS:
        if one.goal in goals:
            targets = needed.setdefault(one.shape, [DIRECT, OURS])
            targets.append(one.peer)
    for shape, targets in needed.items():
        if SHAPES[shape].dialogue == "stranger":
            targets.remove(DIRECT)  # nobody greylists there
    return needed


def judged(samples: Samples) -> list[Row]:
    """A row for each comparison whose shape was measured, and those that have a limit."""
    rows = []
    for one in COMPARISONS:
        if one.shape in samples:
            rows.append(_compared(one, samples[one.shape]))
            if one.shape == "10 MB" and one.peer == "haproxy":
                rows.extend(_memory_row(samples[one.shape]))
    return rows


def within(
    goal: str, what: str, seen: float, limit: float, unit: str, *, least: bool = False
) -> Row:
    """The row of a limit: `seen` is to be at most (or at least) that."""
    sign = ">=" if least else "<="
    met = seen >= limit if least else seen <= limit
    text = _number(seen)
    return Row(goal, what, f"{sign} {_number(limit)} {unit}".rstrip(), text, "", text, met)


def _compared(one: Comparison, by_target: Mapping[str, list[Sample]]) -> Row:
    sign = ">=" if one.at_least else "<="
    wanted = f"{sign} {_number(one.ratio)} x {one.peer}"
    what = one.shape if one.at_least else f"{one.shape}, added p50 ms"
    ours, theirs = (_values(one.column, by_target, name) for name in (OURS, one.peer))
    if not ours or not theirs:
        return Row(one.goal, what, wanted, _middle(ours), _middle(theirs), "-", None)
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True) if other > 0]
    if not ratios:
        return Row(one.goal, what, wanted, _middle(ours), _middle(theirs), "-", None)
    ratio = statistics.median(ratios)
    met = ratio >= one.ratio if one.at_least else ratio <= one.ratio
    costs = (_middle([s.cpu_s_per_1000 for s in by_target[name]]) for name in (OURS, one.peer))
    return Row(
        one.goal,
        what,
        wanted,
        _middle(ours),
        _middle(theirs),
        _number(ratio),
        met,
        " / ".join(costs),
    )


def _values(column: str, by_target: Mapping[str, list[Sample]], name: str) -> list[float]:
    samples = by_target.get(name, [])
    if column != "added_p50_ms":
        return [sample.per_second for sample in samples]
    direct = by_target.get(DIRECT, [])
    return [
        sample.p50_ms - base.p50_ms for sample, base in zip(samples, direct, strict=bool(samples))
    ]


def _memory_row(by_target: Mapping[str, list[Sample]]) -> Iterator[Row]:
    if samples := by_target.get(OURS):
        # Memory once used is hardly given back: the first round shows what the others cannot.
        grown = max(sample.grown_mib for sample in samples)
        each = grown / SHAPES["10 MB"].connections
        yield within("G5", "10 MB, memory a transfer", each, MIB_PER_TRANSFER, "MiB")


def _middle(values: list[float]) -> str:
    return _number(statistics.median(values)) if values else "-"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _verdict(row: Row) -> str:
    if row.met is None:
        return "not measured" if row.wanted else ""  # the latter is for comparison only
    return "yes" if row.met else "NO"


def as_table(rows: Iterable[Row]) -> str:
    """Markdown, with columns that are aligned for a terminal too."""
    head = ("goal", "load", "wanted", "ours", "peer's", "seen", "met", "CPU s/1000 ours / peer's")
    lines = [
        head,
        *((r.goal, r.what, r.wanted, r.ours, r.theirs, r.seen, _verdict(r), r.cpu) for r in rows),
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    texts = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    texts.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(texts)
