"""
Taking a snapshot of a running program
======================================
``snapshot`` goes through all components that a scheduler runs and, from these, by links, parents
and children, through those it does not run: a child that is not active yet, a parent that is over.
A component that waits inside another generator (``yield from``, WaitComplete) is a component like
any other.

It may be asked for anywhere, also in another thread than the scheduler's, which then takes it
between two turns. Numbers of messages and steps are in it when the scheduler has a Counts
instrument.

Example Usage
-------------
::

    from Axon.Survey import snapshot

    for one in snapshot().components:
        print(one.name, one.state, one.place, sum(box.waiting for box in one.boxes))
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

from Axon.Box import Inbox, Outbox
from Axon.Component import component
from Axon.Instruments import Counts, place_of
from Axon.Linkage import Passthrough
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Axon.Snapshot import (
    BoxState,
    ComponentState,
    Direction,
    End,
    LinkState,
    Snapshot,
    State,
)
from Axon.Storage import holder_of

ANSWER_SECONDS = 10.0
LONGEST_TEXT = 200  # of a name or a description: a program may call its components anything
_NOT_THE_AUTHORS = tuple(os.path.dirname(name) + "/" for name in (__file__, os.__file__))  # noqa: PTH120 - compared as text

AnyBox = Inbox | Outbox
Result = TypeVar("Result")


class Traffic:
    """Traffic(counts) -> messages by the box in which they were put (``at``), and by the box over
    whose link they left (``over``). They are counted by sender and receiver; this spreads them over
    the links between."""

    def __init__(self, counts: Counts) -> None:
        self.at: dict[AnyBox, int] = {}
        self.over: dict[AnyBox, int] = {}
        for outbox, inbox, number in counts.links():
            for end in (outbox, inbox):
                if end is not None:
                    self.at[end] = self.at.get(end, 0) + number
            box: AnyBox | None = outbox
            while box is not None and box is not inbox:
                self.over[box] = self.over.get(box, 0) + number
                box = box.target


def snapshot(
    running: scheduler | None = None, counts: Counts | None = None, limit: int | None = None
) -> Snapshot:
    """Take a snapshot of a scheduler (the default one), of at most limit components, with the
    numbers of counts (by default of a Counts that is among the scheduler's instruments). Raises
    TimeoutError if the scheduler runs in another thread and does not get round to it."""
    running = running if running is not None else scheduler.run
    return between_turns(running, lambda: _take(running, counts, limit))


def between_turns(running: scheduler, call: Callable[[], Result]) -> Result:
    """Do call() in the thread that runs a scheduler, where nothing changes meanwhile, and return
    what it returns or raise what it raises. Raises TimeoutError if the scheduler does not get
    round to it."""
    if running.thread_id is None or running.thread_id == threading.get_ident():
        return call()
    outcome: Future[Result] = Future()

    def there() -> None:
        if outcome.set_running_or_notify_cancel():
            try:
                outcome.set_result(call())
            except BaseException as error:  # noqa: BLE001 - raised again below, where it was asked for
                outcome.set_exception(error)

    running.call_from_thread(there)
    try:
        return outcome.result(ANSWER_SECONDS)
    except TimeoutError:
        if not outcome.cancel():
            raise
        raise TimeoutError(
            f"the scheduler did not answer within {ANSWER_SECONDS:.0f} seconds: it has ended, or "
            "one of its components does not yield"
        ) from None


def _take(running: scheduler, counts: Counts | None, limit: int | None) -> Snapshot:
    if counts is None:
        counts = next((one for one in running._instruments if isinstance(one, Counts)), None)
    scheduled = list(running.threads)
    found = _reachable(scheduled if limit is None else scheduled[:limit], limit)
    traffic = None if counts is None else Traffic(counts)
    return Snapshot(
        pid=os.getpid(),
        time=running.clock(),
        components=tuple(_component(process, running, counts, traffic) for process in found),
        links=tuple(_links(found, traffic)),
        timers=sum(1 for entry in running._timers.entries if entry[2].pending),
        files=len(getattr(running._waiter, "_callbacks", ())),
        steps=None if counts is None else counts.total_steps,
        messages=None if counts is None else counts.total_messages,
        omitted=max(0, len(scheduled) - len(found)),
    )


def _reachable(scheduled: list[microprocess], limit: int | None) -> dict[microprocess, None]:
    """Those and, breadth first, all that they are linked or related to."""
    found: dict[microprocess, None] = dict.fromkeys(scheduled)
    waiting = list(found)
    for process in waiting:  # which grows meanwhile
        for other in _neighbours(process):
            if other not in found and (limit is None or len(found) < limit):
                found[other] = None
                waiting.append(other)
    return found


def _neighbours(process: microprocess) -> Iterator[microprocess]:
    if process._axon_parent is not None:
        yield process._axon_parent
    if isinstance(process, component):
        yield from process._axon_children or ()
        for box in _boxes(process):
            for other in (*box.sources, box.target):
                holder = None if other is None else holder_of(other)
                if isinstance(holder, component):
                    yield holder


def _boxes(process: component) -> Iterator[AnyBox]:
    yield from process.inboxes.values()
    yield from process.outboxes.values()


# ---- one component


def _component(
    process: microprocess, running: scheduler, counts: Counts | None, traffic: Traffic | None
) -> ComponentState:
    state, seconds = _state(process, running)
    kind, parent = type(process), process._axon_parent
    thread: threading.Thread | None = getattr(process, "_axon_thread", None)
    return ComponentState(
        id=process.id,
        name=_text(process.name),
        kind=_text(f"{kind.__module__}.{kind.__qualname__}"),
        parent=None if parent is None else parent.id,
        state=state,
        seconds=seconds,
        threaded=thread is not None,
        place=_text(_place_of_thread(thread) if thread is not None else place_of(process)),
        steps=None if counts is None else counts.steps.get(process, 0),
        boxes=tuple(_box(process, box, traffic) for box in _boxes(process))
        if isinstance(process, component)
        else (),
    )


def _text(text: str | None) -> Any:
    return None if text is None else str(text)[:LONGEST_TEXT]


def _state(process: microprocess, running: scheduler) -> tuple[State, float | None]:
    if process not in running.threads:
        return State.INACTIVE, None
    if not process.asleep:
        return State.AWAKE, None
    alarm = process._axon_alarm
    if alarm is not None and alarm.pending:
        return State.WAITING, max(0.0, alarm.when - running.clock())
    return State.ASLEEP, None


def _place_of_thread(thread: threading.Thread) -> str | None:
    """The innermost line of a thread that is the author's: what it waits in is nearly always a
    function of Axon or of the standard library, and says little."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        name = frame.f_code.co_filename
        installed = "-packages" in name  # a library's, though it lies in the same folder
        if installed or not name.startswith(_NOT_THE_AUTHORS):
            return f"{name.rpartition('/')[2]}:{frame.f_lineno} in {frame.f_code.co_qualname}"
        frame = frame.f_back
    return None


def _box(process: component, box: AnyBox, traffic: Traffic | None) -> BoxState:
    incoming = isinstance(box, Inbox)
    # What a threaded component has taken in and its thread has not read yet, or the other way.
    queues = getattr(process, "_to_thread" if incoming else "_from_thread", {})
    declared: Any = process.Inboxes if incoming else process.Outboxes
    return BoxState(
        name=_text(box.name),
        direction=Direction.IN if incoming else Direction.OUT,
        waiting=box.local_len() + len(queues.get(box.name, ())),
        messages=None if traffic is None else traffic.at.get(box, 0),
        limit=box.size if isinstance(box, Inbox) else None,
        description=_text(declared.get(box.name, "") if isinstance(declared, dict) else ""),
    )


# ---- links


def _links(found: dict[microprocess, None], traffic: Traffic | None) -> Iterator[LinkState]:
    # Not box.owner: that is who is woken, and a component that never sleeps, such as a socket's,
    # has put somebody else there.
    owners = {
        box: process
        for process in found
        if isinstance(process, component)
        for box in _boxes(process)
    }
    for box, process in owners.items():
        target = box.target
        if target is not None and target in owners:
            yield LinkState(
                source=_end(process, box),
                sink=_end(owners[target], target),
                passthrough=_passthrough(box, target),
                messages=None if traffic is None else traffic.over.get(box, 0),
            )


def _end(owner: microprocess, box: AnyBox) -> End:
    direction = Direction.IN if isinstance(box, Inbox) else Direction.OUT
    return End(owner.id, direction, _text(box.name))


def _passthrough(source: AnyBox, sink: AnyBox) -> int:
    if isinstance(source, Inbox):
        return int(Passthrough.INBOX_TO_INBOX)
    if isinstance(sink, Outbox):
        return int(Passthrough.OUTBOX_TO_OUTBOX)
    return int(Passthrough.OUTBOX_TO_INBOX)
