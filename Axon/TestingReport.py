"""
What a failed test shows
========================
The part of Axon.Testing that looks into components: the end of the line for collected messages, an
eye on those that pass, the report that a failure comes with; and the exception that a test lets
happen inside a component.

Example Usage
-------------
What a test prints that waits for a third message::

    expected from 'outbox' of Doubler#1 within 5.0 s: 6
    nothing came
    time 5.0 s, 3 cycles, seed 17 (the same again: seed=17)
      Doubler#1: asleep, at test_doubler.py:12 in Doubler.main
      'outbox' of Doubler#1, taken: 2, 4
    last turns: Doubler#1, Doubler#1, Doubler#1
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

from Axon.Box import Inbox, Outbox
from Axon.Component import component
from Axon.Instruments import Instrument, place_of
from Axon.Microprocess import microprocess
from Axon.TestingMatchers import show_all
from Axon.TestingTime import SeededScheduler

_MOST = 20  # of anything


class Collector(component):
    """Collector(outbox) -> the end of an outbox of that name which leads nowhere else. Never runs:
    an inbox does not need its owner awake to take messages."""

    def __init__(self, outbox: str = "outbox") -> None:
        super().__init__()
        # As in a Pipeline: only into a "control" does Axon send the end of one that did not.
        self.boxname = "control" if outbox == "signal" else "inbox"
        self.box = self.inboxes[self.boxname]
        self.taken: deque[Any] = deque(maxlen=_MOST)

    def take(self) -> Any:
        message = self.recv(self.boxname)
        self.taken.append(message)
        return message

    def waiting(self) -> list[Any]:
        return list(self.box.q)

    def __len__(self) -> int:
        return len(self.box.q)


class Watch(Instrument):
    """Watch() -> copies what goes through some outboxes into a Collector each (``ends``)."""

    def __init__(self) -> None:
        self.ends: dict[Outbox, Collector] = {}

    def message(self, message: Any, outbox: Outbox | None, inbox: Inbox | None) -> None:
        box: Outbox | Inbox | None = outbox
        while isinstance(box, Outbox):  # also through the outboxes of those it is inside of
            if box in self.ends:
                self.ends[box].box.deliver(message)
            box = box.target


def crashing(process: microprocess, error: BaseException) -> None:
    """Raise error inside the process's main at its next turn. Raises ValueError if there will be
    none."""
    if process._axon_gen is None or process._isStopped():
        raise ValueError(f"{process.name} is not active: nothing can be raised in it")
    process._axon_gen = _raising(process._axon_gen, error)
    process.unpause()


def _raising(main: Any, error: BaseException) -> Iterator[object]:
    if not hasattr(main, "throw"):
        raise error  # it has not begun, and would know nothing of it
    try:
        result = main.throw(error)
    except StopIteration:  # it caught the error, and ended
        return
    yield result
    yield from main


def report_of(
    running: SeededScheduler,
    components: list[component],
    ends: dict[tuple[component, str], Collector],
) -> str:
    """Some lines about everything that a failure might be due to."""
    return "\n".join([_when(running), *_who(running, components), *_what(running, ends)])


def _when(running: SeededScheduler) -> str:
    seed = "no seed: the engine's own order"
    if running.seed is not None:
        seed = f"seed {running.seed} (the same again: seed={running.seed})"
    return f"time {running.clock()} s, {running.cycles} cycles, {seed}"


def _who(running: SeededScheduler, components: list[component]) -> Iterator[str]:
    everybody = dict.fromkeys([*components, *running.threads])
    for process in islice(everybody, _MOST):
        unread = [
            f"{name} {len(box.q)}"
            for name, box in getattr(process, "inboxes", {}).items()
            if box.q and box.target is None
        ]
        waiting = f"; unread: {', '.join(unread)}" if unread else ""
        yield f"  {running.label(process)}: {_state(running, process)}{waiting}"
    if len(everybody) > _MOST:
        yield f"  and {len(everybody) - _MOST} more"


def _state(running: SeededScheduler, process: microprocess) -> str:
    if process._isStopped():
        return "ended"
    if process not in running.threads:
        return "active elsewhere" if process.scheduler else "not active"
    place = place_of(process)
    where = f", at {place}" if place else ""
    if not process.asleep:
        return f"awake{where}"
    alarm = process._axon_alarm
    until = f" until {alarm.when} at the latest" if alarm is not None and alarm.pending else ""
    return f"asleep{until}{where}"


def _what(running: SeededScheduler, ends: dict[tuple[component, str], Collector]) -> Iterator[str]:
    for (owner, name), end in islice(ends.items(), _MOST):
        box = f"  {name!r} of {running.label(owner)}"
        if end.taken:
            yield f"{box}, taken: {show_all(end.taken)}"
        if len(end):
            yield f"{box}, not taken: {show_all(end.waiting())}"
    if running.trace:
        latest = [name for _, name in running.trace][-_MOST:]
        yield f"last turns: {', '.join(latest)}"
