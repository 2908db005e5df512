"""
What a message costs from one component to the next
===================================================
Runs the same small systems on Axon, on asyncio tasks with queues of the same depth, and on bare
generators with a loop that only knows who is asleep: the least that anything like Axon must do.
Prints one JSON object; of it only the ratios mean anything on another machine, and only they are
fit for a test.

    python Benchmarks/engine/hops.py
    python Benchmarks/engine/hops.py --rounds 9 --messages 50000

How it measures. Each run is a child process of its own, all on the same processor. In every round
all of them run once, in a new order, so that whatever else slows the machine down slows all alike.
Time is the child's own processor time (nothing here waits), and the result the median of the
rounds.

    lock_step   a line of ten, one message under way at a time: each hop is a sleep and a wake-up
    burst       the same line, 64 messages at once: what handing on costs when nobody sleeps
    ping_pong   two that answer each other: a hop there and a hop back
    idle        sleeping components with their boxes: bytes of memory each
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve()
ROOT = HERE.parent.parent.parent
WORKLOADS = ("lock_step", "burst", "ping_pong", "idle")
RIVALS = ("axon", "asyncio", "bare")
CHILD_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Job:
    """One run: a workload on a system."""

    workload: str
    rival: str

    def run(self, messages: int, cpu: int) -> float:
        """Hops a second of processor time, or bytes; from a new process on that processor."""
        program = str(HERE.with_name("rivals.py"))
        done = subprocess.run(
            [sys.executable, program, self.workload, self.rival, str(messages), str(cpu)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"},
            stdout=subprocess.PIPE,
            timeout=CHILD_SECONDS,
            check=True,
        )
        return float(done.stdout)


def measure(rounds: int, messages: int, cpu: int) -> dict[str, dict[str, float]]:
    """Medians: workload -> system -> number."""
    jobs = [Job(workload, rival) for workload in WORKLOADS for rival in RIVALS]
    samples: dict[Job, list[float]] = defaultdict(list)
    for _ in range(rounds):
        random.shuffle(jobs)
        for job in jobs:
            samples[job].append(job.run(messages, cpu))
    return {
        workload: {rival: statistics.median(samples[Job(workload, rival)]) for rival in RIVALS}
        for workload in WORKLOADS
    }


def ratios(medians: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Axon's number divided by each rival's. More is better, but for idle, which is memory."""
    return {
        workload: {
            f"axon/{rival}": round(numbers["axon"] / numbers[rival], 3)
            for rival in RIVALS
            if rival != "axon"
        }
        for workload, numbers in medians.items()
    }


def main() -> None:
    processors = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description="Message hops: Axon, asyncio, bare generators.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=10_000, help="a run (default: %(default)s)")
    parser.add_argument("--cpu", type=int, default=processors[-1], choices=processors)
    options = parser.parse_args()
    if options.rounds < 1 or options.messages < 1:
        parser.error("--rounds and --messages must be at least 1")
    medians = measure(options.rounds, options.messages, options.cpu)
    report = {
        "python": platform.python_version(),
        "rounds": options.rounds,
        "messages": options.messages,
        "unit": {"idle": "bytes each", "the others": "hops per second of processor time"},
        "medians": {
            workload: {rival: round(number) for rival, number in numbers.items()}
            for workload, numbers in medians.items()
        },
        "ratios": ratios(medians),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
