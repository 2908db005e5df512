"""
A generator that can be activated, paused, woken and stopped
============================================================
A microprocess is what the scheduler runs: its ``main`` is a generator, and each ``yield`` gives the
others a turn. ``pause()`` takes effect at the next yield: from then on the microprocess costs
nothing until something wakes it.

States, and where they are kept:

* awake: stands in its scheduler's run queue, ``_asleep`` is None;
* asleep: stands nowhere, ``_asleep`` is the function that puts it back (the run queue's own
  ``append``), so that a sender wakes it with one call and no question asked;
* stopped: ``_axon_gen`` is an iterator at its end, so that the next turn finds "finished" and no
  test for it is needed.

No wake-up is lost: unpause() on a microprocess that is awake sets ``_poked``, and the next pause()
does not count. Spurious wake-ups are allowed, so whoever was paused looks at its boxes again.

Example Usage
-------------
::

    class Ticker(microprocess):
        def main(self):
            for number in range(3):
                print(number)
                self.pause(1.0)  # seconds, at the longest
                yield 1


    Ticker().run()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, Self

from Axon.idGen import numId

if TYPE_CHECKING:
    from Axon.Scheduler import Timer, scheduler

DONE: Iterator[object] = iter(())

Guard = Callable[["microprocess", Exception], None]


class microprocess:
    """microprocess(thread=None, closeDownValue=0, tag="") -> something to activate; thread is a
    ready generator."""

    # Those that an author's own attribute might be called (_name, _id, _parent, ...) carry a
    # prefix. Slots because these are read in every turn and because an idle component must be
    # small; all are set in the initialisers, since an attribute that is added later costs CPython's
    # shared-key dictionaries.
    __slots__ = (
        "_asleep",
        "_axon_alarm",
        "_axon_gen",
        "_axon_guard",
        "_axon_id",
        "_axon_name",
        "_axon_parent",
        "_axon_stack",
        "_axon_stopped",
        "_pausing",
        "_poked",
        "closeDownValue",
        "scheduler",
    )

    schedulerClass: ClassVar[type[scheduler]]
    init = 1

    def __init__(
        self, thread: Iterator[object] | None = None, closeDownValue: object = 0, tag: str = ""
    ) -> None:
        self._start_state(thread, closeDownValue)
        if tag:
            self.name = self.name + tag

    def _start_state(
        self, thread: Iterator[object] | None = None, closeDownValue: object = 0
    ) -> None:
        self._asleep: Callable[[Any], None] | None = None
        self._pausing = False
        self._poked = False
        self._axon_gen: Iterator[object] | None = thread
        self._axon_stack: list[Iterator[object]] | None = None
        self._axon_stopped = False
        self._axon_id = 0
        self._axon_name: str | None = None
        self._axon_alarm: Timer | None = None
        self._axon_parent: microprocess | None = None
        self._axon_guard: Guard | None = None
        self.scheduler: scheduler | None = None
        self.closeDownValue = closeDownValue

    # ---- who it is: made when asked for, since a number and a text for each are a visible part of
    # making one

    @property
    def id(self) -> int:
        """A number that no other microprocess in this process has."""
        if not self._axon_id:
            self._axon_id = numId()
        return self._axon_id

    @property
    def name(self) -> str:
        """For people: ``<module>.<Class>_<id>``, unless set."""
        if self._axon_name is None:
            kind = type(self)
            self._axon_name = f"{kind.__module__}.{kind.__name__}_{self.id}"
        return self._axon_name

    @name.setter
    def name(self, name: str) -> None:
        self._axon_name = name

    @classmethod
    def setSchedulerClass(cls, newSchedulerClass: type[scheduler]) -> None:
        cls.schedulerClass = newSchedulerClass

    # ---- starting

    def main(self) -> Any:
        """Override this with a generator (``-> Iterator[object]``)."""
        yield 1

    def activate(
        self, Scheduler: scheduler | None = None, Tracker: object = None, mainmethod: str = "main"
    ) -> Self:
        """Give it to a scheduler (by default the process's own), which runs it from its next cycle
        on.

        Activating what is active already only wakes it. Raises TypeError if the main method is not
        a generator."""
        if self.scheduler is not None:
            if not self._axon_stopped:
                self.unpause()
            return self
        if self._axon_gen is None:
            main = getattr(self, mainmethod)()
            if not hasattr(main, "__next__"):
                raise TypeError(
                    f"{type(self).__module__}.{type(self).__qualname__}.{mainmethod}() must be a "
                    f"generator: it returned {type(main).__name__}; is there a yield in it?"
                )
            self._axon_gen = main
        self._pausing = False  # a pause() before now had no turn to end
        (Scheduler if Scheduler is not None else self.schedulerClass.run)._addThread(self)
        return self

    def run(self) -> None:
        """Activate, then run its scheduler until everything in it has finished."""
        self.activate()
        if self.scheduler is not None:
            self.scheduler.runThreads()

    def next(self) -> object:
        """One step by hand: what main yielded. Raises StopIteration at the end."""
        if self._axon_gen is None:
            raise RuntimeError(f"{self.name} is not active: call activate() before next()")
        return next(self._axon_gen)

    def __next__(self) -> object:
        return self.next()

    # ---- sleeping and waking

    def now(self) -> float:
        """Seconds by the clock of its scheduler (before it has one, the default one's): what to
        measure deadlines with."""
        running = self.scheduler if self.scheduler is not None else self.schedulerClass.run
        seconds: float = running.clock()
        return seconds

    def pause(self, timeout: float | None = None) -> None:
        """Sleep from the next yield on, until woken; with a timeout, for that many seconds at the
        longest."""
        self._pausing = True
        if timeout is not None and self.scheduler is not None:
            self._arm(self.scheduler, timeout)

    def _arm(self, running: scheduler, timeout: float) -> None:
        # One timer for each microprocess, moved and not made anew: it costs the timer heap nothing
        # when, as nearly always, a message comes first. What is left of it then is one spurious
        # wake-up.
        when = running.clock() + timeout
        alarm = self._axon_alarm
        if alarm is None or not alarm.postpone(when):
            if alarm is not None:
                alarm.cancel()
            self._axon_alarm = running.call_at(when, self.unpause)

    def unpause(self) -> None:
        """Wake it; from any thread. Awake already: its next pause() will not count."""
        running = self.scheduler
        if running is None or self._axon_stopped:
            return
        if running.thread_id is None or running.thread_id == get_ident():
            self._wake()
        else:
            running.call_from_thread(self.unpause)

    _unpause = unpause

    def _wake(self) -> None:
        wake = self._asleep
        if wake is not None:
            self._asleep = None
            wake(self)
        else:
            self._poked = True

    # ---- ending

    def stop(self) -> None:
        """End it without another turn of main. Override to clean up, and call this one too."""
        self._axon_stopped = True
        if self._axon_gen is DONE:
            return
        self._axon_gen = DONE
        self._axon_stack = None
        running = self.scheduler
        if running is None:
            return
        # It needs a turn in which the scheduler finds that it is over: if it sleeps, and also if it
        # has called pause() in the turn in which it stops itself.
        if running.thread_id is None or running.thread_id == get_ident():
            self._wake()
        else:
            running.call_from_thread(self._wake)

    def _isStopped(self) -> bool:
        return self._axon_stopped

    def _isRunnable(self) -> bool:
        return self._asleep is None

    def _closeDownMicroprocess(self) -> object:
        return self.closeDownValue

    def _forget(self) -> None:
        """Called by the scheduler once it is over: drop what would keep it in memory."""
        if self._axon_alarm is not None:
            self._axon_alarm.cancel()
            self._axon_alarm = None
        self._axon_gen = DONE
        self._axon_stack = None

    # ---- failing

    def isolate(self, guard: Guard | None) -> None:
        """An exception of this microprocess, or of a child below it, goes to guard(culprit,
        exception) and not further.

        Without a guard on itself or a parent, an exception ends runThreads(): loud by default.
        """
        self._axon_guard = guard

    def __str__(self) -> str:
        return self.name
