"""
The workloads as components, for this Axon and for the original
===============================================================
The same text runs on both, so it keeps to what both have: no `put`, no `told_to_stop`, linkages by
hand, and shutdown by a None among the messages.

    python on_axon.py WORKLOAD SIZE PROCESSOR       see measuring.py
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from itertools import pairwise
from time import monotonic

from measuring import (
    BURST,
    PROBES,
    STAGES,
    TIMER_SECONDS,
    WAKES,
    WAVE,
    Stopwatch,
    allocated,
    burn,
    finish,
    finish_line,
    percentiles,
    resident,
    run_child,
)

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Scheduler import scheduler
from Axon.ThreadedComponent import threadedcomponent

Main = Iterator[object]

# ---- lines and fans


class Source(component):
    """Sends the numbers below messages, burst of them a turn, then None, over each of its boxes in
    turn."""

    messages, burst = 0, 1

    def main(self) -> Main:
        names = [name for name in self.outboxes if name != "signal"]
        for start in range(0, self.messages, self.burst):
            for number in range(start, min(start + self.burst, self.messages)):
                self.send(number, names[number % len(names)])
            yield 1
        for name in names:
            self.send(None, name)
        yield 1


class Relay(component):
    """Hands on what comes, as most components of the original do it; ends after None."""

    def main(self) -> Main:
        while True:
            while self.dataReady("inbox"):
                message = self.recv("inbox")
                self.send(message, "outbox")
                if message is None:
                    return
            if not self.anyReady():
                self.pause()
            yield 1


class InboxRelay(component):
    """The same with a loop over Inbox()."""

    def main(self) -> Main:
        while True:
            for message in self.Inbox("inbox"):
                self.send(message, "outbox")
                if message is None:
                    return
            if not self.anyReady():
                self.pause()
            yield 1


class BoundedSource(component):
    """Sends for as long as there is room, and sleeps until there is some."""

    messages = 0

    def main(self) -> Main:
        for message in [*range(self.messages), None]:
            while True:
                try:
                    self.send(message, "outbox")
                    break
                except noSpaceInBox:
                    self.pause()
                    yield 1
        yield 1


class BoundedRelay(component):
    def main(self) -> Main:
        while True:
            while self.dataReady("inbox"):
                message = self.recv("inbox")
                while True:
                    try:
                        self.send(message, "outbox")
                        break
                    except noSpaceInBox:
                        self.pause()
                        yield 1
                if message is None:
                    return
            if not self.anyReady():
                self.pause()
            yield 1


class Sink(component):
    """Counts what comes; ends after as many None as there are ends."""

    count, ends = 0, 1

    def main(self) -> Main:
        while self.ends:
            while self.dataReady("inbox"):
                if self.recv("inbox") is None:
                    self.ends -= 1
                else:
                    self.count += 1
            if self.ends and not self.anyReady():
                self.pause()
            yield 1


class InboxSink(component):
    count = 0

    def main(self) -> Main:
        while True:
            for message in self.Inbox("inbox"):
                if message is None:
                    return
                self.count += 1
            if not self.anyReady():
                self.pause()
            yield 1


def run(*members: component) -> Stopwatch:
    """Run them until all have ended; the watch was started just before."""
    for member in members:
        member.activate()
    watch = Stopwatch()
    scheduler.run.runThreads()
    return watch


def line(source: component, relay: type[component], sink: Sink | InboxSink, bound: int = 0) -> None:
    """Link a line, run it, finish."""
    members = [source, *(relay() for _ in range(STAGES - 2)), sink]
    maker = component()
    for first, second in pairwise(members):
        if bound:
            second.setInboxSize("inbox", bound)
        maker.link((first, "outbox"), (second, "inbox"))
    watch = run(*members)
    finish_line(watch, sink.count, source.messages, STAGES - 1)  # type: ignore[attr-defined]


def lock_step(messages: int) -> None:
    line(Source(messages=messages), Relay, Sink())


def burst(messages: int) -> None:
    line(Source(messages=messages, burst=BURST), Relay, Sink())


def burst_inbox(messages: int) -> None:
    line(Source(messages=messages, burst=BURST), InboxRelay, InboxSink())


def bounded_1(messages: int) -> None:
    line(BoundedSource(messages=messages), BoundedRelay, Sink(), bound=1)


def bounded_16(messages: int) -> None:
    line(BoundedSource(messages=messages), BoundedRelay, Sink(), bound=16)


def fan_100(messages: int) -> None:
    names = [f"to_{number}" for number in range(100)]

    class FanSource(Source):
        Outboxes = {**dict.fromkeys(names, "int"), "signal": ""}

    source, sink, maker = FanSource(messages=messages), Sink(ends=len(names)), component()
    workers = [Relay() for _ in names]
    for name, worker in zip(names, workers, strict=True):
        maker.link((source, name), (worker, "inbox"))
        maker.link((worker, "outbox"), (sink, "inbox"))
    watch = run(sink, *workers, source)
    finish_line(watch, sink.count, messages, 2)


class Ping(component):
    """Sends a number, waits for the answer, messages times."""

    messages, count = 0, 0

    def main(self) -> Main:
        for number in range(self.messages):
            self.send(number, "outbox")
            while not self.dataReady("inbox"):
                self.pause()
                yield 1
            self.recv("inbox")
            self.count += 1
        self.send(None, "outbox")
        yield 1


def ping_pong(messages: int) -> None:
    ping, pong, maker = Ping(messages=messages), Relay(), component()
    maker.link((ping, "outbox"), (pong, "inbox"))
    maker.link((pong, "outbox"), (ping, "inbox"))
    watch = run(ping, pong)
    finish_line(watch, ping.count, messages, 1)


# ---- crowds of sleepers


class Measurer(component):
    """A component whose main is one measurement, which it is given."""

    def main(self) -> Main:
        yield 1
        yield from self.measurement(self)  # type: ignore[attr-defined]


def idle_bytes(number: int) -> None:
    def measurement(_me: component) -> Main:
        before = allocated()
        for _ in range(number):
            Relay().activate()  # the scheduler keeps it
        yield 1  # each takes its first turn
        yield 1
        finish(bytes=(allocated() - before) / number)

    run(Measurer(measurement=measurement))


def create(number: int) -> None:
    def measurement(_me: component) -> Main:
        watch = Stopwatch()
        for _ in range(number):
            Relay().activate()
        yield 1
        yield 1
        finish(**watch.rate(number))

    run(Measurer(measurement=measurement))


def wake(number: int) -> None:
    def measurement(me: component) -> Main:
        for _ in range(number):
            Relay().activate()
        probes = [Relay() for _ in range(PROBES)]
        for probe in probes:
            probe.activate()
            me.link((probe, "outbox"), (me, "inbox"))
        me.link((me, "outbox"), (probes[0], "inbox"))
        for _ in range(3):
            yield 1
        watch = Stopwatch()
        for each in range(WAKES):
            me.send(each, "outbox")
            while not me.dataReady("inbox"):
                me.pause()
                yield 1
            me.recv("inbox")
        finish(**watch.each(WAKES))

    run(Measurer(measurement=measurement))


# ---- ends


class Sender(component):
    def main(self) -> Main:
        self.send("message", "outbox")
        yield 1


class Taker(component):
    def main(self) -> Main:
        while not self.dataReady("inbox"):
            self.pause()
            yield 1
        self.recv("inbox")


def wave(me: component, number: int) -> Main:
    """Make so many, in pairs, link and run them, and wait until all have ended."""
    living: list[component] = []
    for _ in range(number // 2):
        pair = Sender(), Taker()
        me.link((pair[0], "outbox"), (pair[1], "inbox"))
        me.addChildren(*pair)
        for one in pair:
            one.activate()
        living.extend(pair)
    while living:
        me.pause()
        yield 1
        for child in living:
            if child._isStopped():
                me.removeChild(child)
        living = [one for one in living if not one._isStopped()]


def left_behind(number: int) -> None:
    def measurement(me: component) -> Main:
        yield from wave(me, WAVE)  # what is made once for all
        gc.collect()
        gc.disable()
        before, done = allocated(), 0
        while done < number:
            yield from wave(me, WAVE)
            done += WAVE
        finish(bytes=(allocated() - before) / done)

    run(Measurer(measurement=measurement))


def million(number: int) -> None:
    def measurement(me: component) -> Main:
        for _ in range(20):  # until the allocator has what it wants
            yield from wave(me, WAVE)
        before, done, watch = resident(), 0, Stopwatch()
        while done < number:
            yield from wave(me, WAVE)
            done += WAVE
        finish(bytes=float(resident() - before), **watch.rate(done))

    run(Measurer(measurement=measurement))


# ---- threads and time


class ThreadSource(threadedcomponent):
    messages = 0

    def main(self) -> None:
        for message in [*range(self.messages), None]:
            while True:
                try:
                    self.send(message, "outbox")
                    break
                except noSpaceInBox:
                    self.pause(0.01)


def from_thread(messages: int) -> None:
    source, sink, maker = ThreadSource(messages=messages), Sink(), component()
    maker.link((source, "outbox"), (sink, "inbox"))
    watch = run(source, sink)
    finish_line(watch, sink.count, messages, 1)


class Burner(component):
    """Never pauses."""

    def main(self) -> Main:
        while True:
            burn()
            yield 1


def late(timers: int, burners: int) -> None:
    """How late a sleeper's timer is. Not for the original, which has none."""

    def measurement(me: component) -> Main:
        late_by: list[float] = []
        while len(late_by) < timers:
            due = monotonic() + TIMER_SECONDS
            while monotonic() < due:
                me.pause(due - monotonic())
                yield 1
            late_by.append(monotonic() - due)
        finish(**percentiles(late_by))

    run(Measurer(measurement=measurement), *(Burner() for _ in range(burners)))


if __name__ == "__main__":
    run_child(
        {
            "lock_step": lock_step,
            "burst": burst,
            "burst_inbox": burst_inbox,
            "bounded_1": bounded_1,
            "bounded_16": bounded_16,
            "fan_100": fan_100,
            "ping_pong": ping_pong,
            "idle_bytes": idle_bytes,
            "create": create,
            "wake": wake,
            "left_behind": left_behind,
            "million": million,
            "from_thread": from_thread,
            "late_10": lambda timers: late(timers, 10),
            "late_100": lambda timers: late(timers, 100),
        }
    )
