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
* about to sleep: ``pause()`` was called in this turn, ``_asleep`` is not_yet, a function that does
  nothing: a sender that calls it has thereby cancelled the pause;
* stopped: ``_axon_gen`` is an iterator at its end, so that the next turn finds "finished" and no
  test for it is needed.

In the same way ``_axon_gen`` may at first be an iterable that calls ``main`` when its first step is
taken. ``main`` may be a generator or ``async def``: a coroutine is driven exactly as a generator is
(see Axon.OnMessage for what there is to await).

No wake-up is lost: one that is woken while awake is remembered by its scheduler, and so is one that
gets a message before its first turn; its next pause does not count. Spurious wake-ups are allowed,
so whoever was paused looks at its boxes again.

One slot for all of it, because a read of an attribute costs three times as much where components of
different classes take turns as where they are all of one class.

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
from inspect import CO_GENERATOR
from threading import get_ident
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from Axon.Base import AxonObject
from Axon.debug import debug
from Axon.idGen import numId
from Axon.Stages import (
    AWAKE,
    DONE,
    NO_SCHEDULER,
    RAN_OUT,
    STOPPED,
    Start,
    for_a_time,
    not_begun,
    not_yet,
)

if TYPE_CHECKING:
    from Axon.Scheduler import scheduler as Scheduler
    from Axon.Timers import Timer

Guard = Callable[["microprocess", Exception], None]


class microprocess(AxonObject):
    """microprocess(thread=None, closeDownValue=0, tag="") -> something to activate; thread is a
    ready generator."""

    # Those that an author's own attribute might be called (_name, _id, _parent, ...) carry a
    # prefix. Slots because these are read in every turn and because an idle component must be
    # small; all are set in the initialisers, since an attribute that is added later costs CPython's
    # shared-key dictionaries.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_asleep",
        "_axon_alarm",
        "_axon_gen",
        "_axon_guard",
        "_axon_id",
        "_axon_name",
        "_axon_parent",
        "_axon_scheduler",
        "_axon_stack",
        "_axon_stopped",
        "closeDownValue",
    )

    schedulerClass: ClassVar[type[Scheduler]]
    trackerClass: ClassVar[Any] = (
        None  # the tracker comes later in the reading order and puts it in
    )
    init = 1

    def __init__(
        self, thread: Iterator[object] | None = None, closeDownValue: object = 0, tag: str = ""
    ) -> None:
        self._axon_start_state(thread, closeDownValue)
        if tag:
            self.name = self.name + tag

    def _axon_start_state(
        self, thread: Iterator[object] | None = None, closeDownValue: object = 0
    ) -> None:
        self._asleep: Callable[[Any], None] | None = None
        self._axon_gen: Iterator[object] | None = thread
        self._axon_stack: list[Iterator[object]] | None = None
        self._axon_stopped = False
        self._axon_id = 0
        self._axon_name: str | None = None
        self._axon_alarm: Timer | None = None
        self._axon_parent: microprocess | None = None
        self._axon_guard: Guard | None = None
        self._axon_scheduler: Scheduler | None = None
        self.closeDownValue = closeDownValue

    # ---- who it is: made when asked for, since a number and a text for each are a visible part of
    # making one

    @property
    def id(self) -> int:
        """A number that no other microprocess in this process has."""
        if not self._axon_id:
            self._axon_id = numId()
        return self._axon_id

    @id.setter  # noqa: A003 - the property above is meant
    def id(self, number: int) -> None:
        self._axon_id = number

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

    # ---- what it belongs to

    @classmethod
    def setSchedulerClass(cls, newSchedulerClass: type[Scheduler]) -> None:
        cls.schedulerClass = newSchedulerClass

    @classmethod
    def setTrackerClass(cls, newTrackerClass: type) -> None:
        cls.trackerClass = newTrackerClass

    @property
    def scheduler(self) -> Scheduler:
        """The one that runs it. Before activation: an object that is false and does nothing."""
        found: Scheduler = self._axon_scheduler or NO_SCHEDULER
        return found

    @scheduler.setter
    def scheduler(self, running: Scheduler) -> None:
        self._axon_scheduler = running or None

    @property
    def tracker(self) -> Any:
        """The tracker it was activated with, else the process's own."""
        return self.__dict__.get("_axon_tracker") or self.trackerClass.getcat()

    @tracker.setter
    def tracker(self, tracker: Any) -> None:
        self.__dict__["_axon_tracker"] = tracker

    @property
    def debugger(self) -> debug:
        """See Axon.debug. Made when first asked for, unless class or instance has set its own."""
        mine: debug | None = self.__dict__.get("_axon_debugger")
        if mine is None:
            mine = self.__dict__["_axon_debugger"] = debug()
        return mine

    @debugger.setter
    def debugger(self, debugger: debug) -> None:
        self.__dict__["_axon_debugger"] = debugger

    # ---- starting

    def main(self) -> Any:
        """Override this with a generator (``-> Iterator[object]``)."""
        yield 1

    def activate(
        self, Scheduler: Scheduler | None = None, Tracker: object = None, mainmethod: str = "main"
    ) -> Self:
        """Give it to a scheduler (by default the process's own), which runs it from its next cycle
        on. The main method is called at the first step, and if it is no generator (or coroutine),
        that step raises TypeError.

        Activating what is active already only wakes it."""
        if self._axon_scheduler is not None:
            if not self._axon_stopped:
                self.unpause()
            return self
        if Tracker is not None:
            self.tracker = Tracker
        if self._axon_gen is None:
            self._axon_gen = self._axon_begin(mainmethod)
        self._asleep = not_begun  # also: a pause() before now had no turn to end
        chosen = Scheduler if Scheduler is not None else self.schedulerClass.run
        chosen._addThread(self)
        if self._axon_scheduler is None:
            self._axon_be_run_by(chosen)
        return self

    def activate_asleep(self, Scheduler: Scheduler) -> Self:
        """As activate(), but main has its first turn when something wakes it, and not before: for
        one that acts on what comes to it (Axon.AtOnce) and seldom needs a turn."""
        if self._axon_scheduler is not None or Scheduler.thread_id != get_ident():
            return self.activate(Scheduler)
        if self._axon_gen is None:
            self._axon_gen = Start((self, "main"))
        Scheduler._adopt_asleep(self)
        return self

    def _axon_begin(self, mainmethod: str) -> Iterator[object]:
        main = getattr(self, mainmethod)
        # Calling a generator function runs nothing of it, so nobody can tell whether it was called
        # now or at the first step; and now is cheaper.
        function = getattr(main, "__func__", None)
        if type(function) is FunctionType and function.__code__.co_flags & CO_GENERATOR:
            generator: Iterator[object] = main()
            return generator
        return Start((self, mainmethod))

    def _axon_be_run_by(self, stranger: Any) -> None:
        """A scheduler of another make took us on: one that does not know our flags, and wants to be
        asked to pause and wake. Attributes of the instance hide the methods; ours pay nothing."""
        self._axon_scheduler = stranger
        self._asleep = None

        def pause(timeout: float | None = None) -> None:
            self._asleep = stranger.wakeThread  # what a delivery calls
            stranger.pauseThread(self)

        self.__dict__["pause"] = pause
        self.__dict__["unpause"] = lambda: stranger.wakeThread(self)

    def run(self) -> None:
        """Activate, then run its scheduler until everything in it has finished."""
        self.activate()
        self.scheduler.runThreads()

    def next(self) -> object:
        """One step by hand: what main yielded. Raises StopIteration at the end; after stop() the
        first call returns None and the second raises."""
        if self._axon_gen is None:
            raise RuntimeError(f"{self.name} is not active: call activate() before next()")
        if self._axon_gen is STOPPED:
            self._axon_gen = DONE
            return None
        return next(iter(self._axon_gen))

    def __next__(self) -> object:
        return self.next()

    # ---- sleeping and waking

    def now(self) -> float:
        """Seconds by the clock of its scheduler (before it has one, the default one's): what to
        measure deadlines with."""
        running = self._axon_scheduler or self.schedulerClass.run
        seconds: float = running.clock()
        return seconds

    def pause(self, timeout: float | None = None) -> None:
        """Sleep from the next yield on, until woken; with a timeout, for that many seconds at the
        longest."""
        if timeout is not None and self._axon_scheduler is not None:
            self._axon_arm(self._axon_scheduler, timeout)
        elif self._asleep is None or self._asleep is not_begun:  # not if it sleeps already
            self._asleep = not_yet

    def _axon_arm(self, running: Scheduler, timeout: float) -> None:
        # One timer for each microprocess, moved and not made anew: it costs the timer heap nothing
        # when, as nearly always, a message comes first. What is left of it then is one spurious
        # wake-up.
        when = running.clock() + timeout
        if not self.asleep:
            self._asleep = for_a_time
        alarm = self._axon_alarm
        if alarm is None or not alarm.postpone(when):
            if alarm is not None:
                alarm.cancel()
            self._axon_alarm = running.call_at(when, self.unpause)

    def unpause(self) -> None:
        """Wake it; from any thread. Awake already: its next pause() will not count."""
        running = self._axon_scheduler
        if running is None or self._axon_stopped:
            return
        if running.thread_id is None or running.thread_id == get_ident():
            self._axon_wake()
        else:
            running.call_from_thread(self.unpause)

    def _unpause(self) -> None:
        self.unpause()  # by this name in older programs

    def _axon_wake(self) -> None:
        wake = self._asleep
        if wake is not None:
            self._asleep = None
            wake(self)
        elif self._axon_scheduler is not None:
            self._axon_scheduler._poked[self] = None

    @property
    def asleep(self) -> bool:
        """True while it costs nothing: it stands in no run queue."""
        wake = self._asleep
        return wake is not None and wake not in AWAKE

    # ---- ending

    def stop(self) -> None:
        """End it without another turn of main. Override to clean up, and call this one too."""
        self._axon_stopped = True
        running = self._axon_scheduler
        if self._axon_gen is RAN_OUT:
            return  # called because it is over: nothing is left to halt
        if running is None:
            self._axon_gen, self._axon_stack = STOPPED, None
        elif "unpause" in self.__dict__:  # a scheduler of another make: see _axon_be_run_by
            self._axon_gen, self._axon_stack = STOPPED, None
            self._axon_scheduler = self._asleep = None
            del self.__dict__["unpause"]
            self.__dict__.pop("pause", None)
        elif running.thread_id is None or running.thread_id == get_ident():
            self._axon_halt()
        else:
            running.call_from_thread(self._axon_halt)  # it may be in the middle of a step there

    def _axon_halt(self) -> None:
        if self._axon_gen is DONE or self._axon_gen is STOPPED:
            return
        # The generator is kept until its own last turn: what its finally clauses do and send is not
        # to happen in the middle of the turn of whoever stops it.
        self._axon_stack = [*(self._axon_stack or ()), self._axon_gen or DONE]
        self._axon_gen = STOPPED
        # It needs a turn in which the scheduler finds that it is over: if it sleeps, and also if it
        # has called pause() in the turn in which it stops itself.
        self._axon_wake()

    def _axon_close_mains(self) -> None:
        """Run the finally clauses of a main that was stopped in the middle. Raises what they do."""
        mains, self._axon_stack = self._axon_stack, None
        for main in reversed(mains or ()):
            close = getattr(main, "close", None)
            if close is not None:
                close()

    def _isStopped(self) -> bool:
        return self._axon_stopped

    def _isRunnable(self) -> bool:
        """False while it is paused, as its scheduler sees it."""
        return self._axon_stopped or not self.scheduler.isThreadPaused(self)

    def _axon_last_words(self) -> None:
        """Called once it is over, before it is closed down: a component tells its successors."""

    def _closeDownMicroprocess(self) -> object:
        return self.closeDownValue

    def _axon_forget(self) -> None:
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
