"""
The systems that hops.py compares
=================================
One run of one of them, started by hops.py::

    rivals.py WORKLOAD SYSTEM MESSAGES PROCESSOR

prints hops a second of processor time, or for "idle" the bytes that each sleeper takes.

The three write the same program in their own idiom. What they have in common: ten stages, of which
the first sends and the last counts; None is the end of data; a burst is as long as a queue is deep.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from time import process_time

from Axon.Component import component
from Axon.Scheduler import scheduler
from Kamaelia.Chassis.Pipeline import Pipeline

STAGES = 10
BURST = 64

# ---- Axon


class Source(component):
    """Sends the numbers below messages, burst of them a turn, then None."""

    messages, burst = 0, 1

    def main(self) -> Iterator[object]:
        for start in range(0, self.messages, self.burst):
            for number in range(start, min(start + self.burst, self.messages)):
                self.send(number, "outbox")
            yield 1
        self.send(None, "outbox")


class Relay(component):
    """Hands on what comes; ends after None."""

    def main(self) -> Iterator[object]:
        while True:
            for message in self.Inbox("inbox"):
                self.send(message, "outbox")
                if message is None:
                    return
            if not self.anyReady():
                self.pause()
            yield 1


class Sink(component):
    """Counts what comes; ends after None."""

    count = 0

    def main(self) -> Iterator[object]:
        while True:
            for message in self.Inbox("inbox"):
                if message is None:
                    return
                self.count += 1
            if not self.anyReady():
                self.pause()
            yield 1


class Ping(component):
    """Sends a number, waits for an answer, messages times; then None."""

    messages, count = 0, 0

    def main(self) -> Iterator[object]:
        for number in range(self.messages):
            self.send(number, "outbox")
            while not self.dataReady("inbox"):
                self.pause()
                yield 1
            self.recv("inbox")
            self.count += 1
        self.send(None, "outbox")


class Crowd(component):
    """Makes a number of relays that sleep, and measures them."""

    number, bytes_each = 0, 0.0

    def main(self) -> Iterator[object]:
        before = allocated()
        sleepers = [Relay().activate() for _ in range(self.number)]
        yield 1  # each takes its first turn
        yield 1
        self.bytes_each = (allocated() - before) / len(sleepers)
        scheduler.run.stop()
        yield 1


def axon_line(messages: int, burst: int) -> int:
    sink = Sink()
    relays = [Relay() for _ in range(STAGES - 2)]
    Pipeline(Source(messages=messages, burst=burst), *relays, sink).run()
    return sink.count


def axon_ping_pong(messages: int) -> int:
    ping = Ping(messages=messages)
    Pipeline(ping, Relay(), circular=True).run()
    return ping.count


def axon_idle(number: int) -> float:
    crowd = Crowd(number=number)
    crowd.run()
    return crowd.bytes_each


# ---- asyncio

Queue = asyncio.Queue[int | None]


async def asyncio_source(messages: int, out: Queue) -> None:
    for number in range(messages):
        await out.put(number)
    await out.put(None)


async def asyncio_relay(inbox: Queue, out: Queue) -> None:
    while True:
        message = await inbox.get()
        await out.put(message)
        if message is None:
            return


async def asyncio_sink(inbox: Queue) -> int:
    count = 0
    while await inbox.get() is not None:
        count += 1
    return count


async def asyncio_line(messages: int, burst: int) -> int:
    queues = [Queue(burst) for _ in range(STAGES - 1)]
    async with asyncio.TaskGroup() as tasks:
        for inbox, out in pairwise(queues):
            tasks.create_task(asyncio_relay(inbox, out))
        counting = tasks.create_task(asyncio_sink(queues[-1]))
        tasks.create_task(asyncio_source(messages, queues[0]))
    return counting.result()


async def asyncio_ping_pong(messages: int) -> int:
    there, back = Queue(1), Queue(1)
    count = 0
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio_relay(there, back))
        for number in range(messages):
            await there.put(number)
            await back.get()
            count += 1
        await there.put(None)
    return count


async def asyncio_idle(number: int) -> float:
    before = allocated()
    out = Queue()
    sleepers = [asyncio.create_task(asyncio_relay(Queue(), out)) for _ in range(number)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    bytes_each = (allocated() - before) / len(sleepers)
    for sleeper in sleepers:
        sleeper.cancel()
    return bytes_each


# ---- bare generators: one loop, a deque between each two, and a flag for who sleeps


class Bare:
    """Bare(stages) -> generators that wake each other; stage n reads queues[n]."""

    def __init__(self, stages: int) -> None:
        self.queues: list[deque[int | None]] = [deque() for _ in range(stages)]
        self.asleep = [False] * stages
        self.ready: deque[int] = deque(range(stages))
        self.count = 0

    def source(self, messages: int, burst: int) -> Iterator[bool]:
        queue, asleep, ready = self.queues[1], self.asleep, self.ready
        for start in range(0, messages, burst):
            queue.extend(range(start, min(start + burst, messages)))
            if asleep[1]:
                asleep[1] = False
                ready.append(1)
            yield True
        queue.append(None)
        if asleep[1]:
            asleep[1] = False
            ready.append(1)

    def relay(self, me: int, following: int) -> Iterator[bool]:
        inbox, out, asleep, ready = (
            self.queues[me],
            self.queues[following],
            self.asleep,
            self.ready,
        )
        while True:
            while inbox:
                message = inbox.popleft()
                out.append(message)
                if asleep[following]:
                    asleep[following] = False
                    ready.append(following)
                if message is None:
                    return
            asleep[me] = True
            yield False

    def sink(self, me: int) -> Iterator[bool]:
        inbox, asleep = self.queues[me], self.asleep
        while True:
            while inbox:
                if inbox.popleft() is None:
                    return
                self.count += 1
            asleep[me] = True
            yield False

    def ping(self, messages: int) -> Iterator[bool]:
        inbox, out, asleep, ready = self.queues[0], self.queues[1], self.asleep, self.ready
        for number in [*range(messages), None]:
            out.append(number)
            if asleep[1]:
                asleep[1] = False
                ready.append(1)
            while not inbox:
                asleep[0] = True
                yield False
            inbox.popleft()
            self.count += number is not None

    def run(self, stages: list[Iterator[bool]]) -> int:
        ready = self.ready
        while ready:
            stage = ready.popleft()
            for awake in stages[stage]:
                if awake:
                    ready.append(stage)
                break
        return self.count


def bare_line(messages: int, burst: int) -> int:
    bare = Bare(STAGES)
    relays = [bare.relay(stage, stage + 1) for stage in range(1, STAGES - 1)]
    return bare.run([bare.source(messages, burst), *relays, bare.sink(STAGES - 1)])


def bare_ping_pong(messages: int) -> int:
    bare = Bare(2)
    return bare.run([bare.ping(messages), bare.relay(1, 0)])


def bare_idle(number: int) -> float:
    before = allocated()
    bare = Bare(number)
    sleepers = [bare.relay(stage, 0) for stage in range(number)]
    bare.run(sleepers)
    return (allocated() - before) / len(sleepers)


# ---- measuring


def allocated() -> int:
    return tracemalloc.get_traced_memory()[0]


def rate(run: Callable[[int], int], messages: int, hops_each: int) -> float:
    """Hops a second of processor time; an error if a message got lost."""
    start = process_time()
    arrived = run(messages)
    seconds = process_time() - start
    if arrived != messages:
        raise SystemExit(f"{arrived} of {messages} messages arrived")
    return messages * hops_each / max(seconds, 1e-9)


LINES: dict[str, Callable[[int, int], int]] = {
    "axon": axon_line,
    "asyncio": lambda messages, burst: asyncio.run(asyncio_line(messages, burst)),
    "bare": bare_line,
}
PING_PONGS: dict[str, Callable[[int], int]] = {
    "axon": axon_ping_pong,
    "asyncio": lambda messages: asyncio.run(asyncio_ping_pong(messages)),
    "bare": bare_ping_pong,
}
IDLERS: dict[str, Callable[[int], float]] = {
    "axon": axon_idle,
    "asyncio": lambda number: asyncio.run(asyncio_idle(number)),
    "bare": bare_idle,
}


def measure(workload: str, rival: str, messages: int) -> float:
    match workload:
        case "lock_step":
            return rate(lambda count: LINES[rival](count, 1), messages, STAGES - 1)
        case "burst":
            return rate(lambda count: LINES[rival](count, BURST), messages, STAGES - 1)
        case "ping_pong":
            return rate(PING_PONGS[rival], messages, 2)
        case "idle":
            tracemalloc.start()
            return IDLERS[rival](messages)
        case _:
            raise SystemExit(f"no such workload: {workload}")


def main() -> None:
    workload, rival, messages, cpu = sys.argv[1:]
    os.sched_setaffinity(0, {int(cpu)})
    print(measure(workload, rival, int(messages)))


if __name__ == "__main__":
    main()
