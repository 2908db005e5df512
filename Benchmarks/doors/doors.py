"""
Decisions a second at the doors of mail servers
===============================================
The policy service and the milter of kamaelia-grey beside those of others::

    python Benchmarks/doors/doors.py                            two minutes
    python Benchmarks/doors/doors.py --rounds 5 --seconds 3     for numbers to quote
    python Benchmarks/doors/doors.py --idle 5000                with memory of idle connections

prints for each load what is wanted (door_goals.py), what was seen, and whether that will do; the
exit code is 1 if a goal was missed or an answer was wrong, 2 if it could not run. README.md beside
this says how far the numbers can be believed.

All greylisters are started once. In each round, for each load, they are asked one after another in
a new order; ratios are taken within a round, and the median of the rounds is shown. A stranger that
is let in, and a known sender that is not, is a problem, and so is any other answer that does not
belong there.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "proxy"))

from door_goals import SHAPES, Sample, Samples, judged, latencies  # noqa: E402
from door_targets import (  # noqa: E402
    MILTER,
    OURS,
    POLICY,
    ROOT,
    STARTERS,
    Site,
    Target,
)
from goal_list import MIB, Row, as_table  # noqa: E402
from native import Crowd  # noqa: E402
from processes import TICKS, StartError, cpu_seconds, rss  # noqa: E402
from sessions import machine, names_of  # noqa: E402
from targets import Unavailable  # noqa: E402

FRIENDS = 1000  # triplets that a greylister knows
PRIME_TRIES = 10
WARM_SECONDS = 0.3
SETTLE_SECONDS = 0.15  # logs and stores are written a moment later: that belongs to the price
LOAD_SECONDS = 60.0  # on top of the run's own time; the generator ends itself earlier
END_SECONDS = 5.0
QUIET_TRIES = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the generator did; rates and latencies are those after the warm-up."""

    done: int
    passed: int
    deferred: int
    opened: int
    last: int
    errors: int
    first_error: str
    example: str
    per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_seconds: float


class NoCompilerError(Exception):
    """The load generator cannot be compiled here."""


class Bench:
    """Bench(generator, seconds) -> asks greylisters. `problems`: what was answered wrongly."""

    def __init__(self, generator: Path, seconds: float) -> None:
        self.generator = generator
        self.seconds = seconds
        self.problems: list[str] = []
        self.decisions = 0
        self._number = 0  # no triplet is new twice

    def load(self, target: Target, protocol: str, *options: str, seconds: float) -> Outcome:
        """Run the generator, which takes about so many seconds."""
        first = ("-f", str(self._number), "-F", str(FRIENDS), "-t", str(seconds))
        done = subprocess.run(
            [str(self.generator), *target.options(protocol), *first, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=seconds + LOAD_SECONDS,
            check=True,
        )
        outcome = Outcome(**json.loads(done.stdout))
        self._number = outcome.last
        return outcome

    def prime(self, target: Target) -> None:
        """Make the friends known at each door; raises StartError if they are not learnt."""
        for protocol in target.places:
            options = ("-m", "introduction", "-c", "8", "-n", str(FRIENDS))
            for _ in range(PRIME_TRIES):
                outcome = self.load(target, protocol, *options, seconds=20.0)
                if outcome.passed == FRIENDS:
                    break
                if outcome.errors:
                    raise StartError(f"{target.name}, {protocol}: {outcome.first_error}")
                time.sleep(1.2)
            else:
                raise StartError(
                    f"{target.name}, {protocol}: known senders wait: {outcome.deferred} of"
                    f" {outcome.done}, e.g. {outcome.example}"
                )

    def measure(self, name: str, target: Target) -> Sample:
        shape = SHAPES[name]
        began, busy, before = time.monotonic(), busy_seconds(), cpu_seconds(target.pid)
        warm = ("-w", str(WARM_SECONDS))
        outcome = self.load(target, shape.protocol, *shape.command(), *warm, seconds=self.seconds)
        time.sleep(SETTLE_SECONDS)
        used = cpu_seconds(target.pid) - before
        others = busy_seconds() - busy - used - outcome.cpu_seconds
        self.decisions += outcome.done
        if outcome.errors or not outcome.done:
            self.problems.append(
                f"{name}, {target.name}: {outcome.done} done, {outcome.errors} errors:"
                f" {outcome.first_error}"
            )
        return Sample(
            outcome.per_second,
            outcome.p50_ms,
            outcome.p99_ms,
            used * 1000 / max(outcome.done, 1),
            max(0.0, others / (time.monotonic() - began)),
        )


def busy_seconds() -> float:
    """What all processors have worked so far: user, nice, system; irq, softirq, steal."""
    with Path("/proc/stat").open() as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS


def idle_rows(bench: Bench, site: Site, count: int) -> list[Row]:
    """What so many idle connections cost at each door: a fresh process for each."""
    rows = []
    for protocol in (POLICY, MILTER):
        with ExitStack() as stack:
            place = site.folder / protocol
            place.mkdir()
            target = STARTERS[OURS](Site(place, stack, site.tree))
            # What is kept of clients and triplets is not of connections.
            bench.load(target, protocol, "-m", "introduction", "-n", str(FRIENDS), seconds=20.0)
            time.sleep(2 * SETTLE_SECONDS)
            empty = rss(target.pid)
            before = cpu_seconds(target.pid)
            idle = (*target.options(protocol), "-m", "idle")
            with Crowd(bench.generator, *idle, count=count) as crowd:
                time.sleep(0.5)
                held = rss(target.pid)
                used = cpu_seconds(target.pid) - before
                began = cpu_seconds(target.pid)
                time.sleep(1.0)
                idle = cpu_seconds(target.pid) - began
            each = (held - empty) / 1024 / max(crowd.held, 1)
            seen = (
                f"{empty / MIB:.0f} -> {held / MIB:.0f} MiB, {each:.2f} KiB each; {crowd.held:,}"
                f" in {crowd.seconds:.2f} s ({used:.2f} s CPU); idle: {idle * 100:.1f} % CPU"
            )
            rows.append(Row("", f"{protocol}: {count:,} idle", "", seen, "", "", None))
    return rows


def compiled(folder: Path) -> Path:
    """The load generator, made in the folder. Raises NoCompilerError."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NoCompilerError("no C compiler: the load generator cannot be made")
    program = folder / "door_load"
    command = [compiler, "-O2", "-std=gnu11", "-o", str(program), str(HERE / "door_load.c")]
    subprocess.run(command, check=True, timeout=60)
    return program


class Run:
    """A run of the loads that were chosen."""

    def __init__(self, chosen: argparse.Namespace, folder: Path) -> None:
        self.chosen = chosen
        self.folder = folder
        self.bench = Bench(compiled(folder), chosen.seconds)
        self.samples: dict[str, dict[str, list[Sample]]] = {}
        self.versions: dict[str, str] = {}
        self.left_out: dict[str, str] = {}
        self.rows: list[Row] = []

    def measure(self, stack: ExitStack) -> None:
        targets = self._started(stack)
        self.samples = {name: defaultdict(list) for name in self.chosen.loads}
        for number in range(self.chosen.rounds):
            for name in self.chosen.loads:
                able = [one for one in targets if SHAPES[name].protocol in one.places]
                random.shuffle(able)
                self._show(f"round {number + 1}: {name}")
                for target_name, sample in self._in_quiet(name, able).items():
                    self.samples[name][target_name].append(sample)
                time.sleep(self.chosen.pause)
        self.rows += judged(self.samples)

    def _in_quiet(self, name: str, able: Sequence[Target]) -> dict[str, Sample]:
        """One round of a load. If others were too busy it is tried again; of all tries that in
        which they were the least so."""
        best: dict[str, Sample] = {}
        least = float("inf")
        for _ in range(QUIET_TRIES):
            found = {target.name: self.bench.measure(name, target) for target in able}
            busiest = max((sample.elsewhere for sample in found.values()), default=0.0)
            if busiest < least:
                best, least = found, busiest
            if least <= self.chosen.quiet:
                break
        return best

    def hold_idle(self) -> None:
        if self.chosen.idle:
            place = self.folder / "idle"
            place.mkdir()
            with ExitStack() as stack:
                site = Site(place, stack, self.chosen.tree)
                self.rows += idle_rows(self.bench, site, self.chosen.idle)

    def _started(self, stack: ExitStack) -> list[Target]:
        targets = []
        for name in self.chosen.targets:
            place = self.folder / name
            place.mkdir()
            try:
                target = STARTERS[name](Site(place, stack, self.chosen.tree))
                self._show(f"prime {name}")
                self.bench.prime(target)
            except Unavailable as reason:
                self.left_out[name] = str(reason)
            except StartError as error:
                self.left_out[name] = "did not start, or did not learn"
                self.bench.problems.append(str(error))
            else:
                self.versions[name] = target.version
                targets.append(target)
        return targets

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
            "decisions": self.bench.decisions,
            "problems": self.bench.problems,
            "rows": [asdict(row) for row in self.rows],
            "samples": as_plain(self.samples),
        }


def as_plain(samples: Samples) -> dict[str, dict[str, list[dict[str, Any]]]]:
    return {
        shape: {name: [asdict(one) for one in found] for name, found in by_target.items()}
        for shape, by_target in samples.items()
    }


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Decisions a second at the doors of mail servers.")
    for option, known in (("--loads", SHAPES), ("--targets", STARTERS)):
        text = f"of: {'; '.join(known)}"
        parser.add_argument(option, type=names_of, default=list(known), help=text)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="a run (default: %(default)s)")
    parser.add_argument("--pause", type=float, default=0.2, help="after each load: seconds")
    parser.add_argument(
        "--quiet",
        type=float,
        default=float("inf"),
        metavar="SHARE",
        help=f"if others kept so many processors busy, a round again: {QUIET_TRIES} tries",
    )
    parser.add_argument("--idle", type=int, default=0, help="hold so many idle connections, too")
    parser.add_argument("--tree", type=Path, default=ROOT, help="whose kamaelia-grey is measured")
    parser.add_argument("--json", type=Path, help="all samples into this file")
    parser.add_argument("--verbose", action="store_true", help="say what is being measured")
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.rounds <= 100 or not 0.1 <= chosen.seconds <= 60:
        parser.error("--rounds is 1 to 100, --seconds 0.1 to 60")
    if not 0 <= chosen.pause <= 600 or not 0 <= chosen.idle <= 9_900:
        parser.error("--pause is 0 to 600, --idle 0 to 9,900")
    for names, known in ((chosen.loads, SHAPES), (chosen.targets, STARTERS)):
        if unknown := set(names) - set(known):
            parser.error(f"{'; '.join(sorted(unknown))}: not one of {'; '.join(known)}")
    return chosen


def main() -> int:
    chosen = options()
    signal.signal(signal.SIGTERM, _leave)  # so that the children are ended, too
    with tempfile.TemporaryDirectory(prefix="doors-") as folder:
        try:
            run = Run(chosen, Path(folder))
        except NoCompilerError as error:
            print(error, file=sys.stderr)
            return 2
        with ExitStack() as stack:
            run.measure(stack)
        run.hold_idle()
    print(as_table(run.rows))
    print(latencies(run.samples))
    for name, version in run.versions.items():
        print(f"{name}: {version}")
    for name, reason in run.left_out.items():
        print(f"left out: {name}: {reason}")
    print(f"{run.bench.decisions} decisions checked")
    for problem in run.bench.problems:
        print(f"PROBLEM: {problem}")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(run.report(), indent=2) + "\n")
    return 1 if run.bench.problems or any(row.met is False for row in run.rows) else 0


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
