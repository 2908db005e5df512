"""
Results as a table to read and as JSON to compute with
======================================================
In a cell stands the median, and in brackets how many times better this Axon is than that system:
above 1 is better, whether the unit counts something wanted or something paid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from workloads import OURS, SYSTEMS, Better, Metric, Workload

MARKS = ("<!-- table -->", "<!-- end of table -->")  # between them a document has its table


@dataclass(frozen=True, slots=True)
class Results:
    """medians: (workload, system) -> metric -> number; left_out and problems: name -> why."""

    workloads: Sequence[Workload]
    medians: Mapping[tuple[str, str], Mapping[str, float]]
    left_out: Mapping[str, str]
    problems: Mapping[str, str]

    def of(self, workload: Workload, metric: Metric) -> dict[str, float]:
        """System -> number, ours first."""
        return {
            system: self.medians[workload.name, system][metric.key]
            for system in SYSTEMS
            if (workload.name, system) in self.medians
        }


def short(number: float) -> str:
    """Three significant digits, with k and M."""
    number = float(f"{number:.3g}")
    for factor, letter in ((1e6, " M"), (1e3, " k")):
        if abs(number) >= factor:
            return f"{number / factor:g}{letter}"
    return f"{number:g}"


def times_of(factor: float) -> str:
    """Two digits are what such measurements are good for."""
    return f"{factor:.0f}x" if factor >= 10 else f"{factor:.2g}x"


def verdicts(metric: Metric, numbers: Mapping[str, float]) -> Iterator[tuple[str, bool]]:
    """Each demand in words, and whether it is met; nothing about a rival that did not run."""
    ours = numbers.get(OURS)
    if ours is None:
        return
    if metric.limit is not None:
        more = metric.better is Better.MORE
        met = ours >= metric.limit if more else ours <= metric.limit
        yield f"{'at least' if more else 'at most'} {short(metric.limit)}", met
    for rival, times in metric.must.items():
        if rival in numbers:
            yield f"{rival} {times_of(times)}", metric.advantage(ours, numbers[rival]) >= times


def _cell(metric: Metric, system: str, numbers: Mapping[str, float]) -> str:
    if system not in numbers:
        return ""
    if system == OURS or OURS not in numbers:
        return short(numbers[system])
    ours, theirs = numbers[OURS], numbers[system]
    if min(ours, theirs) <= 0:  # memory that shrank: there is no "times"
        return short(theirs)
    return f"{short(theirs)} ({times_of(metric.advantage(ours, theirs))})"


def _row(workload: Workload, metric: Metric, numbers: Mapping[str, float]) -> str:
    demands = ", ".join(
        text if met else f"**missed:** {text}" for text, met in verdicts(metric, numbers)
    )
    cells = [_cell(metric, system, numbers) for system in SYSTEMS]
    return f"| `{workload.name}` | {metric.unit} | {' | '.join(cells)} | {demands} |"


def as_markdown(results: Results, about: Mapping[str, str]) -> str:
    """The table, what it was measured on, and what is missing from it."""
    lines = [
        f"| workload | unit | {' | '.join(SYSTEMS.values())} | must |",
        f"|---|---|{'--:|' * len(SYSTEMS)}---|",
        *(
            _row(workload, metric, results.of(workload, metric))
            for workload in results.workloads
            for metric in workload.metrics
        ),
        "",
        "Measured on: " + ", ".join(f"{name} {value}" for name, value in about.items()) + ".",
    ]
    missing = {**results.left_out, **results.problems}
    if missing:
        lines += ["", "Left out:", ""]
        lines += [f"- {name}: `{why.replace('`', chr(39))}`" for name, why in missing.items()]
    return "\n".join(lines)


def as_json(results: Results, about: Mapping[str, str]) -> dict[str, object]:
    """Everything, also the metrics that have no row."""
    medians: dict[str, dict[str, dict[str, float]]] = {}
    for (workload, system), numbers in results.medians.items():
        medians.setdefault(workload, {})[system] = dict(numbers)
    demands = {
        f"{workload.name} {metric.key}": dict(verdicts(metric, results.of(workload, metric)))
        for workload in results.workloads
        for metric in workload.metrics
    }
    return {
        "about": dict(about),
        "medians": medians,
        "demands": {name: each for name, each in demands.items() if each},
        "left_out": dict(results.left_out),
        "problems": dict(results.problems),
    }


def with_table(document: str, table: str) -> str:
    """The document with another table between its marks."""
    before, _, rest = document.partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    return f"{before}{MARKS[0]}\n\n{table}\n\n{MARKS[1]}{after}"
