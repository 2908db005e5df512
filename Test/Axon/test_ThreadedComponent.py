"""Components whose main may block: queues both ways, order, ends, failures."""

import gc
import socket
import sys
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from Axon.AxonExceptions import BoxAlreadyLinkedToDestination, normalShutdown
from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Axon.Testing import collect, drive, virtual_scheduler
from Axon.ThreadedComponent import threadedcomponent
from Axon.Waiter import EPOLLIN
from Test.Axon.scripts import PATIENCE, Adaptive, Taker, Threaded, run, wait_for


class Sleeper(component):
    def main(self) -> Iterator[object]:
        while True:
            self.pause()
            yield 1


# ---- the usual


def test_main_runs_in_a_daemon_thread_of_its_own(engine: scheduler) -> None:
    threads: list[threading.Thread] = []
    one = Threaded(lambda self: threads.append(threading.current_thread()))
    run(engine, one)
    assert threads[0] is not threading.current_thread()
    assert threads[0].daemon
    assert threads[0].name == one.name
    assert one.stops == 1
    assert engine.listAllThreads() == []


def test_messages_go_both_ways_in_order(engine: scheduler) -> None:
    def doubler(self: Threaded) -> None:
        for _ in range(500):
            number = wait_for(self)
            assert isinstance(number, int)
            self.send(2 * number)

    one, taker = Threaded(doubler), Taker(500)
    one.link((one, "outbox"), (taker, "inbox"))
    for number in range(500):
        one._deliver(number)
    run(engine, one, taker)
    assert taker.taken == [2 * number for number in range(500)]


def test_from_outside_it_is_an_ordinary_component() -> None:
    one, other = Threaded(lambda self: None), component()
    one.link((one, "outbox"), (other, "inbox"))
    one.send("hello")
    assert other.recv() == "hello"
    assert one.anyReady() is False
    one._deliver("in")
    assert (one.dataReady(), one.anyReady()) == (1, "inbox")
    assert list(one.Inbox()) == ["in"]
    with pytest.raises(IndexError):
        one.recv()
    one.unlink(thecomponent=other)
    one.send("lost")
    assert not other.dataReady()


def test_drive_runs_a_threaded_component_too() -> None:
    def echo(self: Threaded) -> None:
        while not self.dataReady("control"):
            self.pause()
        for message in self.Inbox():
            self.send(message)
        self.send(self.recv("control"), "signal")

    end = producerFinished()
    out = drive(Threaded(echo), inbox=[1, 2, 3], control=[end])
    assert out == {"outbox": [1, 2, 3], "signal": [end]}


def test_without_a_main_the_three_parts_are_called(engine: scheduler) -> None:
    class Parts(threadedcomponent):
        def initialiseComponent(self) -> object:
            done.append("initialise")
            return 1

        def mainBody(self) -> object:
            done.append("body")
            return len(done) < 4

        def closeDownComponent(self) -> object:
            done.append("close")
            return 1

    done: list[str] = []
    run(engine, Parts())
    assert done == ["initialise", "body", "body", "body", "close"]


def test_another_method_can_be_the_main(engine: scheduler) -> None:
    class Other(threadedcomponent):
        def second(self) -> None:
            done.append("second")

    done: list[str] = []
    Other().activate(Scheduler=engine, mainmethod="second")
    engine.runThreads()
    assert done == ["second"]


def test_keyword_arguments_become_attributes() -> None:
    one = threadedcomponent(7, colour="red")
    assert one.queuelengths == 7
    assert vars(one)["colour"] == "red"
    assert threadedcomponent().queuelengths == threadedcomponent.DefaultQueueSize == 1000


def test_what_the_thread_sees_of_its_boxes(engine: scheduler) -> None:
    seen: list[object] = []

    def script(self: Threaded) -> None:
        seen.append(self.anyReady())
        with pytest.raises(IndexError):
            self.recv()
        for bad in (self.recv, self.dataReady, lambda name: self.send(1, name)):
            with pytest.raises(KeyError):
                bad("no such box")
        self.sync()
        self.send("ready")
        wait_for(self)
        while not self.dataReady("control"):
            self.pause()
        seen.append(self.anyReady())
        seen.append(list(self.Inbox("control")))

    one = Threaded(script)

    class Partner(component):
        def main(self) -> Iterator[object]:
            while not self.dataReady():
                self.pause()
                yield 1
            one._deliver("x")
            one._deliver("c", "control")

    partner = Partner()
    one.link((one, "outbox"), (partner, "inbox"))
    run(engine, partner, one)
    assert seen == [False, "control", ["c"]]


# ---- failures


@pytest.mark.parametrize("error", [ValueError("of the thread"), SystemExit(3), KeyError()])
def test_an_exception_of_the_thread_comes_out_of_the_run(
    engine: scheduler, error: BaseException
) -> None:
    def fail_here(self: Threaded) -> None:
        self.send("sent before")
        raise error

    one, taker = Threaded(fail_here), component()
    one.link((one, "outbox"), (taker, "inbox"))
    with pytest.raises(type(error)) as raised:
        run(engine, one)
    assert raised.value is error
    assert raised.traceback[-1].name == "fail_here"
    assert one.name in error.__notes__[0]
    assert list(taker.Inbox()) == ["sent before"]
    engine.runThreads()


def test_a_stop_iteration_of_the_thread_is_an_error_too(engine: scheduler) -> None:
    with pytest.raises(RuntimeError) as raised:
        run(engine, Threaded(lambda self: next(iter(()))))
    assert isinstance(raised.value.__cause__, StopIteration)


def test_an_exception_of_the_thread_can_be_isolated(engine: scheduler) -> None:
    told: list[tuple[microprocess, Exception]] = []
    error = OSError("disk")

    def script(self: Threaded) -> None:
        raise error

    one = Threaded(script)
    one.isolate(lambda culprit, problem: told.append((culprit, problem)))
    run(engine, one)
    assert told == [(one, error)]


# ---- being stopped


@pytest.mark.parametrize("where", ["pause", "recv", "sync"])
def test_stop_wakes_the_thread_which_finds_out_and_cleans_up(engine: scheduler, where: str) -> None:
    about_to_sleep, cleaned = threading.Event(), threading.Event()
    told: list[BaseException | None] = []

    def script(self: Threaded) -> None:
        try:
            about_to_sleep.set()
            while True:
                if where == "pause":
                    self.pause()
                elif where == "recv":
                    if self.dataReady():
                        self.recv()
                    else:
                        with pytest.raises(IndexError):
                            self.recv()
                else:
                    self.sync()
        finally:
            told.append(sys.exception())
            cleaned.set()

    one = Threaded(script)

    def stop() -> None:
        about_to_sleep.wait(PATIENCE)
        one.stop()

    engine.call_later(0.01, stop)
    run(engine, one)
    assert cleaned.wait(PATIENCE)
    assert isinstance(told[0], normalShutdown)
    assert told[0].args == (one.name,)
    assert one.stops == 1
    assert engine.listAllThreads() == []


def test_the_schedulers_stop_reaches_the_thread(engine: scheduler) -> None:
    cleaned = threading.Event()

    def script(self: Threaded) -> None:
        try:
            engine.call_from_thread(engine.stop)
            while True:
                self.pause()
        finally:
            cleaned.set()

    one = Threaded(script)
    run(engine, one, Sleeper())
    assert cleaned.wait(PATIENCE)
    assert one.stops == 1
    engine.runThreads()  # what the thread says at its end reaches nobody, and hurts nobody


def test_one_that_was_stopped_before_it_began_has_no_thread(engine: scheduler) -> None:
    ran: list[bool] = []
    one = Threaded(lambda self: ran.append(True))
    one.activate(Scheduler=engine)
    one.stop()
    engine.runThreads()
    two = Threaded(lambda self: ran.append(True))
    two.stop()
    run(engine, two)
    assert ran == []


# ---- wiring from the thread


def test_the_thread_may_link_and_unlink(engine: scheduler) -> None:
    first, second = component(), component()

    def script(self: Threaded) -> None:
        wire = self.link((self, "outbox"), (first, "inbox"), pipewidth=5)
        self.send(1)
        self.sync()
        with pytest.raises(BoxAlreadyLinkedToDestination):
            self.link((self, "outbox"), (second, "inbox"))
        with pytest.raises(KeyError):
            self.link((self, "no such box"), (second, "inbox"))
        self.unlink(thelinkage=wire)
        self.link((self, "outbox"), (second, "inbox"))
        self.send(2)

    run(engine, Threaded(script))
    assert first.inboxes["inbox"].getSize() == 5
    assert (list(first.Inbox()), list(second.Inbox())) == ([1], [2])


def test_sync_waits_until_what_was_sent_has_arrived(engine: scheduler) -> None:
    taker = component()

    def script(self: Threaded) -> None:
        for number in range(10):
            self.send(number)
            self.sync()
            arrived.append(taker.dataReady())

    arrived: list[int] = []
    one = Threaded(script)
    one.link((one, "outbox"), (taker, "inbox"))
    run(engine, one)
    assert arrived == list(range(1, 11))


def test_a_pause_with_a_timeout_ends_by_itself(engine: scheduler) -> None:
    def script(self: Threaded) -> None:
        self.pause(0.001)
        self.pause(0.0)
        done.append(True)

    done: list[bool] = []
    run(engine, Threaded(script))
    assert done == [True]


# ---- adaptive boxes


def test_the_thread_may_add_and_delete_boxes(engine: scheduler) -> None:
    partner = component()

    def script(self: Adaptive) -> None:
        self.link((self, "outbox"), (partner, "inbox"))
        name = self.addOutbox("outbox")
        inbox = self.addInbox("extra")
        names.extend([name, inbox, self.addInbox("extra")])
        wire = self.link((self, name), (self, inbox))
        self.send("round", name)
        while not self.dataReady(inbox):
            self.pause()
        got.append(self.recv(inbox))
        self.unlink(thelinkage=wire)
        self.deleteOutbox(name)
        self.deleteInbox(inbox)
        for bad in (self.deleteOutbox, self.deleteInbox, self.dataReady):
            with pytest.raises(KeyError):
                bad("no such box")
        with pytest.raises(KeyError):
            self.send("x", name)
        with pytest.raises(KeyError):
            self.dataReady(inbox)
        self.trackResource("thing", "inbox")
        got.append(self.retrieveTrackedResource("inbox"))

    names: list[str] = []
    got: list[object] = []
    run(engine, Adaptive(script))
    assert got == ["round", "thing"]
    assert names[0] != "outbox"
    assert names[0].startswith("outbox")
    assert names[1] == "extra"
    assert names[2] != "extra"


def test_from_outside_boxes_are_added_at_once() -> None:
    one = Adaptive(lambda self: None)
    name = one.addInbox("extra")
    one._deliver(1, name)
    assert one.recv(name) == 1
    one.deleteInbox(name)
    one.deleteOutbox(one.addOutbox("extra"))
    assert (list(one.inboxes), list(one.outboxes)) == (["inbox", "control"], ["outbox", "signal"])


# ---- all together


def test_a_main_with_a_yield_is_refused_and_not_ignored(engine: scheduler) -> None:
    class Mistaken(threadedcomponent):
        def main(self) -> Iterator[object]:
            yield 1

    with pytest.raises(TypeError, match=r"Mistaken\.main\(\) is a generator"):
        run(engine, Mistaken())


def test_busy_components_do_not_starve_a_thread(engine: scheduler) -> None:
    class Worker(threadedcomponent):
        turns = 0

        def main(self) -> None:
            while not self.dataReady("control"):
                self.turns += 1
                time.sleep(0)  # lets go of the interpreter, and has to get hold of it again

    class Busy(component):
        def main(self) -> Iterator[object]:
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                yield 1
            worker.inboxes["control"].deliver("enough")

    worker = Worker()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        # With something to poll between the slices: each poll lets go of the interpreter for a
        # microsecond, so that the thread never waits long enough to ask for it.
        engine.register(ours.fileno(), EPOLLIN, lambda events: None)
        run(engine, worker, Busy())
        engine.unregister(ours.fileno())
    assert worker.turns > 30  # about 100; without care about 5


def test_an_ended_one_is_freed_without_the_collector(engine: scheduler) -> None:
    class Plain(threadedcomponent):
        def main(self) -> None:
            self.send("x")

    gc.collect()
    gc.disable()
    try:
        one = Plain()
        thread_gone = weakref.ref(one)
        run(engine, one)
        thread = one._axon_thread
        assert thread is not None
        thread.join(PATIENCE)
        del one, thread
        assert thread_gone() is None
    finally:
        gc.enable()


def test_virtual_time_does_not_wait_for_a_thread_that_has_ended() -> None:
    runner = virtual_scheduler()
    sleeper = Sleeper()
    run(runner, Threaded(lambda self: None), sleeper)
    assert runner.listAllThreads() == [sleeper]


def test_virtual_time_waits_for_a_thread_at_work() -> None:
    runner = virtual_scheduler()

    def script(self: Threaded) -> None:
        self.pause(0.05)  # real seconds: a thread has no others
        self.send("late")

    one = Threaded(script)
    out = collect(one)
    run(runner, one)
    assert out["outbox"] == ["late"]
