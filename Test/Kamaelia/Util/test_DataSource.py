"""DataSource and TriggeredSource: what is sent, when it ends, and waiting for room."""

from collections.abc import Iterator
from itertools import count

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import collect, drive, harness, virtual_scheduler
from Kamaelia.Util.DataSource import DataSource, TriggeredSource
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {DataSource: Ends(lambda: DataSource([1, 2]), ends_alone=True)}


class Slow(component):
    """Has room for one message and takes one a second."""

    def main(self) -> Iterator[object]:
        self.got: list[object] = []
        while not self.dataReady("control"):
            self.pause(1.0)
            yield 1
            if self.dataReady("inbox"):
                self.got.append(self.recv("inbox"))
        self.got.extend(self.Inbox("inbox"))


def test_the_messages_are_sent_in_order_then_producer_finished() -> None:
    source = DataSource([1, None, "x"])
    out = drive(source)
    assert out["outbox"] == [1, None, "x"]
    (end,) = out["signal"]
    assert isinstance(end, producerFinished)
    assert end.caller is source


def test_the_callers_list_stays_as_it_is() -> None:
    messages = [1, 2]
    drive(DataSource(messages))
    assert messages == [1, 2]


def test_anything_iterable_will_do_and_one_message_is_taken_a_turn() -> None:
    numbers = count()
    source = DataSource(numbers)
    sent = collect(source)
    steps = source.main()
    for _ in range(3):
        next(steps)
    assert sent["outbox"] == [0, 1, 2]


def test_a_shutdown_microprocess_ends_it_at_once_even_if_it_has_no_end() -> None:
    stop = shutdownMicroprocess()
    out = drive(DataSource(count()), control=["a word", stop])
    assert (out["outbox"], out["signal"]) == ([], ["a word", stop])


def test_a_shutdown_microprocess_may_be_the_class_as_some_senders_forget_to_make_one() -> None:
    out = drive(DataSource(count()), control=[shutdownMicroprocess])
    assert (out["outbox"], out["signal"]) == ([], [shutdownMicroprocess])


def test_its_end_is_told_to_an_inbox_too() -> None:
    source, waiting = DataSource([1]), component()
    source.link((source, "signal"), (waiting, "inbox"))
    with harness(source) as h:
        h.expect_end()
    (end,) = waiting.Inbox("inbox")
    assert isinstance(end, producerFinished)


def test_a_successor_without_room_for_a_shutdown_does_not_fail_it() -> None:
    source, successor = DataSource([]), component()
    successor.setInboxSize("control", 0)
    source.link((source, "signal"), (successor, "control"))
    with harness(source) as h:
        h.expect_end()
    (end,) = successor.Inbox("control")
    assert isinstance(end, producerFinished)


def test_a_producer_finished_changes_nothing() -> None:
    out = drive(DataSource([1, 2]), control=[producerFinished("somebody")])
    assert out["outbox"] == [1, 2]
    assert len(out["signal"]) == 1


def test_while_the_receiver_is_full_it_waits() -> None:
    source, slow = DataSource(range(5)), Slow()
    slow.setInboxSize("inbox", 1)
    slow.link((source, "outbox"), (slow, "inbox"))
    slow.link((source, "signal"), (slow, "control"))
    runner = virtual_scheduler()
    source.activate(Scheduler=runner)
    slow.activate(Scheduler=runner)
    runner.runThreads()
    assert slow.got == [0, 1, 2, 3, 4]


def test_while_it_waits_for_room_a_shutdown_microprocess_ends_it() -> None:
    source, slow = DataSource(range(5)), Slow()
    slow.setInboxSize("inbox", 1)
    slow.link((source, "outbox"), (slow, "inbox"))
    runner = virtual_scheduler()
    source.activate(Scheduler=runner)
    runner.call_later(1, lambda: source.inboxes["control"].deliver(shutdownMicroprocess()))
    runner.runThreads()
    assert source._isStopped()
    assert slow.dataReady("inbox") == 1


def test_a_triggered_source_sends_its_message_for_each_that_comes() -> None:
    stop = producerFinished()
    out = drive(TriggeredSource("tick"), inbox=[1, None, "x"], control=[stop])
    assert (out["outbox"], out["signal"]) == (["tick"] * 3, [stop])


def test_a_triggered_source_ends_on_a_shutdown_microprocess_too() -> None:
    stop = shutdownMicroprocess()
    assert drive(TriggeredSource("tick"), inbox=[1], control=[stop]) == {
        "outbox": [],
        "signal": [stop],
    }
