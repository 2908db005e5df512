"""A component that is active without having had a turn."""

import threading
from collections.abc import Iterator

from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Scheduler import scheduler
from Axon.Testing import FakeClock, virtual_scheduler


class Sleeper(component):
    def __init__(self) -> None:
        super().__init__()
        self.turns = 0
        self.ended = False

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            self.turns += 1
            self.pause()
            yield 1
        self.ended = True


class Starter(component):
    """Activates another one in a turn of its own, and goes on after a second."""

    def __init__(self, other: Sleeper) -> None:
        super().__init__()
        self.other = other
        self.seen: list[object] = []

    def main(self) -> Iterator[object]:
        other = self.other.activate_asleep(self.scheduler)
        other.activate_asleep(self.scheduler)  # active already: that wakes it
        self.seen.append((other.asleep, other in self.scheduler.threads))
        yield 1
        yield 1
        self.seen.append(other.turns)
        other.inboxes["control"].deliver(producerFinished())
        yield 1
        yield 1
        self.seen.append(other.ended)


class Patient(Starter):
    def main(self) -> Iterator[object]:
        other = self.other.activate_asleep(self.scheduler)
        self.pause(1.0)
        yield 1
        self.seen += [other.asleep, other.turns]
        other.inboxes["inbox"].deliver("wake up")
        yield 1
        yield 1
        self.seen.append(other.turns)
        other.stop()


def test_it_has_no_turn_before_something_wakes_it() -> None:
    running = virtual_scheduler(FakeClock())
    patient = Patient(Sleeper())
    patient.activate(Scheduler=running)
    running.runThreads()
    assert patient.seen == [True, 0, 1]
    assert not running.threads


def test_what_is_active_already_is_only_woken() -> None:
    running = virtual_scheduler(FakeClock())
    starter = Starter(Sleeper())
    starter.activate(Scheduler=running)
    running.runThreads()
    assert starter.seen == [(False, True), 1, True]


def test_in_another_thread_it_is_an_activation_like_any_other() -> None:
    running = scheduler()
    running.linger = True
    sleeper = Sleeper()
    thread = threading.Thread(target=running.runThreads)
    thread.start()
    try:
        while running.thread_id is None:
            pass
        sleeper.activate_asleep(running)
        sleeper.call_on_close(running.stop)
        running.call_from_thread(lambda: sleeper.inboxes["control"].deliver(producerFinished()))
        thread.join(10)
        assert sleeper.ended
    finally:
        running.stop()
        thread.join(10)
