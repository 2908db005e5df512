"""The tools for tests: one component by itself, driven to its end or turn by turn."""

from collections.abc import Iterator

import pytest

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import newComponent, producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.Testing import FakeClock, SeededScheduler, collect, drive, step, virtual_scheduler


class Doubler(component):
    def main(self) -> Iterator[object]:
        while True:
            for number in self.Inbox():
                self.send(2 * number)
            for message in self.Inbox("control"):
                if isinstance(message, producerFinished | shutdownMicroprocess):
                    self.send(message, "signal")
                    return
            if not self.anyReady():
                self.pause()
            yield 1


class Reminder(component):
    def __init__(self, after: float) -> None:
        super().__init__()
        self.after = after

    def main(self) -> Iterator[object]:
        self.pause(self.after)
        yield 1
        self.send("now")


def test_drive_returns_all_that_was_sent_by_outbox() -> None:
    end = producerFinished()
    out = drive(Doubler(), inbox=[1, 2, 3], control=[end])
    assert out == {"outbox": [2, 4, 6], "signal": [end]}


def test_drive_ends_when_nothing_can_happen_any_more() -> None:
    one = Doubler()
    assert drive(one, inbox=[1]) == {"outbox": [2], "signal": []}
    assert not one._isStopped()


def test_drive_moves_time_instead_of_waiting() -> None:
    clock = FakeClock(100.0)
    assert drive(Reminder(after=3600), clock=clock)["outbox"] == ["now"]
    assert clock() == 3700


def test_drive_runs_children_too() -> None:
    class Parent(component):
        def main(self) -> Iterator[object]:
            child = Reminder(5)
            self.link((child, "outbox"), (self, "outbox"), passthrough=2)
            self.addChildren(child)
            yield newComponent(child)
            while not child._isStopped():
                self.pause()
                yield 1

    assert drive(Parent())["outbox"] == ["now"]


def test_drive_raises_what_the_component_raises() -> None:
    class Broken(component):
        def main(self) -> Iterator[object]:
            yield 1
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        drive(Broken())


def test_drive_refuses_what_cannot_be_put_in() -> None:
    with pytest.raises(KeyError):
        drive(Doubler(), no_such_box=[1])
    bounded = Doubler()
    bounded.setInboxSize("inbox", 1)
    with pytest.raises(noSpaceInBox):
        drive(bounded, inbox=[1, 2])


def test_an_outbox_that_leads_somewhere_is_left_alone() -> None:
    one, other = Doubler(), component()
    one.link((one, "outbox"), (other, "inbox"))
    assert collect(one) == {"outbox": [], "signal": []}
    one.send(1)
    assert other.recv() == 1


def test_drive_also_runs_what_is_activated_without_naming_a_scheduler() -> None:
    class Parent(component):
        def main(self) -> Iterator[object]:
            child = Reminder(5)
            self.link((child, "outbox"), (self, "outbox"), passthrough=2)
            child.activate()
            self.pause(10)  # its end would cut the link
            yield 1

    before = scheduler.run
    assert drive(Parent())["outbox"] == ["now"]
    assert scheduler.run is before


def test_only_the_outboxes_that_are_named_are_collected() -> None:
    one = Doubler()
    assert drive(one, inbox=[1], collecting=["outbox"]) == {"outbox": [2]}
    assert one.outboxes["signal"].target is None


# ---- turn by turn


class Steps(component):
    def main(self) -> Iterator[object]:
        for number in range(3):
            self.send(number)
            yield 1


def test_step_gives_one_turn_at_a_time() -> None:
    one = Steps()
    out = collect(one)["outbox"]
    assert step(one)
    assert out == [0]
    assert step(one, turns=2)
    assert out == [0, 1, 2]
    assert not step(one)  # the turn in which it returns
    assert not step(one)


def test_a_step_does_not_wait_for_a_time_out() -> None:
    one = Reminder(after=10)
    assert step(one, turns=5)
    assert one.now() == 0.0


def test_a_step_is_also_had_by_those_that_the_component_started() -> None:
    class Parent(component):
        def main(self) -> Iterator[object]:
            self.child = Steps()
            self.out = collect(self.child)["outbox"]
            yield newComponent(self.child)
            yield 1

    one = Parent()
    assert step(one, turns=2)
    assert one.out == [0]


def test_what_runs_by_itself_is_not_stepped() -> None:
    one = Steps().activate(Scheduler=virtual_scheduler())
    with pytest.raises(TypeError, match="runs by itself"):
        step(one)


def test_what_is_active_in_a_seeded_scheduler_is_stepped_there() -> None:
    runner = SeededScheduler(seed=1)
    one = Steps().activate(Scheduler=runner)
    assert step(one)
    assert runner.cycles == 1
