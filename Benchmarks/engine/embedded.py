"""
What it costs to run inside of asyncio
======================================
Runs the same systems of components with a scheduler that has the thread to itself, and with one
that is embedded in a running asyncio loop: one with nothing else to do, and one in which a task
asks for a turn in every round. Then one answer at a time through a Handle from another thread,
through an AsyncHandle in the loop, and, to compare, between two asyncio tasks. Prints one JSON
object; of it only the ratios mean anything on another machine, and only they are fit for a test.

    PYTHONPATH=. python Benchmarks/engine/embedded.py
    PYTHONPATH=. python Benchmarks/engine/embedded.py --rounds 9 --messages 50000

How it measures: as table.py does. Each run is a child process of its own, all on one processor,
in every round all of them in a new order; the result is the median. Handles involve waiting, so for
the answers time is the clock's and not the processor's.

    lock_step   a line of ten, one message under way at a time (hops a second)
    burst       the same line, 64 messages at once (hops a second)
    answers     one message in, one out, before the next (answers a second)
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

from measuring import BURST, STAGES
from on_asyncio import relay as asyncio_relay
from on_axon import InboxRelay as Relay
from on_axon import InboxSink as Sink
from on_axon import Source

from Axon.AsyncioBridge import AsyncHandle, embedded
from Axon.background import background
from Axon.Handle import Handle
from Kamaelia.Chassis.Pipeline import Pipeline

HERE = Path(__file__).resolve()
ROOT = HERE.parent.parent.parent
CHILD_SECONDS = 120
WAYS = {
    "lock_step": ("alone", "embedded", "beside_a_task"),
    "burst": ("alone", "embedded", "beside_a_task"),
    "answers": ("thread", "embedded", "asyncio"),
}
BASE = {"lock_step": "alone", "burst": "alone", "answers": "asyncio"}


# ---- one run, in a child process


def line(messages: int, burst: int) -> tuple[Pipeline, Sink]:
    sink = Sink()
    relays = [Relay() for _ in range(STAGES - 2)]
    return Pipeline(Source(messages=messages, burst=burst), *relays, sink), sink


def line_alone(messages: int, burst: int) -> int:
    whole, sink = line(messages, burst)
    whole.run()
    return sink.count


async def line_embedded(messages: int, burst: int, restless: bool) -> int:
    whole, sink = line(messages, burst)
    async with embedded():
        joining = asyncio.create_task(AsyncHandle(whole).activate().join())
        while restless and not joining.done():
            await asyncio.sleep(0)
        await joining
    return sink.count


def answers_thread(messages: int) -> int:
    with background():
        handle = Handle(Relay()).activate()
        for number in range(messages):
            handle.put(number)
            handle.get(timeout=None)
    return messages


async def answers_embedded(messages: int) -> int:
    async with embedded():
        handle = AsyncHandle(Relay()).activate()
        for number in range(messages):
            await handle.put(number)
            await handle.get()
    return messages


async def answers_asyncio(messages: int) -> int:
    there: asyncio.Queue[int | None] = asyncio.Queue()
    back: asyncio.Queue[int | None] = asyncio.Queue()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio_relay(there, back))
        for number in range(messages):
            await there.put(number)
            await back.get()
        await there.put(None)
    return messages


def rate(run: Callable[[], int], messages: int, hops: int, clock: Callable[[], float]) -> float:
    start = clock()
    arrived = run()
    seconds = clock() - start
    if arrived != messages:
        raise SystemExit(f"{arrived} of {messages} messages arrived")
    return messages * hops / max(seconds, 1e-9)


def run_here(workload: str, way: str, messages: int) -> float:
    if workload == "answers":
        ways = {
            "thread": lambda: answers_thread(messages),
            "embedded": lambda: asyncio.run(answers_embedded(messages)),
            "asyncio": lambda: asyncio.run(answers_asyncio(messages)),
        }
        return rate(ways[way], messages, 1, perf_counter)
    burst = BURST if workload == "burst" else 1
    ways = {
        "alone": lambda: line_alone(messages, burst),
        "embedded": lambda: asyncio.run(line_embedded(messages, burst, restless=False)),
        "beside_a_task": lambda: asyncio.run(line_embedded(messages, burst, restless=True)),
    }
    return rate(ways[way], messages, STAGES - 1, process_time)


# ---- all of them


@dataclass(frozen=True, slots=True)
class Job:
    """One run: a workload, and how its scheduler is run."""

    workload: str
    way: str

    def run(self, messages: int, cpu: int) -> float:
        """Hops or answers a second, from a new process on that processor."""
        arguments = ["--child", self.workload, self.way, "--messages", str(messages)]
        done = subprocess.run(
            [sys.executable, str(HERE), *arguments, "--cpu", str(cpu)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"},
            stdout=subprocess.PIPE,
            timeout=CHILD_SECONDS,
            check=True,
        )
        return float(done.stdout)


def measure(rounds: int, messages: int, cpu: int) -> dict[str, dict[str, float]]:
    """Medians: workload -> way -> number."""
    jobs = [Job(workload, way) for workload, ways in WAYS.items() for way in ways]
    samples: dict[Job, list[float]] = defaultdict(list)
    for _ in range(rounds):
        random.shuffle(jobs)
        for job in jobs:
            samples[job].append(job.run(messages, cpu))
    return {
        workload: {way: statistics.median(samples[Job(workload, way)]) for way in ways}
        for workload, ways in WAYS.items()
    }


def ratios(medians: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Each way's number divided by that of the plain one; more is better."""
    return {
        workload: {
            f"{way}/{BASE[workload]}": round(number / numbers[BASE[workload]], 3)
            for way, number in numbers.items()
            if way != BASE[workload]
        }
        for workload, numbers in medians.items()
    }


def main() -> None:
    processors = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description="A scheduler alone, and embedded in asyncio.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=10_000, help="a run (default: %(default)s)")
    parser.add_argument("--cpu", type=int, default=processors[-1], choices=processors)
    parser.add_argument("--child", nargs=2, metavar=("WORKLOAD", "WAY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rounds < 1 or options.messages < 1:
        parser.error("--rounds and --messages must be at least 1")
    if options.child:
        os.sched_setaffinity(0, {options.cpu})
        print(run_here(*options.child, options.messages))
        return
    medians = measure(options.rounds, options.messages, options.cpu)
    report = {
        "python": platform.python_version(),
        "rounds": options.rounds,
        "messages": options.messages,
        "unit": {"answers": "a second", "the others": "hops per second of processor time"},
        "medians": {
            workload: {way: round(number) for way, number in numbers.items()}
            for workload, numbers in medians.items()
        },
        "ratios": ratios(medians),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
