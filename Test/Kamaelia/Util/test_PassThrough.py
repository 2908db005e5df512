"""PassThrough: order, limits, and each way to end."""

import pytest

from Axon.Component import component
from Axon.Ipc import ipc, producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.Testing import collect, drive, harness, virtual_scheduler
from Kamaelia.Util.PassThrough import PassThrough
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {PassThrough: Ends(PassThrough)}


class Reader(component):
    """Never runs: the test reads its inbox."""


def blocked(passing: PassThrough) -> tuple[scheduler, Reader]:
    """The component, running, before a reader that has room for one message, and two messages."""
    reader = Reader()
    reader.setInboxSize("inbox", 1)
    reader.link((passing, "outbox"), (reader, "inbox"))
    passing.inboxes["inbox"].deliver("first")
    passing.inboxes["inbox"].deliver("second")
    runner = virtual_scheduler()
    passing.activate(Scheduler=runner)
    return runner, reader


def test_messages_go_out_as_they_came_in() -> None:
    messages = [b"bytes", None, 3]
    assert drive(PassThrough(), inbox=messages)["outbox"] == messages


def test_a_producer_finished_ends_it_after_all_that_came_before() -> None:
    stop = producerFinished()
    passing = PassThrough()
    out = drive(passing, inbox=[1, 2], control=[stop])
    assert (out["outbox"], out["signal"]) == ([1, 2], [stop])
    assert passing._isStopped()


def test_a_shutdown_microprocess_ends_it_at_once() -> None:
    stop = shutdownMicroprocess()
    out = drive(PassThrough(), inbox=[1, 2], control=[stop])
    assert (out["outbox"], out["signal"]) == ([], [stop])


@pytest.mark.parametrize("turn", [1, -1])
def test_of_two_shutdowns_at_once_the_harder_one_counts(turn: int) -> None:
    hard = shutdownMicroprocess()
    out = drive(PassThrough(), inbox=[1], control=[producerFinished(), hard][::turn])
    assert (out["outbox"], out["signal"]) == ([], [hard])


def test_other_control_messages_are_handed_on_and_end_nothing() -> None:
    passing = PassThrough()
    assert drive(passing, control=["rewind"])["signal"] == ["rewind"]
    assert not passing._isStopped()


@pytest.mark.parametrize("kinds", [(producerFinished,), [producerFinished]])
def test_only_the_listed_types_end_it(kinds: list[type] | tuple[type, ...]) -> None:
    passing = PassThrough(shutdownOn=kinds)
    stop = shutdownMicroprocess()
    assert drive(passing, control=[stop])["signal"] == [stop]
    assert not passing._isStopped()


def test_a_message_waits_in_the_inbox_while_the_next_one_is_full() -> None:
    passing = PassThrough()
    runner, reader = blocked(passing)
    runner.runThreads()
    assert (reader.dataReady("inbox"), passing.dataReady("inbox")) == (1, 1)


def test_it_goes_on_when_there_is_room_and_ends_only_when_nothing_is_left() -> None:
    passing = PassThrough()
    runner, reader = blocked(passing)
    passing.inboxes["control"].deliver(producerFinished())
    got: list[object] = []
    runner.call_later(1, lambda: got.extend(reader.Inbox("inbox")))
    runner.runThreads()
    got.extend(reader.Inbox("inbox"))
    assert got == ["first", "second"]
    assert runner.threads == {}


@pytest.mark.parametrize(("stop", "left"), [(producerFinished(), 1), (shutdownMicroprocess(), 0)])
def test_while_it_waits_for_room_only_a_shutdown_microprocess_ends_it(stop: ipc, left: int) -> None:
    passing = PassThrough()
    sent = collect(passing)["signal"]
    passing.outboxes["outbox"].target.removesource(passing.outboxes["outbox"])  # type: ignore[union-attr]
    runner, _ = blocked(passing)
    runner.call_later(1, lambda: passing.inboxes["control"].deliver(stop))
    runner.runThreads()
    assert len(runner.threads) == left
    assert len(sent) == 1 - left


def test_a_subclass_may_connect_other_boxes() -> None:
    class Crossing(PassThrough):
        Inboxes = {"east": "object: a", "west": "object: b", "control": "the shutdown: ends it"}
        Outboxes = {"left": "object: a", "right": "object: b", "signal": "the shutdown: handed on"}
        Connections = {"east": "left", "west": "right"}

    out = drive(Crossing(), east=[1], west=[2], control=[producerFinished()])
    assert (out["left"], out["right"]) == ([1], [2])


def test_a_full_receiver_of_one_pair_of_boxes_does_not_hold_up_another() -> None:
    class Crossing(PassThrough):
        Inboxes = {"east": "object: a", "west": "object: b", "control": "the shutdown: ends it"}
        Outboxes = {"left": "object: a", "right": "object: b", "signal": "the shutdown: handed on"}
        Connections = {"east": "left", "west": "right"}

    with harness(Crossing()) as h:
        h.limit(1, "left")
        h.put_all([1, 2], "east")
        h.put(3, "west")
        h.put(stop := producerFinished(), "control")
        h.expect("right", 3)
        h.not_ended()
        h.expect_all("left", [1, 2])
        h.expect("signal", stop)


@pytest.mark.parametrize("kind", [producerFinished, shutdownMicroprocess])
def test_a_shutdown_may_be_the_class_as_some_senders_forget_to_make_one(kind: type[ipc]) -> None:
    passing = PassThrough()
    assert drive(passing, control=[kind])["signal"] == [kind]
    assert passing._isStopped()


def test_its_last_word_waits_for_room() -> None:
    with harness(PassThrough()) as h:
        h.limit(0, "signal")
        h.put(stop := producerFinished(), "control")
        h.settle()
        h.not_ended()
        h.limit(1, "signal")
        h.expect("signal", stop)
        h.expect_end()
