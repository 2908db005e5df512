"""
Looking at a scheduler while it runs
====================================
An instrument is told what happens: who is activated, takes a step, sleeps, wakes, fails and ends,
and which message went where. Override the methods of what you want to see and give an instance to
``scheduler.add_instrument``. Without one a scheduler spends nothing on this, so the question "what
is it doing?" needs no second build of the program and no prints in its components.

Rules for those who write one: a method runs inside the scheduler's turn, so it must be quick and
must not block; it must not send, link, activate or pause; and it should forget a component in
``ended``, since a server sees a million of them. One that raises is taken off, with a line in the
log.

Ready-made ones are here: `Counts` (steps, and messages by link), `SlowTurns` (who keeps the others
waiting) and `StuckTurns` (who does not yield at all). Axon.Trace writes everything to a file that a
browser draws.

Example Usage
-------------
::

    from Axon.Instruments import Instrument, SlowTurns
    from Axon.Scheduler import scheduler


    class Deaths(Instrument):
        def ended(self, process):
            print(process.name, "has ended")


    scheduler.run.add_instrument(Deaths())
    scheduler.run.add_instrument(SlowTurns(limit=0.02))  # seconds; logs a warning
"""

from __future__ import annotations

import gc
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from time import monotonic
from types import CodeType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

from Axon.Box import Inbox, Outbox
from Axon.Storage import holder_of

if TYPE_CHECKING:
    from Axon.Microprocess import microprocess

log = logging.getLogger(__name__)

_DEEPEST = 100  # generators inside generators that are followed
_LONGEST_NAME = 80
_SHOWN_FRAMES = 20
_FIRST_PRUNE = 1024  # pairs of boxes


async def _nothing() -> None:
    """To get at the type of what drives a coroutine."""


_driven = _nothing()
_DriverType: Any = type(_driven.__await__())
_driven.close()


def plain(text: object, longest: int = _LONGEST_NAME) -> str:
    """A text as one line of printable characters, cut to a length: for names that come from a
    program, which may hold line breaks or a terminal's control sequences."""
    shown = str(text)[: longest + 1]
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in shown)
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."


Line = tuple[CodeType, int]


def place_of(process: microprocess) -> str | None:
    """Where a component stands, as "file.py:line in function": at its last yield, in the innermost
    generator. None: it has not begun, is over, or is not made of Python generators."""
    return place_text(line_of(process))


def line_of(process: microprocess) -> Line | None:
    """The same not yet as text, which takes most of the time."""
    inner: Any = process._axon_gen
    for _ in range(_DEEPEST):
        kind = type(inner)
        if kind is GeneratorType:
            below, frame = inner.gi_yieldfrom, inner.gi_frame
        elif kind is CoroutineType:
            below, frame = inner.cr_await, inner.cr_frame
        elif kind is _DriverType:  # which does not say what coroutine it drives
            (inner,) = gc.get_referents(inner)
            continue
        else:
            return None
        if type(below) not in (GeneratorType, CoroutineType, _DriverType):
            return None if frame is None else (frame.f_code, frame.f_lineno)
        inner = below
    return None


def place_text(line: Line | None) -> str | None:
    if line is None:
        return None
    code, number = line
    return f"{code.co_filename.rpartition('/')[2]}:{number} in {code.co_qualname}"


class Instrument:
    """All methods do nothing; override what you want to see."""

    def activated(self, process: microprocess) -> None:
        """It now belongs to the scheduler."""

    def before_step(self, process: microprocess) -> None:
        """Its generator is about to run up to the next yield."""

    def after_step(self, process: microprocess) -> None:
        """It has yielded, or failed, or ended: then this may come after failed() and ended()."""

    def message(self, message: Any, outbox: Outbox | None, inbox: Inbox | None) -> None:
        """A message was sent. outbox: the sender's box (None: delivered from outside, by a socket,
        say); inbox: the box it now lies in (None: linked to nothing, discarded)."""

    def paused(self, process: microprocess) -> None:
        """It sleeps from now on."""

    def woken(self, process: microprocess) -> None:
        """It slept and stands in the run queue again."""

    def failed(self, process: microprocess, error: BaseException) -> None:
        """Its step raised."""

    def ended(self, process: microprocess) -> None:
        """It is over, in whatever way; nothing more will be told of it, except the end of the step
        that it may be in."""


Pair = tuple[Outbox | None, Inbox | None]


class Counts(Instrument):
    """Counts() -> steps of each component that runs, and messages by link.

    ``total_steps`` and ``total_messages`` also hold those of components that have ended; the rest
    is forgotten with them."""

    def __init__(self) -> None:
        self.steps: dict[microprocess, int] = {}
        self.total_steps = 0
        self.total_messages = 0
        self.discarded = 0  # messages sent to an outbox that leads nowhere
        self._messages: dict[Pair, int] = {}
        self._prune_at = _FIRST_PRUNE

    def after_step(self, process: microprocess) -> None:
        self.total_steps += 1
        if not process._axon_stopped:  # in its last step it may be over, and forgotten, already
            self.steps[process] = self.steps.get(process, 0) + 1

    def message(self, message: Any, outbox: Outbox | None, inbox: Inbox | None) -> None:
        self.total_messages += 1
        if inbox is None:
            self.discarded += 1
        try:
            self._messages[outbox, inbox] += 1
        except KeyError:
            self._messages[outbox, inbox] = 1
            if len(self._messages) > self._prune_at:
                self._prune()

    def ended(self, process: microprocess) -> None:
        self.steps.pop(process, None)

    def links(self) -> Iterator[tuple[Outbox | None, Inbox | None, int]]:
        """(outbox, inbox, messages) of each pair that was used, with None as in message()."""
        for (outbox, inbox), number in self._messages.items():
            if _in_use(outbox) and _in_use(inbox):
                yield outbox, inbox, number

    def _prune(self) -> None:
        # All at once and seldom: no index by component is needed, and adaptive components, which
        # delete boxes and live on, are served as well.
        self._messages = {(out, box): number for out, box, number in self.links()}
        self._prune_at = max(_FIRST_PRUNE, 2 * len(self._messages))


def _in_use(box: Outbox | Inbox | None) -> bool:
    """False for a box of a component that has ended, and for one that was deleted."""
    if box is None:
        return True
    boxes = getattr(holder_of(box), "inboxes" if isinstance(box, Inbox) else "outboxes", {})
    return boxes.get(box.name) is box


SlowReport = Callable[["microprocess", float, "str | None", "str | None"], object]


def log_slow_turn(
    process: microprocess, seconds: float, began: str | None, stopped: str | None
) -> None:
    """Say who kept the others waiting, and between which yields."""
    log.warning(
        "%s kept everybody waiting for %.0f ms: from %s to %s; yield more often there, or put what "
        "blocks into a threadedcomponent",
        plain(process.name),
        seconds * 1000,
        plain(began or "its beginning", 200),
        plain(stopped or "its end", 200),
    )


class SlowTurns(Instrument):
    """SlowTurns(limit=0.05, report=log_slow_turn) -> reports turns longer than limit seconds.

    While one component has its turn nobody else runs: no socket is read, no timer is kept. A
    component is reported again only when it was twice as slow as the last time, so that a slow one
    does not flood the log as well."""

    def __init__(
        self,
        limit: float = 0.05,
        report: SlowReport = log_slow_turn,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.limit = limit
        self._report = report
        self._clock = clock
        self._worst: dict[microprocess, float] = {}
        self._line: Line | None = None
        self._began: float | None = None  # not in a turn

    def before_step(self, process: microprocess) -> None:
        self._line = line_of(process)
        self._began = self._clock()

    def after_step(self, process: microprocess) -> None:
        if self._began is None:
            return
        took = self._clock() - self._began
        self._began = None
        if took > self.limit and took >= 2 * self._worst.get(process, 0.0):
            self._worst[process] = took
            self._report(process, took, place_text(self._line), place_of(process))

    def failed(self, process: microprocess, error: BaseException) -> None:
        self.after_step(process)

    def ended(self, process: microprocess) -> None:
        self.after_step(process)
        self._worst.pop(process, None)


StuckReport = Callable[["microprocess", str], object]


def log_stuck_turn(process: microprocess, stack: str) -> None:
    """Say who does not yield, and where it is."""
    log.warning("%s does not yield; nobody else runs. It is at\n%s", plain(process.name), stack)


class StuckTurns(Instrument):
    """StuckTurns(seconds=5.0, report=log_stuck_turn) -> reports a turn while it is in progress, if
    it takes longer than seconds (and at the latest after twice as long), with the stack.

    SlowTurns speaks when a turn is over, and that of a component in an endless loop never is. Only
    another thread can see it: this has one, from the first turn on until close()."""

    def __init__(self, seconds: float = 5.0, report: StuckReport = log_stuck_turn) -> None:
        self._seconds = seconds
        self._report = report
        self._turn: tuple[microprocess, int] | None = None  # a new object for each turn
        self._seen: object = None
        self._told = False
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None

    def before_step(self, process: microprocess) -> None:
        self._turn = (process, threading.get_ident())
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="StuckTurns", daemon=True)
            self._watcher.start()

    def after_step(self, process: microprocess) -> None:
        self._turn = None

    def close(self) -> None:
        """End its thread."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(self._seconds):
            self.look()

    def look(self) -> None:
        """Report the turn that was in progress at the last look as well; once."""
        turn = self._turn
        if turn is None or turn is not self._seen:
            self._seen, self._told = turn, False
            return
        frame = sys._current_frames().get(turn[1])
        if frame is not None and not self._told:
            self._told = True
            self._report(turn[0], "".join(traceback.format_stack(frame)[-_SHOWN_FRAMES:]))
