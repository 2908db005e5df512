"""
How each component of the library ends, said beside its tests and played for all of them.

A test file of a module with components has a table that Test/test_catalogue.py reads and plays::

    SHUTDOWN = {
        Doubler: Ends(lambda: Doubler()),
        Chooser: Ends(lambda: Chooser([1]), finish=False, why="its list is not its commands"),
    }

Played are: with nothing to do it sleeps, without a turn for a minute; a producerFinished ends it
and goes on out of "signal"; so does a shutdownMicroprocess, the very same object.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from Axon.Component import component
from Axon.Instruments import Instrument
from Axon.Ipc import is_shutdown, producerFinished, shutdownMicroprocess
from Axon.Microprocess import microprocess
from Axon.Testing import FakeClock, harness
from Test.Kamaelia.network import Script, Silent, World

IDLE_SECONDS = 60.0  # virtual
PATIENCE_SECONDS = 30.0  # virtual: some wait for a peer or a child before they end

Maker = Callable[[], component]


@dataclass(frozen=True, slots=True)
class Ends:
    """What is to be expected of one component.

    make: makes one that has nothing to do. None: it cannot be played like this; `why` says what
        tests its end instead.
    finish: False if a producerFinished does not end it.
    silent: it says nothing of its own at "signal".
    ends_alone: it ends without being told, with a producerFinished.
    same: False if not the very shutdownMicroprocess comes out, but another one.
    turns: how many it may take in the idle minute, for one whose work is to do something at times.
    files: it registers sockets or other files with the scheduler, so that it is played on a real
        one instead of in virtual time.
    within: what is to be around it while it runs, such as a folder.
    """

    make: Maker | None
    finish: bool = True
    silent: bool = False
    ends_alone: bool = False
    same: bool = True
    turns: int = 0
    files: bool = False
    why: str = ""
    within: Callable[[], AbstractContextManager[object]] = nullcontext

    def __post_init__(self) -> None:
        unusual = self.make is None or not self.finish or self.silent
        if unusual and not self.why:
            raise ValueError("an end that is not the usual one needs its reason: why=")


class TurnCounter(Instrument):
    """Counts the turns of everybody."""

    def __init__(self) -> None:
        self.turns = 0

    def before_step(self, process: microprocess) -> None:
        self.turns += 1


def plays(ends: Ends) -> list[str]:
    """Which of the scenes below are for this one."""
    if ends.make is None:
        return []
    scenes = ["alone"] if ends.ends_alone else ["sleeps", "finish", "stop"]
    return scenes if ends.files else [*scenes, "said"]


def play(scene: str, ends: Ends) -> None:
    assert ends.make is not None
    with ends.within():
        if ends.files:
            play_on_sockets(scene, ends, ends.make)
        else:
            SCENES[scene](ends, ends.make)


def alone(ends: Ends, make: Maker) -> None:
    with harness(make()) as h:
        h.expect_end(within=PATIENCE_SECONDS)
        if not ends.silent:
            h.expect("signal", producerFinished, skipping=True)
    told = make()
    with harness(told) as h:
        message = shutdownMicroprocess()
        h.put(message, "control")
        h.expect_end(within=PATIENCE_SECONDS)


def sleeps(ends: Ends, make: Maker) -> None:
    with harness(make()) as h:
        h.settle()
        h.not_ended()
        counter = TurnCounter()
        h.scheduler.add_instrument(counter)
        h.run_for(IDLE_SECONDS)
        h.scheduler.remove_instrument(counter)
        assert counter.turns <= ends.turns, f"{counter.turns} turns in an idle minute"


def finish(ends: Ends, make: Maker) -> None:
    with harness(make()) as h:
        h.settle()
        h.put(producerFinished(), "control")
        if not ends.finish:
            h.run_for(PATIENCE_SECONDS)
            h.not_ended()
            return
        h.expect_end(within=PATIENCE_SECONDS)
        if ends.silent:
            assert [m for m in h.take("signal") if isinstance(m, producerFinished)] == []
        else:
            h.expect("signal", producerFinished, skipping=True)


def said(ends: Ends, make: Maker) -> None:
    """The end is said once, wherever "signal" leads: some collect ends in a box of their own."""
    subject, hearer = make(), component()
    if "signal" not in subject.outboxes:
        return
    hearer.link((subject, "signal"), (hearer, "inbox"))
    with harness(subject) as h:
        h.settle()
        if not ends.ends_alone:
            h.put(producerFinished() if ends.finish else shutdownMicroprocess(), "control")
        h.expect_end(within=PATIENCE_SECONDS)
    heard = [message for message in hearer.Inbox("inbox") if is_shutdown(message)]
    assert len(heard) == (0 if ends.silent else 1)


def stop(ends: Ends, make: Maker) -> None:
    with harness(make()) as h:
        h.settle()
        message = shutdownMicroprocess()
        h.put(message, "control")
        h.expect_end(within=PATIENCE_SECONDS)
        if ends.silent:
            return
        told = h.expect("signal", shutdownMicroprocess, skipping=True)
        assert not ends.same or told is message


SCENES = {"alone": alone, "sleeps": sleeps, "finish": finish, "said": said, "stop": stop}


def play_on_sockets(scene: str, ends: Ends, make: Maker) -> None:
    world = World(FakeClock(1000.0))
    stop = shutdownMicroprocess()

    def script() -> Script:
        subject, hearer = make(), Silent()
        if "signal" in subject.outboxes:
            hearer.link((subject, "signal"), (hearer, "control"))
        world.run(hearer, subject)
        yield from world.settle()
        if scene == "sleeps":
            assert not subject._isRunnable()
            assert not subject._isStopped()
            return
        if scene != "alone":
            subject.inboxes["control"].deliver(producerFinished() if scene == "finish" else stop)
        if scene == "finish" and not ends.finish:
            yield from world.settle()
            assert not subject._isStopped()
            return
        yield from world.until(subject._isStopped)
        said = [m for m in hearer.Inbox("control") if isinstance(m, expected)]
        assert bool(said) is not ends.silent
        assert scene != "stop" or not ends.same or ends.silent or said == [stop]

    expected = shutdownMicroprocess if scene == "stop" else producerFinished
    try:
        world.play(script())
    finally:
        world.close()
