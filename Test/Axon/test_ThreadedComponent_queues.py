"""The queues of threaded components: full ones, order, and that nothing is lost at the end."""

import itertools
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import pytest

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.Testing import virtual_scheduler
from Axon.ThreadedComponent import threadedcomponent
from Test.Axon.scripts import PATIENCE, Adaptive, Taker, Threaded, run, wait_for


def send_patiently(self: threadedcomponent, message: object) -> None:
    while True:
        try:
            self.send(message)
        except noSpaceInBox:
            self.pause()
        else:
            return


# ---- full queues


def test_send_into_a_full_queue_is_refused_with_its_length(engine: scheduler) -> None:
    taker = Taker(10)
    refusals: list[tuple[object, ...]] = []

    def script(self: Threaded) -> None:
        hold = threading.Event()
        engine.call_from_thread(lambda: hold.wait(PATIENCE))  # the scheduler is busy meanwhile
        for number in range(3):
            self.send(number)
        with pytest.raises(noSpaceInBox) as full:
            self.send("too much")
        refusals.append(full.value.args)
        hold.set()
        for number in range(3, 10):
            send_patiently(self, number)

    one = Threaded(script, queuelengths=3)
    one.link((one, "outbox"), (taker, "inbox"))
    run(engine, one, taker)
    assert refusals == [(3, 3)]
    assert taker.taken == list(range(10))


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("queuelengths", [1, 4])
def test_queue_and_box_together_hold_what_was_sent_and_each_collection_makes_room(
    engine: scheduler, queuelengths: int, size: int
) -> None:
    taker = component()
    taker.setInboxSize("inbox", size)
    counts: list[int] = []

    def fill(self: Threaded) -> int:
        """Send until nothing more fits, also after the scheduler has moved what it can."""
        count = 0
        try:
            while True:
                self.send(count)
                count += 1
                self.sync()
        except noSpaceInBox:
            return count

    def script(self: Threaded) -> None:
        counts.append(fill(self))
        for number in (1, 2):
            taken = threading.Event()

            def take(number: int = number, taken: threading.Event = taken) -> None:
                for _ in range(min(number, size)):
                    taker.recv()
                taken.set()

            engine.call_from_thread(take)
            taken.wait(PATIENCE)
            self.sync()
            counts.append(fill(self))
        engine.call_from_thread(lambda: taker.setInboxSize("inbox", None))

    one = Threaded(script, queuelengths)
    one.link((one, "outbox"), (taker, "inbox"))
    run(engine, one)
    assert counts == [queuelengths + size, 1, min(2, size)]


def test_what_does_not_fit_into_the_queue_waits_in_the_box(engine: scheduler) -> None:
    def script(self: Threaded) -> None:
        self.sync()
        lengths.append(self.dataReady())
        got.extend(wait_for(self) for _ in range(100))

    lengths: list[int] = []
    got: list[object] = []
    one = Threaded(script, queuelengths=4)
    for number in range(100):
        one._deliver(number)
    run(engine, one)
    assert lengths == [4]
    assert got == list(range(100))


def test_a_sender_to_a_full_threaded_component_is_woken_when_it_reads(engine: scheduler) -> None:
    class Producer(component):
        def main(self) -> Iterator[object]:
            for number in range(200):
                yield from self.put(number)
            yield 1

    def script(self: Threaded) -> None:
        got.extend(wait_for(self) for _ in range(200))

    got: list[object] = []
    producer, one = Producer(), Threaded(script, queuelengths=2)
    one.setInboxSize("inbox", 1)
    producer.link((producer, "outbox"), (one, "inbox"))
    run(engine, one, producer)
    assert got == list(range(200))


def test_a_queue_that_fills_up_while_it_is_being_emptied_does_not_leave_the_thread_asleep(
    engine: scheduler,
) -> None:
    # The agent is held up in the middle of emptying the queue, with one message in it; the thread
    # fills the queue, is refused and sleeps; only then the agent goes on.
    entered, refused = threading.Event(), threading.Event()
    got: list[Any] = []

    class Slow:
        def append(self, message: object) -> None:
            entered.set()
            refused.wait(PATIENCE)
            got.append(message)

        def __len__(self) -> int:
            return 0

    def script(self: Threaded) -> None:
        self.send(1)
        entered.wait(PATIENCE)
        self.send(2)
        with pytest.raises(noSpaceInBox):
            self.send(3)
        refused.set()
        self.pause(PATIENCE)  # returns when there is room
        self.send(3)
        finished.append(True)

    finished: list[bool] = []
    one, sink = Threaded(script, queuelengths=2), component()
    sink.inboxes["inbox"].q = Slow()
    one.link((one, "outbox"), (sink, "inbox"))
    thread_may_take = PATIENCE / 2
    engine.call_later(thread_may_take, engine.stop)
    run(engine, one)
    assert finished == [True]
    assert got == [1, 2, 3]


# ---- order and end


def test_control_does_not_overtake_data(engine: scheduler) -> None:
    def script(self: Threaded) -> None:
        wait_for(self, "control")
        got.extend(self.Inbox())

    # More than the queue holds: control has to wait until the thread has read. So it must read.
    def reading_script(self: Threaded) -> None:
        while not self.dataReady("control"):
            self.pause()
            got.extend(self.Inbox())
        got.extend(self.Inbox())

    for queuelengths, main in ((1000, script), (3, reading_script)):
        got: list[object] = []
        one = Threaded(main, queuelengths)
        one._deliver("end", "control")
        for number in range(50):
            one._deliver(number)
        run(engine, one)
        assert got == list(range(50))


def test_all_that_was_sent_is_delivered_although_the_receiver_is_full_for_a_while(
    engine: scheduler,
) -> None:
    def script(self: Threaded) -> None:
        for number in range(100):
            self.send(number)

    one, taker = Threaded(script), Taker(100, size=2)
    one.link((one, "outbox"), (taker, "inbox"))
    run(engine, one, taker)
    assert taker.taken == list(range(100))


def test_a_shutdown_does_not_overtake_data_that_has_no_room(engine: scheduler) -> None:
    end = producerFinished()

    def script(self: Threaded) -> None:
        for number in range(10):
            self.send(number)
        self.send(end, "signal")

    class Ender(Taker):
        def main(self) -> Iterator[object]:
            while not self.dataReady("control"):
                yield 1
                if self.dataReady():
                    self.taken.append(self.recv())
            self.taken += [*self.Inbox(), *self.Inbox("control")]

    one, taker = Threaded(script), Ender(11, size=2)
    taker.link((one, "outbox"), (taker, "inbox"))
    taker.link((one, "signal"), (taker, "control"))
    run(engine, one, taker)
    assert taker.taken == [*range(10), end]


def test_a_shutdown_does_not_overtake_data_sent_while_the_queues_are_being_emptied(
    engine: scheduler,
) -> None:
    # The agent is held up after it has emptied "outbox"; then the thread sends there, and the end.
    entered, sent = threading.Event(), threading.Event()
    got: list[Any] = []

    class Recorder:
        def __init__(self, hold: bool) -> None:
            self.hold = hold

        def append(self, message: object) -> None:
            if self.hold:
                entered.set()
                sent.wait(PATIENCE)
            got.append(message)

        def __len__(self) -> int:
            return 0

    def script(self: Threaded) -> None:
        self.send("hold", "later")
        entered.wait(PATIENCE)
        self.send("data")
        self.send("end", "signal")
        sent.set()

    class WithLater(Threaded):
        Outboxes: ClassVar[Any] = {"outbox": "object", "later": "object", "signal": "object"}

    one, keeper = WithLater(script), component()
    for name in one.outboxes:
        sink = component()
        sink.inboxes["inbox"].q = Recorder(hold=name == "later")
        keeper.link((one, name), (sink, "inbox"))
    run(engine, one)
    assert got == ["hold", "data", "end"]


def test_unread_messages_do_not_keep_it_alive(engine: scheduler) -> None:
    one = Threaded(lambda self: None, queuelengths=2)
    for number in range(10):
        one._deliver(number)
    run(engine, one)
    assert one.stops == 1


def test_it_is_over_only_after_its_receivers_had_their_turn(engine: scheduler) -> None:
    seen: list[object] = []

    class Receiver(component):
        def main(self) -> Iterator[object]:
            while not self.dataReady():
                self.pause()
                yield 1
            seen.append((self.recv(), one._isStopped()))

    class Parent(Receiver):
        def main(self) -> Iterator[object]:
            while not one._isStopped():
                self.pause()
                yield 1
            seen.append("ended")

    def script(self: Threaded) -> None:
        # The scheduler waits for our end, so that the message and the end come at once.
        engine.call_from_thread(partial(threading.current_thread().join, PATIENCE))
        self.send("last")

    receiver, parent = Receiver(), Parent()
    one = Threaded(script)
    parent.addChildren(one)
    parent.link((one, "outbox"), (receiver, "inbox"))
    run(engine, one, parent, receiver)
    assert seen == [("last", False), "ended"]


# ---- all together


def test_an_outbox_is_not_deleted_while_messages_wait_in_it(engine: scheduler) -> None:
    taker = Taker(4, size=1)

    def script(self: Adaptive) -> None:
        name = self.addOutbox("extra")
        wire = self.link((self, name), (taker, "inbox"))
        for number in range(4):
            self.send(number, name)
        with pytest.raises(noSpaceInBox):
            self.deleteOutbox(name)
        engine.call_from_thread(lambda: taker.activate(Scheduler=engine) and None)
        deleted = False
        while not deleted:
            try:
                self.deleteOutbox(name)
                deleted = True
            except noSpaceInBox:
                self.pause()
        self.unlink(thelinkage=wire)

    run(engine, Adaptive(script))
    assert taker.taken == [0, 1, 2, 3]


@pytest.mark.parametrize("queuelengths", [1, 3, 1000])
def test_a_line_of_threads_with_little_room_loses_nothing(
    engine: scheduler, queuelengths: int
) -> None:
    def echo(self: Threaded) -> None:
        for _ in range(200):
            send_patiently(self, wait_for(self))

    class Source(component):
        def main(self) -> Iterator[object]:
            for number in range(200):
                yield from self.put(number)

    source, taker = Source(), Taker(200)
    line = [source, *(Threaded(echo, queuelengths) for _ in range(5)), taker]
    for left, right in itertools.pairwise(line):
        taker.link((left, "outbox"), (right, "inbox"), pipewidth=1)  # it lives longest
    run(engine, *line)
    assert taker.taken == list(range(200))


def test_told_to_stop_at_once_it_does_not_wait_for_a_full_receiver() -> None:
    def main(self: Threaded) -> None:
        for number in range(3):
            self.send(number, "outbox")
        while not self.told_to_stop():
            self.pause()

    engine, behind, stop = virtual_scheduler(), component(), shutdownMicroprocess()
    behind.setInboxSize("inbox", 1)
    one = Threaded(main)
    one.link((one, "outbox"), (behind, "inbox"))
    one.link((one, "signal"), (behind, "control"))
    one.inboxes["control"].deliver(stop)
    one.activate(Scheduler=engine)
    engine.runThreads()
    assert engine.listAllThreads() == []
    assert list(behind.Inbox("inbox")) == [0]
    assert list(behind.Inbox("control")) == [stop]
