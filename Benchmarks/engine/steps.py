"""
What the single steps cost
==========================
Nanoseconds for a send, a look into a box, a turn, as the best of many tries: what the table's rows
are made of. Prints a Markdown table.

    PYTHONPATH=. python Benchmarks/engine/steps.py
    PYTHONPATH=. python Benchmarks/engine/steps.py --number 50000
"""

from __future__ import annotations

import argparse
import os
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from Axon.Component import component
from Axon.Instruments import Instrument
from Axon.Scheduler import scheduler

TRIES = 9
MANY = 64
RUN_QUEUE = 10


class Turner(component):
    """Yields so often; the one with ends=True then stops the run."""

    turns, ends = 0, False

    def main(self) -> Iterator[object]:
        for _ in range(self.turns):
            yield 1
        if self.ends:
            scheduler.run.stop()
        yield 1


def linked(bound: int | None = None) -> tuple[component, component]:
    """A sender and a receiver, active and in their first turn for ever."""
    sender, receiver = component().activate(), component().activate()
    sender.link((sender, "outbox"), (receiver, "inbox"))
    receiver.setInboxSize("inbox", bound)
    return sender, receiver


@contextmanager
def watched() -> Iterator[None]:
    """With an instrument that does nothing."""
    instrument = Instrument()
    scheduler.run.add_instrument(instrument)
    try:
        yield
    finally:
        scheduler.run.remove_instrument(instrument)


def send_and_recv(bound: int | None = None) -> Callable[[], object]:
    sender, receiver = linked(bound)

    def step() -> None:
        sender.send(1, "outbox")
        receiver.recv("inbox")

    return step


def send_asked_and_recv() -> Callable[[], object]:
    """The sender asks how many wait: the next recv wakes it."""
    sender, receiver = linked()
    outbox = sender.outboxes["outbox"]

    def step() -> None:
        sender.send(1, "outbox")
        len(outbox)
        receiver.recv("inbox")

    return step


def send_many(inbox: bool) -> Callable[[], object]:
    """MANY at a time, read with Inbox() or with dataReady() and recv()."""
    sender, receiver = linked()

    def with_inbox() -> None:
        for number in range(MANY):
            sender.send(number, "outbox")
        for _ in receiver.Inbox("inbox"):
            pass

    def with_recv() -> None:
        for number in range(MANY):
            sender.send(number, "outbox")
        while receiver.dataReady("inbox"):
            receiver.recv("inbox")

    return with_inbox if inbox else with_recv


def best(step: Callable[[], object], number: int, parts: int = 1) -> float:
    number = max(1, number // parts)
    return min(timeit.repeat(step, number=number, repeat=TRIES)) / number / parts * 1e9


def turn(number: int) -> float:
    """Of a run queue of RUN_QUEUE."""
    tries = []
    for _ in range(TRIES):
        for _ in range(RUN_QUEUE - 1):
            Turner(turns=number + 1).activate()
        Turner(turns=number, ends=True).activate()
        start = perf_counter()
        scheduler.run.runThreads()
        tries.append((perf_counter() - start) / number / RUN_QUEUE * 1e9)
    return min(tries)


def steps(number: int) -> Iterator[tuple[str, float]]:
    """Name and nanoseconds of each."""
    yield "a turn: the scheduler, and a generator that yields", turn(number)
    with watched():
        yield "the same with an instrument added", turn(number)
    receiver = linked()[1]
    yield (
        "a method call that does nothing, for comparison",
        best(receiver.initialiseComponent, number),
    )
    yield "`dataReady()`, box empty", best(receiver.dataReady, number)
    yield "`anyReady()`, two boxes, both empty", best(receiver.anyReady, number)
    yield "`send()` and `recv()`", best(send_and_recv(), number)
    yield (
        f"`send()`, `dataReady()`, `recv()`, {MANY} at a time",
        best(send_many(False), number, MANY),
    )
    yield f"`send()` and `Inbox()`, {MANY} at a time", best(send_many(True), number, MANY)
    yield "`send()` and `recv()`, inbox with a limit", best(send_and_recv(16), number)
    yield "`send()`, `len(outbox)`, `recv()`: a wake-up armed", best(send_asked_and_recv(), number)
    with watched():
        yield "`send()` and `recv()` with an instrument added", best(send_and_recv(), number)


def main() -> None:
    processors = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description="Nanoseconds of the engine's single steps.")
    parser.add_argument("--number", type=int, default=20_000, help="of each, nine times over")
    parser.add_argument("--cpu", type=int, default=processors[-1], choices=processors)
    options = parser.parse_args()
    if options.number < 1:
        parser.error("--number must be at least 1")
    os.sched_setaffinity(0, {options.cpu})
    print("| step | ns |\n|---|--:|")
    for name, nanoseconds in steps(options.number):
        print(f"| {name} | {nanoseconds:.0f} |")


if __name__ == "__main__":
    main()
