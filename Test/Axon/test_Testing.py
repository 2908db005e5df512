"""The tools for tests: one component by itself, and time under control."""

import threading
from collections.abc import Iterator

import pytest

from Axon import Testing
from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import newComponent, producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.Testing import FakeClock, VirtualWaiter, collect, drive, virtual_scheduler


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


# ---- clocks


def test_a_clock_stands_still_until_it_is_moved() -> None:
    clock = FakeClock(5.0)
    assert clock() == clock() == 5.0
    clock.advance(1.5)
    assert clock() == 6.5


def test_moving_an_attached_clock_wakes_a_scheduler_that_waits_in_real_time() -> None:
    clock = FakeClock()
    runner = scheduler(clock=clock)
    clock.attach(runner)
    asleep = threading.Event()
    one = Reminder(after=3600).activate(Scheduler=runner)
    runner.call_from_thread(asleep.set)

    def from_outside() -> None:
        asleep.wait(10)
        clock.advance(1800)
        clock.advance(1800)

    thread = threading.Thread(target=from_outside)
    thread.start()
    runner.runThreads()
    thread.join()
    runner._waiter.close()
    assert one._isStopped()


def test_an_attached_clock_may_be_moved_between_two_runs() -> None:
    clock = FakeClock()
    runner = virtual_scheduler(clock)
    clock.attach(runner)
    came: list[float] = []
    runner.call_at(10.0, lambda: came.append(clock()))
    clock.advance(11.0)
    runner.runThreads()
    assert came == [11.0]


# ---- the virtual waiter


def nothing_called() -> bool:
    return False


def test_waiting_moves_the_clock() -> None:
    clock = FakeClock()
    waiter = VirtualWaiter(clock)
    assert waiter.wait(5.0, nothing_called)
    assert clock() == 5.0
    assert waiter.wait(0, nothing_called)
    assert waiter.wait(7.0, lambda: True)
    assert clock() == 5.0
    assert not waiter.wait(None, nothing_called)


def test_there_are_no_files_in_virtual_time() -> None:
    runner = virtual_scheduler()
    with pytest.raises(NotImplementedError, match="real scheduler"):
        runner.register(0, 1, lambda events: None)
    runner.modify(0, 1)
    runner.unregister(0)
    VirtualWaiter(FakeClock()).close()


def test_a_thread_that_is_held_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    waiter = VirtualWaiter(clock)
    waiter.hold()
    waiter.wake()
    assert waiter.wait(None, nothing_called)
    assert waiter.wait(5.0, nothing_called)  # silent: time goes on
    assert clock() == 5.0
    waiter.wake()
    assert waiter.wait(5.0, nothing_called)
    assert clock() == 5.0
    monkeypatch.setattr(Testing, "REAL_PATIENCE_SECONDS", 0.01)
    with pytest.raises(TimeoutError, match="silent"):
        waiter.wait(None, nothing_called)
    waiter.release()
    assert not waiter.wait(None, nothing_called)


def test_without_a_clock_given_it_makes_one() -> None:
    assert virtual_scheduler().clock() == 0.0
