"""
SMTP sessions through the proxy, against others in the same run
===============================================================
Prints one JSON object. Of it only the ratios mean anything on another machine: load generator,
proxy and sink share the processors, and the absolute rates move with the hour.

    python Benchmarks/proxy/sessions.py
    python Benchmarks/proxy/sessions.py --rounds 5 --seconds 3 --scenarios accept,reject

How it measures. The targets (see targets.py) are started once and all stay up. In each round, for
each scenario, all of them are measured one after another in a new order, so that whatever else
slows the machine down slows all alike; the numbers are medians of the rounds.

    reject          strangers, each attempt a new triplet; 32 connections, 100 attempts on each
    accept          messages of 1 KB from known senders; 32 connections, 100 on each
    accept_single   the same, one on each connection; timed from connecting
    large           messages of 1 MB, 4 at a time
    connect         connect, greeting, QUIT

It checks, too, that nothing got lost or doubled: what the clients had acknowledged must be what the
sink has, and no stranger's RCPT may reach it through a greylister. If not, or if a reply was not
what belongs there, "problems" says so and the exit code is 1.
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
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import FrameType

from load import FRIENDS, Outcome, Plan
from processes import StartError, cpu_seconds, forget_peak, peak_rss
from targets import STARTERS, Site, Target, Unavailable, problems_of

HERE = Path(__file__).resolve().parent
SETTLE_SECONDS = 0.1  # logs and stores are written a moment later: that belongs to the price
LOAD_SECONDS = 30.0  # on top of the run's own time; load.py ends itself earlier
PRIME_TRIES = 10
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the clients do."""

    dialogue: str
    connections: int
    each: int
    size: int = 0
    only: frozenset[str] | None = None  # the others cannot do it


SCENARIOS = {
    "reject": Scenario("stranger", 32, 100, only=frozenset({"direct", "kamaelia-grey"})),
    "accept": Scenario("message", 32, 100, 1000),
    "accept_single": Scenario("message", 32, 1, 1000),
    "large": Scenario("message", 4, 100, MILLION),
    "connect": Scenario("visit", 32, 1),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement. Latency of one attempt, message or visit."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_s_per_1000: float  # of the proxy's processes (direct: the sink's)
    peak_rss_mib: float
    load_s_per_1000: float  # of the generator: near 1000 / per_second it is what is measured


class Sink:
    """The sink as a child; report() is what came since the last."""

    def __init__(self, stack: ExitStack) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "sink.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(self._end)
        self.pid = self._process.pid
        self.port = int(self._line())

    def report(self) -> dict[str, int]:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        counts: dict[str, int] = json.loads(self._line())
        return counts

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def _end(self) -> None:
        with self._process:
            self._process.terminate()


class Bench:
    """All that runs, and what was found."""

    def __init__(self, sink: Sink, seconds: float) -> None:
        self.sink = sink
        self.seconds = seconds
        self.problems: list[str] = []
        self.messages = 0
        self._number = 0

    def load(self, plan: Plan) -> Outcome:
        done = subprocess.run(
            [sys.executable, str(HERE / "load.py"), json.dumps(asdict(plan))],
            stdout=subprocess.PIPE,
            timeout=plan.seconds + LOAD_SECONDS,
            check=True,
        )
        outcome = Outcome(**json.loads(done.stdout))
        self._number = outcome.last
        return outcome

    def prime(self, target: Target) -> None:
        """Make the friends known; raises StartError if the greylister does not get to know them."""
        for _ in range(PRIME_TRIES):
            plan = Plan("introduction", target.port, 1, FRIENDS, 0, 10.0, self._number, FRIENDS)
            outcome = self.load(plan)
            if outcome.done == FRIENDS and not outcome.deferred:
                self.sink.report()
                return
            time.sleep(1.0)
        raise StartError(
            f"{target.name} defers known senders: {outcome.deferred} of {outcome.done}"
            f" {outcome.first_error}"
        )

    def measure(self, name: str, target: Target) -> Sample:
        scenario = SCENARIOS[name]
        forget_peak(target.pid)
        before = cpu_seconds(target.pid)
        outcome = self.load(
            Plan(
                scenario.dialogue,
                target.port,
                scenario.connections,
                scenario.each,
                scenario.size,
                self.seconds,
                self._number,
            )
        )
        time.sleep(SETTLE_SECONDS)
        used = cpu_seconds(target.pid) - before
        self._check(name, target, outcome)
        thousands = max(outcome.done, 1) / 1000
        return Sample(
            outcome.per_second,
            outcome.p50_ms,
            outcome.p99_ms,
            used / thousands,
            peak_rss(target.pid) / (1 << 20),
            outcome.cpu_seconds / thousands,
        )

    def _check(self, name: str, target: Target, outcome: Outcome) -> None:
        messages = SCENARIOS[name].dialogue == "message"
        if messages:
            self.messages += outcome.done
        where = f"{name}, {target.name}"
        came = self.sink.report()
        self.problems += problems_of(where, target, outcome, came, messages=messages)


# ---- the run


@contextmanager
def running(
    names: Sequence[str], seconds: float
) -> Iterator[tuple[Bench, list[Target], dict[str, str]]]:
    """Sink and targets, up and primed; and why some are left out."""
    with tempfile.TemporaryDirectory(prefix="sessions-") as folder, ExitStack() as stack:
        bench = Bench(Sink(stack), seconds)
        targets, left_out = [], {}
        for name in names:
            place = Path(folder) / name
            place.mkdir()
            try:
                target = STARTERS[name](Site(place, bench.sink.port, bench.sink.pid, stack))
                if target.greylists:
                    bench.prime(target)
                targets.append(target)
            except Unavailable as reason:
                left_out[name] = str(reason)
            except StartError as error:
                bench.problems.append(str(error))
        yield bench, targets, left_out


Samples = dict[str, dict[str, list[Sample]]]


def measure(bench: Bench, targets: list[Target], scenarios: Sequence[str], rounds: int) -> Samples:
    """Samples: scenario -> target -> one a round."""
    samples: Samples = {name: defaultdict(list) for name in scenarios}
    for _ in range(rounds):
        for name in scenarios:
            only = SCENARIOS[name].only
            able = [target for target in targets if only is None or target.name in only]
            random.shuffle(able)
            for target in able:
                samples[name][target.name].append(bench.measure(name, target))
    return samples


def medians(samples: Samples, order: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    def median(rounds: list[Sample]) -> dict[str, float]:
        columns = (field.name for field in fields(Sample))
        return {
            column: float(f"{statistics.median(getattr(one, column) for one in rounds):.4g}")
            for column in columns
        }

    return {
        scenario: {name: median(by_target[name]) for name in order if name in by_target}
        for scenario, by_target in samples.items()
    }


def ratios(samples: Samples, ours: str) -> dict[str, dict[str, dict[str, float]]]:
    """Our number divided by each other's, medians over the rounds of the ratio in one round."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for scenario, by_target in samples.items():
        mine = by_target.get(ours, [])
        found[scenario] = {
            f"{ours}/{name}": {
                column: _ratio(
                    [getattr(one, column) for one in mine],
                    [getattr(one, column) for one in others],
                )
                for column in ("per_second", "p99_ms", "cpu_s_per_1000")
            }
            for name, others in by_target.items()
            if mine and name != ours
        }
    return found


def _ratio(ours: list[float], theirs: list[float]) -> float:
    # 0 comes of a run in which nothing was finished in time: the machine stood still, or worse.
    pairs = zip(ours, theirs, strict=True)
    rounds = [mine / other for mine, other in pairs if other]
    return round(statistics.median(rounds), 3) if rounds else 0.0


def machine() -> dict[str, object]:
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "processor": model,
        "processors": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


# ---- the command line


def names_of(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="SMTP sessions: kamaelia-grey and its rivals.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="a run (default: %(default)s)")
    for option, known in (("--scenarios", SCENARIOS), ("--targets", STARTERS)):
        parser.add_argument(option, type=names_of, default=list(known), help=", ".join(known))
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.rounds <= 100 or not 0.1 <= chosen.seconds <= 60:
        parser.error("--rounds is 1 to 100, --seconds 0.1 to 60")
    for known, given in ((SCENARIOS, chosen.scenarios), (STARTERS, chosen.targets)):
        if unknown := set(given) - set(known):
            parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(known)}")
    return chosen


def main() -> int:
    chosen = options()
    signal.signal(signal.SIGTERM, _leave)  # so that the children are ended, too
    report: dict[str, object] = {
        "machine": machine(),
        "rounds": chosen.rounds,
        "seconds": chosen.seconds,
    }
    with running(chosen.targets, chosen.seconds) as (bench, targets, left_out):
        samples = measure(bench, targets, chosen.scenarios, chosen.rounds)
    report |= {
        "versions": {target.name: target.version for target in targets},
        "left_out": left_out,
        "medians": medians(samples, chosen.targets),
        "ratios": ratios(samples, "kamaelia-grey"),
        "messages_checked": bench.messages,
        "problems": bench.problems,
    }
    print(json.dumps(report, indent=2))
    return 1 if bench.problems else 0


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
