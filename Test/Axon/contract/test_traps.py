"""
What went wrong in the original, or was got wrong by those who rebuilt it: one test for each, where
no other test has it already.
"""

import threading
from collections.abc import Iterator

import pytest

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import WaitComplete, newComponent, producerFinished, shutdownMicroprocess
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Test.Axon.contract.old_fakes import steps
from Test.Axon.scripts import PATIENCE, Script, sleeper


@pytest.fixture
def restored_default() -> Iterator[None]:
    """Give the process its default scheduler back."""
    before = scheduler.run
    yield
    scheduler.run = before


def nothing(self: Script) -> Iterator[object]:
    yield 1


# ---- ends and errors are told apart


def test_the_end_of_a_wait_complete_does_not_end_the_program(engine: scheduler) -> None:
    """A generator that returns is no StopIteration that leaves the scheduler."""
    log = []

    def main(self: Script) -> Iterator[object]:
        yield WaitComplete(iter([1, 2]))
        log.append("after")
        yield 1
        log.append("later")

    def other(self: Script) -> Iterator[object]:
        for _ in range(20):
            yield 1
        log.append("other")

    Script(main).activate(Scheduler=engine)
    Script(other).activate(Scheduler=engine)
    engine.runThreads()
    assert log == ["after", "later", "other"]


@pytest.mark.parametrize("value", [True, None, "a value"])
def test_a_generator_that_returns_a_value_has_simply_ended(
    engine: scheduler, value: object
) -> None:
    def main(self: Script) -> Iterator[object]:
        yield 1
        return value

    one = Script(main).activate(Scheduler=engine)
    engine.runThreads()
    assert (one._isStopped(), one.stops) == (True, 1)


@pytest.mark.parametrize("error", [RuntimeError("mine"), GeneratorExit("mine"), KeyError("mine")])
def test_no_exception_is_taken_for_the_end(engine: scheduler, error: BaseException) -> None:
    def main(self: Script) -> Iterator[object]:
        yield 1
        raise error

    Script(main).activate(Scheduler=engine)
    with pytest.raises(type(error)) as caught:
        engine.runThreads()
    assert caught.value is error


# ---- WaitComplete sleeps and can be woken


def test_a_component_that_waits_in_a_wait_complete_sleeps(engine: scheduler) -> None:
    """In the original it took a turn in each cycle, for as long as it waited."""
    turns = []

    def reading(self: Script) -> Iterator[object]:
        while not self.dataReady():
            turns.append("asked")
            self.pause()
            yield 1
        turns.append(self.recv())

    def main(self: Script) -> Iterator[object]:
        yield WaitComplete(reading(self))

    waiting = Script(main).activate(Scheduler=engine)
    Script(sleeper).activate(Scheduler=engine)
    stepper = engine.main()
    steps(stepper, 200)
    assert turns == ["asked"]
    assert engine.isThreadPaused(waiting)
    waiting._deliver("a message")
    steps(stepper, 20)
    assert turns == ["asked", "a message"]


def test_a_component_in_a_wait_complete_stays_visible(engine: scheduler) -> None:
    def main(self: Script) -> Iterator[object]:
        yield WaitComplete(iter([1] * 50))

    one = Script(main).activate(Scheduler=engine)
    stepper = engine.main()
    steps(stepper, 20)
    assert engine.listAllThreads() == [one]


def test_wait_completes_nest_and_come_back_in_order(engine: scheduler) -> None:
    log = []

    def level(number: int) -> Iterator[object]:
        log.append(f"in {number}")
        if number:
            yield WaitComplete(level(number - 1))
        yield 1
        log.append(f"out {number}")

    def main(self: Script) -> Iterator[object]:
        yield WaitComplete(level(3), tag="_levels")
        log.append("main")

    Script(main).activate(Scheduler=engine)
    engine.runThreads()
    assert log == ["in 3", "in 2", "in 1", "in 0", "out 0", "out 1", "out 2", "out 3", "main"]


def test_a_wait_complete_may_ask_for_new_components(engine: scheduler) -> None:
    child = Script(nothing)

    def main(self: Script) -> Iterator[object]:
        yield WaitComplete(iter([newComponent(child)]))

    Script(main).activate(Scheduler=engine)
    engine.runThreads()
    assert child._isStopped()


# ---- no wake-up is lost


@pytest.mark.parametrize("receiver_first", [True, False])
def test_a_message_in_the_cycle_of_the_pause_keeps_the_receiver_awake(
    engine: scheduler, receiver_first: bool
) -> None:
    got = []

    def receiving(self: Script) -> Iterator[object]:
        while len(got) < 10:
            if self.dataReady():
                got.append(self.recv())
            else:
                self.pause()
            yield 1

    def sending(self: Script) -> Iterator[object]:
        for number in range(10):
            self.send(number)
            yield 1

    receiver, sender = Script(receiving), Script(sending)
    sender.link((sender, "outbox"), (receiver, "inbox"))
    for one in (receiver, sender) if receiver_first else (sender, receiver):
        one.activate(Scheduler=engine)
    engine.runThreads()
    assert got == list(range(10))


# ---- stopping


def test_stopping_a_sleeper_reaps_it_and_tells_its_parent(engine: scheduler) -> None:
    """In the original it stayed in the table for ever and the run never ended."""
    log = []
    child = Script(sleeper)

    def parent(self: Script) -> Iterator[object]:
        self.addChildren(child)
        child.activate(Scheduler=engine)
        while not engine.isThreadPaused(child):
            yield 1
        child.stop()
        while not child._isStopped() or child in engine.listAllThreads():
            self.pause()
            yield 1
        log.append("told")

    Script(parent).activate(Scheduler=engine)
    engine.runThreads()
    assert log == ["told"]


@pytest.mark.usefixtures("restored_default")
@pytest.mark.parametrize("ending", ["stop", "exception"])
def test_run_leaves_a_usable_scheduler_behind(ending: str) -> None:
    scheduler.run = scheduler()
    log = []

    class Bad(component):
        def main(self) -> Iterator[object]:
            yield 1
            if ending == "stop":
                self.scheduler.stop()
                yield 1
            raise ValueError("bad")

    class Good(component):
        def main(self) -> Iterator[object]:
            yield 1
            log.append("ran")

    Good().run()
    if ending == "stop":
        Bad().run()
    else:
        with pytest.raises(ValueError, match="bad"):
            Bad().run()
    Good().run()
    Good().run()
    assert log == ["ran"] * 3
    assert scheduler.run.listAllThreads() == []


@pytest.mark.usefixtures("restored_default")
def test_run_waits_for_everything_and_returns_none() -> None:
    scheduler.run = scheduler()
    log = []

    def long(self: Script) -> Iterator[object]:
        for _ in range(50):
            yield 1
        log.append("long")

    Script(long).activate()
    result: object = Script(nothing).run()  # type: ignore[func-returns-value]
    assert (result, log) == (None, ["long"])


# ---- moving messages when links are made


def test_what_waits_moves_on_whole_or_not_at_all() -> None:
    """In the original a part moved and the rest stayed."""
    outer, inner = component(), component()
    for number in range(5):
        outer._deliver(number)
    inner.setInboxSize("inbox", 3)
    with pytest.raises(noSpaceInBox):
        outer.link((outer, "inbox"), (inner, "inbox"), passthrough=1)
    assert (outer.dataReady(), inner.dataReady()) == (5, 0)
    assert outer.postoffice.linkages == []
    inner.setInboxSize("inbox", 5)
    outer.link((outer, "inbox"), (inner, "inbox"), passthrough=1)
    assert list(inner.Inbox()) == [0, 1, 2, 3, 4]


def test_unlinking_leaves_what_waits_where_it_is() -> None:
    outer, inner, sender = component(), component(), component()
    outer.link((outer, "inbox"), (inner, "inbox"), passthrough=1)
    sender.link((sender, "outbox"), (outer, "inbox"))
    sender.send("before")
    outer.unlink(thecomponent=inner)
    sender.send("after")
    assert (list(inner.Inbox()), list(outer.Inbox())) == (["before"], ["after"])


# ---- shutting down


@pytest.mark.parametrize(
    "message", [producerFinished(), shutdownMicroprocess(), producerFinished, shutdownMicroprocess]
)
def test_both_shutdowns_and_their_classes_end_a_component(
    engine: scheduler, message: object
) -> None:
    """Some senders of the original's library sent the class instead of an instance."""

    def main(self: Script) -> Iterator[object]:
        while not self.told_to_stop():
            self.pause()
            yield 1

    one, tester = Script(main), component()
    tester.link((one, "signal"), (tester, "control"))
    one.activate(Scheduler=engine)
    one._deliver("something else", "control")
    one._deliver(message, "control")
    engine.runThreads()
    assert list(tester.Inbox("control")) == ["something else", message]


# ---- threads


def test_activate_may_be_called_from_any_thread(engine: scheduler) -> None:
    many = [Script(nothing) for _ in range(50)]
    begin = threading.Barrier(5)

    def activate(some: list[Script]) -> None:
        begin.wait(PATIENCE)
        for one in some:
            one.activate(Scheduler=engine)

    threads = [threading.Thread(target=activate, args=(many[at::5],)) for at in range(5)]
    engine.waitForOne()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    engine.runThreads()
    assert all(one._isStopped() for one in many)


def test_a_process_of_the_plain_kind_runs_beside_components(engine: scheduler) -> None:
    log = []

    class Plain(microprocess):
        def main(self) -> Iterator[object]:
            for number in range(3):
                log.append(number)
                yield 1

    Plain().activate(Scheduler=engine)
    Script(nothing).activate(Scheduler=engine)
    engine.runThreads()
    assert log == [0, 1, 2]
