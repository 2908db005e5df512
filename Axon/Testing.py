"""
Testing components
==================
A component knows nobody and sleeps until something happens, so a test can be the whole world to it:
put messages in, say what must come out and by when. Time is virtual, so "within an hour" takes no
time, and the order in which components have their turns follows a seed, so what fails once fails
again.

* ``drive`` runs a component to its end: messages in, all that it sent out.
* ``harness`` is a conversation with one component or a whole system, and fails with a report of
  what came instead, who sleeps where, and the seed.
* ``step`` gives a component one turn, for looking at it between two.
* ``Scripted`` and ``Unreliable`` are neighbours that play a part (Axon.TestingFakes); ``like`` and
  its kin say what to expect (Axon.TestingMatchers); ``FakeClock`` and ``SeededScheduler`` are time
  and order by themselves (Axon.TestingTime). For pytest see Axon.TestingPlugin.

Example Usage
-------------
::

    def test_doubles_and_passes_the_shutdown_on():
        out = drive(Doubler(), inbox=[1, 2, 3], control=[producerFinished()])
        assert out["outbox"] == [2, 4, 6]
        assert isinstance(out["signal"][-1], producerFinished)

    def test_reminds_after_an_hour_and_again():
        with harness(Reminder(every=3600), seed=17) as h:
            h.expect_nothing("outbox", during=3599)
            h.expect("outbox", "now", within=1)
            h.expect("outbox", "now", within=3600)
            h.finish()
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from Axon.Component import component
from Axon.TestingFakes import (
    Expect,
    Fail,
    Nothing,
    Scripted,
    ScriptError,
    Send,
    Stay,
    Unreliable,
    Wait,
)
from Axon.TestingHarness import ExpectationError, Harness, as_default
from Axon.TestingMatchers import anything, like, matches, one_of
from Axon.TestingReport import Collector
from Axon.TestingTime import (
    BusyWaitError,
    FakeClock,
    SeededScheduler,
    VirtualWaiter,
    virtual_scheduler,
)


def collect(thecomponent: component, names: Iterable[str] | None = None) -> dict[str, list[Any]]:
    """Link outboxes (all, or those named) that lead nowhere to a list each; returns outbox name ->
    list, filled as messages are sent."""
    collected: dict[str, list[Any]] = {}
    for name, outbox in thecomponent.outboxes.items():
        if names is not None and name not in names:
            continue
        messages: list[Any] = []
        collected[name] = messages
        if outbox.target is None:
            sink = Collector(name).box
            sink.q = messages  # a list has the append that delivery needs
            sink.addsource(outbox)
    return collected


def drive(
    thecomponent: component,
    *,
    clock: FakeClock | None = None,
    collecting: Iterable[str] | None = None,
    **inboxes: Iterable[Any],
) -> dict[str, list[Any]]:
    """Put the given messages into the named inboxes, run the component until it ends or nothing can
    happen any more, and return all that it sent: outbox name -> list of messages.

    Time is virtual: a pause with a time-out ends at once, with the clock moved on. Messages are all
    there at the start. Raises what the component raises, and KeyError for an inbox it does not
    have."""
    runner = virtual_scheduler(clock)
    sent = collect(thecomponent, collecting)
    for name, messages in inboxes.items():
        for message in messages:
            thecomponent.inboxes[name].deliver(message)
    with as_default(runner):
        thecomponent.activate(Scheduler=runner)
        runner.runThreads()
    return sent


def step(thecomponent: component, turns: int = 1) -> bool:
    """Give a component so many turns by hand, and as many to whoever else its scheduler has awake;
    True while it has not ended.

    The first call activates it, in a scheduler of its own in virtual time. A turn without anything
    to do for it passes in no time: a pause with a time-out is not waited for."""
    if not thecomponent.scheduler and not thecomponent._isStopped():
        thecomponent.activate(Scheduler=SeededScheduler())
    runner = thecomponent.scheduler
    if not isinstance(runner, SeededScheduler):
        raise TypeError(
            f"{thecomponent.name} is not active in a SeededScheduler: it runs by itself"
        )
    with as_default(runner):
        for _ in range(turns):
            runner.step()
    return not thecomponent._isStopped()


harness = Harness
"""The name to use in a test: ``with harness(Doubler(), seed=17) as h:``."""

__all__ = [
    "BusyWaitError",
    "Expect",
    "ExpectationError",
    "Fail",
    "FakeClock",
    "Harness",
    "Nothing",
    "ScriptError",
    "Scripted",
    "SeededScheduler",
    "Send",
    "Stay",
    "Unreliable",
    "VirtualWaiter",
    "Wait",
    "anything",
    "collect",
    "drive",
    "harness",
    "like",
    "matches",
    "one_of",
    "step",
    "virtual_scheduler",
]
