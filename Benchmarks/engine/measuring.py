"""
What every measured program has in common
=========================================
A child of table.py runs one workload on one system, prints one JSON object, and is over at once:
nothing is closed down, for what that costs belongs to no row. Only the standard library is needed,
since children run in environments of their own.

    python on_asyncio.py ping_pong 1000 0      workload, size, processor
    {"per_second": 119000.0, "wall_per_second": 118000.0}
"""

from __future__ import annotations

import json
import os
import sys
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter, process_time

STAGES = 10  # of a line, with the first, which sends, and the last, which counts
BURST = 64
PROBES = 10  # of a crowd of sleepers, those that get woken
WAKES = 2_000
WAVE = 1_000  # components that live at the same time, where very many are made and ended
BURN_SECONDS = 10e-6  # that one which never pauses takes a turn
TIMER_SECONDS = 0.002


def finish(**metrics: float) -> None:
    """Print the result and leave, from wherever it is called."""
    print(json.dumps(metrics), flush=True)
    os._exit(0)


class Stopwatch:
    """Processor time and the clock's, from when it was made on."""

    def __init__(self) -> None:
        self.cpu, self.wall = process_time(), perf_counter()

    def rate(self, count: float) -> dict[str, float]:
        cpu, wall = process_time() - self.cpu, perf_counter() - self.wall
        return {
            "per_second": count / max(cpu, 1e-9),
            "wall_per_second": count / max(wall, 1e-9),
        }

    def each(self, count: float) -> dict[str, float]:
        """Microseconds of processor time for each of them."""
        return {"cpu_us": (process_time() - self.cpu) / count * 1e6}


def finish_line(watch: Stopwatch, arrived: int, messages: int, hops: int) -> None:
    """The end of a workload in which all that was sent must arrive."""
    if arrived != messages:
        raise SystemExit(f"{arrived} of {messages} messages arrived")
    finish(**watch.rate(messages * hops))


def percentiles(samples: Sequence[float]) -> dict[str, float]:
    """Of seconds, in microseconds."""
    ordered = sorted(samples)
    at = {"p50_us": 0.5, "p99_us": 0.99}
    return {
        name: ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1e6
        for name, part in at.items()
    }


def allocated() -> int:
    """Bytes that Python objects take; the first call starts the counting."""
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    return tracemalloc.get_traced_memory()[0]


def resident(process: int | str = "self") -> int:
    """Bytes of a process that lie in memory."""
    with open(f"/proc/{process}/statm", encoding="ascii") as statm:  # noqa: PTH123 - as small as can be
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def burn() -> None:
    """Keep the processor busy for a turn's worth."""
    end = perf_counter() + BURN_SECONDS
    while perf_counter() < end:
        pass


def run_child(workloads: Mapping[str, Callable[[int], object]]) -> None:
    """The main program of on_....py."""
    workload, size, cpu = sys.argv[1:]
    os.sched_setaffinity(0, {int(cpu)})
    workloads[workload](int(size))
    raise SystemExit(f"{workload} ended without a result")
