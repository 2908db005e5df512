"""
What table.py measures
======================
One row for each workload and metric: what it is, which systems run it, and what is demanded. A
demand is how many times better than a rival this Axon must be at least (for what is counted in
seconds or bytes, better means less), or a bound for our own number.

Example Usage
-------------
::

    for workload in WORKLOADS:
        print(workload.name, workload.meaning)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

OURS = "axon"
SYSTEMS = {
    OURS: "Axon",
    "original": "original",
    "asyncio": "asyncio",
    "streams": "asyncio streams",
    "trio": "trio",
    "bare": "bare Python",
}
_ALL = ("original", "asyncio", "trio", "bare")
_TASKS = ("original", "asyncio", "trio")


class Better(Enum):
    """Which way is up."""

    MORE = "more"
    LESS = "less"


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of a run. must: rival -> how many times better; limit: for our own number."""

    key: str
    unit: str
    better: Better = Better.LESS
    must: dict[str, float] = field(default_factory=dict)
    limit: float | None = None

    def advantage(self, ours: float, theirs: float) -> float:
        """How many times better ours is; above 1 is better, whichever way is up."""
        more, less = (ours, theirs) if self.better is Better.MORE else (theirs, ours)
        return max(more, 1e-9) / max(less, 1e-9)


@dataclass(frozen=True, slots=True)
class Workload:
    """size: how much of it one run is; slower: divide it for these systems, whose rate says the
    same after fewer."""

    name: str
    meaning: str
    metrics: tuple[Metric, ...]
    size: int
    rivals: tuple[str, ...]
    slower: dict[str, int] = field(default_factory=dict)
    tcp: bool = False

    def size_for(self, system: str, scale: float) -> int:
        return max(1, int(self.size * scale / self.slower.get(system, 1)))


def _rate(unit: str, limit: float | None = None, **must: float) -> tuple[Metric]:
    return (Metric("per_second", unit, Better.MORE, must, limit),)


def _bytes(limit: float | None = None, **must: float) -> tuple[Metric]:
    return (Metric("bytes", "bytes", Better.LESS, must, limit),)


def _latency(limit: float | None = None) -> tuple[Metric, Metric]:
    return Metric("p50_us", "us, p50", limit=limit), Metric("p99_us", "us, p99")


_SLOW = {"original": 20, "trio": 4}

WORKLOADS = (
    Workload(
        "lock_step",
        "line of ten, one message a turn: a hop is a sleep and a wake-up",
        _rate("hops/s", original=25, asyncio=5, bare=1 / 3.3),
        40_000,
        _ALL,
        _SLOW,
    ),
    Workload(
        "burst",
        "the same, 64 messages a turn, read with dataReady() and recv()",
        _rate("hops/s"),
        60_000,
        _ALL,
        _SLOW,
    ),
    Workload(
        "burst_inbox",
        "the same, read with Inbox()",
        _rate("hops/s", original=40, asyncio=5, bare=1 / 3.2),
        60_000,
        _ALL,
        _SLOW,
    ),
    Workload(
        "bounded_1",
        "line of ten, each inbox holds one; asyncio's queues too",
        _rate("hops/s", original=15, asyncio=3.3),
        30_000,
        _TASKS,
        _SLOW,
    ),
    Workload(
        "bounded_16",
        "the same with sixteen",
        _rate("hops/s", asyncio=2),
        40_000,
        _TASKS,
        _SLOW,
    ),
    Workload(
        "ping_pong",
        "two that answer each other",
        _rate("round trips/s", asyncio=7),
        100_000,
        _ALL,
        _SLOW,
    ),
    Workload(
        "fan_100",
        "one source, a hundred workers, one sink",
        _rate("hops/s", original=300, asyncio=4),
        100_000,
        _TASKS,
        {"original": 50, "trio": 4},
    ),
    Workload("idle_bytes", "10,000 sleeping components", _bytes(1_500), 10_000, _ALL),
    Workload(
        "create",
        "making 10,000 and giving each its first turn",
        _rate("components/s", limit=200_000),
        10_000,
        _TASKS,
    ),
    Workload(
        "wake",
        "waking one of 100,000 sleepers and getting its answer",
        (Metric("cpu_us", "us", limit=1.5),),
        100_000,
        _TASKS,
    ),
    Workload(
        "left_behind",
        "memory that each of 100,000 ended components keeps, garbage collector off",
        _bytes(50),
        100_000,
        ("original", "asyncio"),
        {"original": 20},
    ),
    Workload(
        "million",
        "growth of the process by a million components, made, linked, run and ended",
        (
            Metric("bytes", "bytes in all", limit=2_000_000),
            Metric("per_second", "components/s", Better.MORE),
        ),
        1_000_000,
        ("asyncio",),
    ),
    Workload(
        "from_thread",
        "messages from a thread to a component",
        _rate("messages/s"),
        50_000,
        _TASKS,
        {"original": 5},
    ),
    Workload(
        "late_10",
        "how late a timer is beside 10 that never pause",
        _latency(),
        300,
        ("asyncio", "trio"),
    ),
    Workload(
        "late_100",
        "how late a timer is beside 100 that never pause",
        _latency(),
        300,
        ("asyncio", "trio"),
    ),
    Workload(
        "echo_50",
        "TCP echo, 50 connections: server's processor time",
        (
            Metric(
                "cpu_us",
                "us a request",
                must={"original": 150, "asyncio": 0.85, "streams": 1.5},
            ),
        ),
        50,
        ("original", "asyncio", "streams", "trio", "bare"),
        tcp=True,
    ),
    Workload(
        "echo_1000",
        "the same, 1000 connections",
        (
            Metric(
                "cpu_us",
                "us a request",
                must={"original": 1000, "asyncio": 0.75, "streams": 1.5},
            ),
        ),
        1000,
        ("original", "asyncio", "streams", "trio", "bare"),
        tcp=True,
    ),
    Workload(
        "idle_connections",
        "server's memory for each of 1000 idle TCP connections",
        _bytes(4_500),
        1000,
        ("original", "asyncio", "streams", "trio", "bare"),
        {"original": 5},
        tcp=True,
    ),
    Workload(
        "busy_10",
        "TCP echo beside 10 components that never pause",
        _latency(500),
        1000,
        _TASKS,
        {"original": 5},
        tcp=True,
    ),
    Workload(
        "busy_100",
        "TCP echo beside 100 components that never pause",
        _latency(1_500),
        1000,
        _TASKS,
        {"original": 5},
        tcp=True,
    ),
)
QUICK_WORKLOADS = ("lock_step", "burst_inbox", "ping_pong", "idle_bytes")
QUICK_SYSTEMS = (OURS, "asyncio", "bare")
