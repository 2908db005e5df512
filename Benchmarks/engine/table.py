"""
How fast the engine is, and what everything costs
=================================================
Runs every workload (workloads.py) on this Axon, on the original, on asyncio, on trio and on bare
Python, and prints a Markdown table: medians, and how many times better Axon is in brackets.

    python Benchmarks/engine/table.py --rounds 5 --json table.json > table.md
    python Benchmarks/engine/table.py --rounds 5 --into Docs/performance.md
    python Benchmarks/engine/table.py --quick
    python Benchmarks/engine/table.py --workloads wake,ping_pong --systems axon,asyncio

How it measures. Each run is a child process of its own, pinned to one processor. In every round
every workload runs once on every system, in a new order, so that whatever else slows the machine
down slows all alike; the result is the median of the rounds. Time is the child's own processor
time, so a rival that sleeps where it need not gets away with it; only latencies are the clock's.
Absolute numbers belong to one machine and one hour: compare the ratios.

A system that fails at a workload is left out of its row, and the report says why. The exit code is
1 if that system is this Axon; a missed demand changes nothing: only a quiet machine can tell.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from report import MARKS, Results, as_json, as_markdown, with_table
from throwaway import clean_environment, environments
from workloads import OURS, QUICK_SYSTEMS, QUICK_WORKLOADS, SYSTEMS, WORKLOADS, Workload

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CHILD_SECONDS = 300
PROGRAMS = {
    OURS: "on_axon.py",
    "original": "on_axon.py",
    "asyncio": "on_asyncio.py",
    "trio": "on_trio.py",
    "bare": "on_bare.py",
}


@dataclass(frozen=True, slots=True)
class Job:
    """One workload on one system, in a new process."""

    workload: Workload
    system: str
    python: str
    cpu: int
    scale: float

    def _command(self) -> list[str]:
        name, cpu = self.workload.name, str(self.cpu)
        size = str(self.workload.size_for(self.system, self.scale))
        if self.workload.tcp:
            seconds = str(2.0 * self.scale)
            program = str(HERE / "echo.py")
            return [sys.executable, program, self.python, self.system, name, size, cpu, seconds]
        return [self.python, str(HERE / PROGRAMS[self.system]), name, size, cpu]

    def _environment(self) -> dict[str, str]:
        # The original's interpreter must not find our Axon, nor ours the one of somebody else.
        path = {"PYTHONPATH": str(ROOT)} if self.system == OURS else {}
        return {**clean_environment(), **path, "PYTHONHASHSEED": "0"}

    def run(self) -> dict[str, float]:
        """Its metrics. Raises RuntimeError with the last that it said."""
        with subprocess.Popen(
            self._command(),
            env=self._environment(),
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that a server it has started ends with it
        ) as child:
            try:
                out, err = child.communicate(timeout=CHILD_SECONDS)
            except subprocess.TimeoutExpired:
                raise RuntimeError(f"not done after {CHILD_SECONDS} s") from None
            finally:
                if child.poll() is None:
                    os.killpg(child.pid, signal.SIGKILL)
        if child.returncode:
            raise RuntimeError(" / ".join(err.strip().splitlines()[-3:]) or "no word")
        metrics: dict[str, float] = json.loads(out.splitlines()[-1])  # the original may talk before
        return metrics


@dataclass
class Measurement:
    """All samples: of a workload and a system, metric by metric."""

    samples: dict[tuple[str, str], dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    problems: dict[str, str] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def round(self, jobs: list[Job]) -> None:
        random.shuffle(jobs)
        for number, job in enumerate(jobs, 1):
            name = f"{job.workload.name} on {job.system}"
            if name in self.problems:
                continue
            print(f"{number}/{len(jobs)} {name}", file=sys.stderr)
            try:
                metrics = job.run()
            except RuntimeError as error:
                self.problems[name] = str(error)
                self.failed.add(job.system)
                continue
            for key, value in metrics.items():
                self.samples[job.workload.name, job.system][key].append(value)

    def results(self, workloads: Sequence[Workload], left_out: Mapping[str, str]) -> Results:
        medians = {
            (workload.name, system): {
                key: statistics.median(values)
                for key, values in self.samples[workload.name, system].items()
            }
            for workload in workloads
            for system in SYSTEMS
            if (workload.name, system) in self.samples
        }
        return Results(workloads, medians, dict(left_out), dict(self.problems))


def machine() -> dict[str, str]:
    """What it was measured on."""
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - no file, as it were
        for line in lines:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "processor": model,
        "processors": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def names_of(known: Sequence[str]) -> object:
    """Makes an argparse type: a list of these, separated by commas."""

    def chosen(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
        return names

    return chosen


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    processors = sorted(os.sched_getaffinity(0))
    names = [workload.name for workload in WORKLOADS]
    parser = argparse.ArgumentParser(description="Axon against its rivals, as a table.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of all sizes (default: 1)")
    parser.add_argument("--quick", action="store_true", help="four workloads, nothing to install")
    parser.add_argument("--workloads", type=names_of(names), help=",".join(names))  # type: ignore[arg-type]
    parser.add_argument("--systems", type=names_of(list(SYSTEMS)), help=",".join(SYSTEMS))  # type: ignore[arg-type]
    parser.add_argument("--cpu", type=int, default=processors[-1], choices=processors)
    parser.add_argument("--original", type=Path, help="environment with the original in it")
    parser.add_argument("--trio", type=Path, help="environment with trio in it")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    parser.add_argument("--into", type=Path, help="document whose table is to be replaced, too")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or not 0 < options.scale <= 10:
        parser.error("--rounds must be at least 1, and --scale above 0 and at most 10")
    if options.into and not all(mark in options.into.read_text("utf-8") for mark in MARKS):
        parser.error(f"--into: {options.into} has no place for a table, which is {' '.join(MARKS)}")
    options.workloads = options.workloads or (QUICK_WORKLOADS if options.quick else names)
    options.systems = options.systems or (QUICK_SYSTEMS if options.quick else tuple(SYSTEMS))
    return options


def jobs_for(
    workloads: Sequence[Workload], pythons: Mapping[str, str], cpu: int, scale: float
) -> list[Job]:
    return [
        Job(workload, system, python, cpu, scale)
        for workload in workloads
        for system, python in pythons.items()
        if system == OURS or system in workload.rivals
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(arguments)
    workloads = [workload for workload in WORKLOADS if workload.name in options.workloads]
    ready = {"original": options.original, "trio": options.trio}
    measurement = Measurement()
    with environments(
        set(options.systems), {rival: path for rival, path in ready.items() if path}
    ) as (installed, left_out):
        pythons = {
            system: installed.get(system, sys.executable)
            for system in SYSTEMS
            if system in options.systems and system not in left_out
        }
        for number in range(1, options.rounds + 1):
            print(f"round {number} of {options.rounds}", file=sys.stderr)
            measurement.round(jobs_for(workloads, pythons, options.cpu, options.scale))
    results = measurement.results(workloads, left_out)
    about = {**machine(), "rounds": str(options.rounds), "scale": f"{options.scale:g}"}
    table = as_markdown(results, about)
    if options.json:
        options.json.write_text(json.dumps(as_json(results, about), indent=2) + "\n", "utf-8")
    if options.into:
        document = options.into.read_text("utf-8")
        options.into.write_text(with_table(document, table), "utf-8")
    print(table)
    return 1 if OURS in measurement.failed else 0


if __name__ == "__main__":
    sys.exit(main())
