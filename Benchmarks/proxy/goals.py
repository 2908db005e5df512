"""
All goals in one table, the rivals measured in the same run
===========================================================
::

    python Benchmarks/proxy/goals.py                                    a few minutes
    python Benchmarks/proxy/goals.py --goals G1,G6 --rounds 5 --seconds 2
    python Benchmarks/proxy/goals.py --haraka ~/haraka --json goals.json

prints for each goal what is wanted (goal_list.py), what was seen, and whether that will do; the
exit code is 1 if a goal was missed or a message lost. README.md beside this says what it needs and
how far the numbers can be believed.

How it measures. All targets that the goals need are started once. In each round, for each shape of
load, they are measured one after another in a new order, so that whatever else slows the machine
down slows all alike; ratios are taken within a round, and the median of the rounds is shown. What
the clients had acknowledged must be what the sink has, to the message, in every run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import losses
import memory
from goal_list import (
    MIB,
    OURS,
    SHAPES,
    Row,
    Sample,
    as_table,
    judged,
    shapes_of,
    within,
)
from native import NativeSink, NoCompilerError, Outcome, Programs
from processes import StartError, cpu_seconds, forget_peak, peak_rss, rss
from rivals import ALL_STARTERS
from sessions import machine, names_of
from targets import ROOT, Site, Target, Unavailable, problems_of

RATIOS = ("G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8")
GOALS = (*RATIOS, "G9", "G12", "G14")
FRIENDS = 1000  # triplets that a greylister knows
WARM_SECONDS = 0.3  # it counts for the loss check, not for the rates
SETTLE_SECONDS = 0.1  # logs and stores are written a moment later: that belongs to the price
PRIME_TRIES = 10


class Bench:
    """All that runs, and what was found."""

    def __init__(self, programs: Programs, sink: NativeSink, seconds: float) -> None:
        self.programs = programs
        self.sink = sink
        self.seconds = seconds
        self.problems: list[str] = []
        self.messages = 0
        self._number = 0

    def load(self, target: Target, *options: str, seconds: float) -> Outcome:
        first = ("-p", str(target.port), "-f", str(self._number), "-F", str(FRIENDS))
        outcome = self.programs.load(*first, *options, seconds=seconds)
        self._number = outcome.last
        return outcome

    def prime(self, target: Target) -> None:
        """Make the friends known; raises StartError if the greylister does not get to know them."""
        options = ("-d", "introduction", "-c", "10", "-k", "100", "-n", str(FRIENDS), "-t", "20")
        for _ in range(PRIME_TRIES):
            outcome = self.load(target, *options, seconds=20)
            if outcome.done == FRIENDS and not outcome.deferred:
                self.sink.report()
                return
            time.sleep(1.2)
        raise StartError(
            f"{target.name} defers known senders: {outcome.deferred} of {outcome.done}"
            f" {outcome.first_error}"
        )

    def measure(self, name: str, target: Target) -> Sample:
        shape = SHAPES[name]
        seconds = max(self.seconds, shape.least_seconds)
        for pid in target.pids:
            forget_peak(pid)
        resident = sum(rss(pid) for pid in target.pids)
        before = sum(cpu_seconds(pid) for pid in target.pids)
        times = ("-t", str(seconds), "-w", str(WARM_SECONDS))
        options = shape.command(target.connections)
        outcome = self.load(target, *options, *times, seconds=seconds)
        time.sleep(SETTLE_SECONDS)
        used = sum(cpu_seconds(pid) for pid in target.pids) - before
        peak = sum(peak_rss(pid) for pid in target.pids)
        self._check(name, target, outcome)
        return Sample(
            outcome.per_second,
            outcome.p50_ms,
            outcome.p99_ms,
            used * 1000 / max(outcome.done, 1),
            max(0, peak - resident) / MIB,
        )

    def _check(self, name: str, target: Target, outcome: Outcome) -> None:
        messages = SHAPES[name].dialogue == "message"
        if messages:
            self.messages += outcome.done
        where = f"{name}, {target.name}"
        came = self.sink.report()
        self.problems += problems_of(where, target, outcome, came, messages=messages)


class Run:
    """A run of the goals that were chosen: sink and targets up, rows and remarks collected."""

    def __init__(self, chosen: argparse.Namespace, folder: Path, stack: ExitStack) -> None:
        self.chosen = chosen
        self.folder = folder
        self.programs = Programs.found(folder, chosen.generator, chosen.sink)
        self.rows: list[Row] = []
        self.problems: list[str] = []
        self.left_out: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.samples: dict[str, dict[str, list[Sample]]] = {}
        self.messages = 0
        self._stack = stack

    def ratios(self) -> None:
        """G1 to G8."""
        needed = shapes_of(self.chosen.goals)
        if not needed:
            return
        sink = self._stack.enter_context(NativeSink(self.programs))
        bench = Bench(self.programs, sink, self.chosen.seconds)
        targets = self._started(
            bench, sorted({name for names in needed.values() for name in names})
        )
        self.samples = {shape: defaultdict(list) for shape in needed}
        for number in range(self.chosen.rounds):
            for shape, names in needed.items():
                able = [target for target in targets if target.name in names]
                random.shuffle(able)
                for target in able:
                    self._show(f"round {number + 1}: {shape}, {target.name}")
                    self.samples[shape][target.name].append(bench.measure(shape, target))
                time.sleep(self.chosen.pause)
        self.rows += judged(self.samples)
        self.problems += bench.problems
        self.messages = bench.messages

    def _started(self, bench: Bench, names: Sequence[str]) -> list[Target]:
        targets = []
        for name in names:
            place = self.folder / name
            place.mkdir()
            try:
                target = self.start(name, place, bench.sink.port, bench.sink.pid, self._stack)
                if target.greylists:
                    self._show(f"prime {name}")
                    bench.prime(target)
            except Unavailable as reason:
                self.left_out[name] = str(reason)
            except StartError as error:
                self.left_out[name] = "did not start, or did not learn"
                self.problems.append(str(error))
            else:
                self.versions[name] = target.version
                targets.append(target)
        return targets

    def start(self, name: str, place: Path, port: int, pid: int, stack: ExitStack) -> Target:
        """Start one target for the sink at that port."""
        chosen = self.chosen
        return ALL_STARTERS[name](Site(place, port, pid, stack, chosen.tree, chosen.haraka))

    def others(self) -> None:
        """G9, G12, G14: they start what they measure anew."""
        if "G9" in self.chosen.goals:
            self._show("G9: memory")
            with NativeSink(self.programs) as sink:
                for name in (OURS, "haproxy"):
                    place = self.folder / f"idle-{name}"
                    place.mkdir()
                    try:
                        with ExitStack() as stack:
                            target = self.start(name, place, sink.port, sink.pid, stack)
                            held = memory.of(target, self.programs)
                    except Unavailable as reason:
                        self.left_out[name] = str(reason)
                        continue
                    self.rows += held.rows() if name == OURS else held.rows_of_peer()
        if "G14" in self.chosen.goals:
            self._show("G14: the backend is killed")
            place = self.folder / "losses"
            place.mkdir()
            with ExitStack() as stack:
                self.rows += losses.rows(self.programs, place, stack, self.chosen.tree)
        if "G12" in self.chosen.goals:
            self._show("G12: the store")
            self.rows += store_rows(self.chosen.tree, self.chosen.records)

    def _show(self, text: str) -> None:
        if self.chosen.verbose:
            print(text, file=sys.stderr, flush=True)

    def report(self) -> dict[str, object]:
        """All that was found, for --json."""
        return {
            "machine": machine(),
            "rounds": self.chosen.rounds,
            "seconds": self.chosen.seconds,
            "versions": self.versions,
            "left_out": self.left_out,
            "messages_checked": self.messages,
            "problems": self.problems,
            "rows": [asdict(row) for row in self.rows],
            "samples": {
                shape: {name: [asdict(one) for one in found] for name, found in by_target.items()}
                for shape, by_target in self.samples.items()
            },
        }


STORE = Path(__file__).resolve().parent.parent / "store" / "decisions.py"
STORE_SECONDS = 600


def store_rows(tree: Path, records: int) -> list[Row]:
    """G12: a program of its own, for it needs the tree that is measured."""
    done = subprocess.run(
        [sys.executable, str(STORE), "--records", str(records)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(tree)},
        check=True,
        timeout=STORE_SECONDS,
    )
    seen = json.loads(done.stdout)
    what = f"{records:,} rows: "
    return [
        within("G12", f"{what}decisions/s", seen["decisions_per_second"], 50_000, "", least=True),
        within("G12", f"{what}longest stall", seen["stall_ms"], 10, "ms"),
        within("G12", f"{what}ready after", seen["ready_seconds"], 2, "s"),
        Row("G12", f"{what}p99 of an answer", "", f"{seen['p99_ms']:.0f} ms", "", "", None),
        Row("G12", f"{what}memory", "", f"{seen['rss_mib']:.0f} MiB", "", "", None),
    ]


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="kamaelia-grey and its rivals against the goals.")
    parser.add_argument("--goals", type=names_of, default=list(GOALS), help=", ".join(GOALS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="a run (default: %(default)s)")
    parser.add_argument("--pause", type=float, default=0.2, help="after each shape: seconds")
    parser.add_argument("--tree", type=Path, default=ROOT, help="whose kamaelia-grey is measured")
    parser.add_argument("--haraka", type=Path, help="folder with Haraka's node_modules")
    parser.add_argument("--generator", type=Path, help="instead of load.c")
    parser.add_argument("--sink", type=Path, help="instead of sink.c")
    parser.add_argument("--records", type=int, default=1_000_000, help="in the store of G12")
    parser.add_argument("--json", type=Path, help="all samples into this file")
    parser.add_argument("--verbose", action="store_true", help="say what is being measured")
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.rounds <= 100 or not 0.1 <= chosen.seconds <= 60:
        parser.error("--rounds is 1 to 100, --seconds 0.1 to 60")
    if not 0 <= chosen.pause <= 600 or not 1000 <= chosen.records <= 100_000_000:
        parser.error("--pause is 0 to 600, --records 1,000 to 100,000,000")
    if unknown := set(chosen.goals) - set(GOALS):
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(GOALS)}")
    return chosen


def main() -> int:
    chosen = options()
    signal.signal(signal.SIGTERM, _leave)  # so that the children are ended, too
    # On top of each other: the folder must outlive what runs in it.
    with tempfile.TemporaryDirectory(prefix="goals-") as folder, ExitStack() as stack:
        try:
            run = Run(chosen, Path(folder), stack)
        except NoCompilerError as error:
            print(error, file=sys.stderr)
            return 2
        run.ratios()
        stack.close()  # nothing of it may take part in what follows
        run.others()
    print(as_table(run.rows))
    for name, version in run.versions.items():
        print(f"{name}: {version}")
    for name, reason in run.left_out.items():
        print(f"left out: {name}: {reason}")
    print(f"{run.messages} messages checked")
    for problem in run.problems:
        print(f"PROBLEM: {problem}")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(run.report(), indent=2) + "\n")
    return 1 if run.problems or any(row.met is False for row in run.rows) else 0


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
