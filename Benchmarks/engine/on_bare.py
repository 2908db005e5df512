"""
The workloads as bare generators
================================
One loop, a deque between each two, and a flag for who sleeps: the least that anything like Axon
must do, without components, boxes or an API. It says how far down the costs could go in Python.

    python on_bare.py WORKLOAD SIZE PROCESSOR       see measuring.py
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from measuring import BURST, STAGES, Stopwatch, allocated, finish, finish_line, run_child

Step = Iterator[bool]  # True: to be called again at once; False: asleep


class Bare:
    """Bare(stages) -> generators that wake each other; stage n reads queues[n]."""

    def __init__(self, stages: int) -> None:
        self.queues: list[deque[int | None]] = [deque() for _ in range(stages)]
        self.asleep = [False] * stages
        self.ready: deque[int] = deque(range(stages))
        self.count = 0

    def source(self, messages: int, burst: int) -> Step:
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

    def relay(self, me: int, following: int) -> Step:
        inbox, out = self.queues[me], self.queues[following]
        asleep, ready = self.asleep, self.ready
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

    def sink(self, me: int) -> Step:
        inbox, asleep = self.queues[me], self.asleep
        while True:
            while inbox:
                if inbox.popleft() is None:
                    return
                self.count += 1
            asleep[me] = True
            yield False

    def ping(self, messages: int) -> Step:
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

    def run(self, stages: list[Step]) -> Stopwatch:
        ready, watch = self.ready, Stopwatch()
        while ready:
            stage = ready.popleft()
            for awake in stages[stage]:
                if awake:
                    ready.append(stage)
                break
        return watch


def line(messages: int, burst: int) -> None:
    bare = Bare(STAGES)
    relays = [bare.relay(stage, stage + 1) for stage in range(1, STAGES - 1)]
    watch = bare.run([bare.source(messages, burst), *relays, bare.sink(STAGES - 1)])
    finish_line(watch, bare.count, messages, STAGES - 1)


def ping_pong(messages: int) -> None:
    bare = Bare(2)
    watch = bare.run([bare.ping(messages), bare.relay(1, 0)])
    finish_line(watch, bare.count, messages, 1)


def idle_bytes(number: int) -> None:
    before = allocated()
    bare = Bare(number)
    sleepers = [bare.relay(stage, 0) for stage in range(number)]
    bare.run(sleepers)
    finish(bytes=(allocated() - before) / len(sleepers))


if __name__ == "__main__":
    run_child(
        {
            "lock_step": lambda messages: line(messages, 1),
            "burst": lambda messages: line(messages, BURST),
            "burst_inbox": lambda messages: line(messages, BURST),
            "ping_pong": ping_pong,
            "idle_bytes": idle_bytes,
        }
    )
