"""MessageLoop: work, waiting for room, and each way to end; what all its subclasses rely on."""

from collections.abc import Iterable

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Util.MessageLoop import MessageLoop
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {MessageLoop: Ends(MessageLoop)}


class Twice(MessageLoop):
    """Each message twice, and "bye" at the end; ends by itself after "last"."""

    def results(self, message: object) -> Iterable[object]:
        self.over = message == "last"
        return (message, message)

    def last_results(self) -> Iterable[object]:
        return ("bye",)


class Two(MessageLoop):
    ExtraOutboxes = {"other": "object: as outbox"}
    boxnames = ("outbox", "other")


def test_by_itself_it_hands_messages_on() -> None:
    messages = [1, None, b"x"]
    assert drive(MessageLoop(), inbox=messages)["outbox"] == messages


def test_a_producer_finished_ends_it_after_all_that_came_and_the_last_results() -> None:
    stop = producerFinished()
    out = drive(Twice(), inbox=[1, 2], control=[stop])
    assert out == {"outbox": [1, 1, 2, 2, "bye"], "signal": [stop]}


def test_a_shutdown_microprocess_ends_it_at_once() -> None:
    stop = shutdownMicroprocess()
    assert drive(Twice(), inbox=[1], control=[stop]) == {"outbox": [], "signal": [stop]}


def test_other_control_messages_are_handed_on_and_end_nothing() -> None:
    loop = MessageLoop()
    assert drive(loop, control=["rewind"])["signal"] == ["rewind"]
    assert not loop._isStopped()


def test_a_subclass_may_end_by_itself_and_what_comes_after_is_not_touched() -> None:
    twice = Twice()
    out = drive(twice, inbox=[1, "last", 2])
    assert out["outbox"] == [1, 1, "last", "last"]
    assert isinstance(out["signal"][0], producerFinished)
    assert twice.dataReady("inbox") == 1


def test_while_the_receiver_is_full_it_sleeps_and_then_goes_on_in_order() -> None:
    with harness(Twice()) as h:
        h.limit(1)
        h.put_all([1, 2])
        h.put(producerFinished(), "control")
        taken = []
        for _ in range(5):
            h.run_for(60)
            taken += h.take("outbox")
        assert taken == [1, 1, 2, 2, "bye"]
        h.expect_end()


@pytest.mark.parametrize("messages", [[1, 2], []], ids=["in the middle", "at the end"])
def test_while_it_waits_for_room_a_shutdown_microprocess_ends_it(messages: list[int]) -> None:
    with harness(Twice()) as h:
        h.limit(0)
        h.put_all(messages)
        h.put(producerFinished(), "control")
        h.run_for(60)
        h.not_ended()
        h.finish(shutdownMicroprocess())
        assert h.take("outbox") == []
        h.expect("signal", shutdownMicroprocess)


def test_what_comes_while_it_waits_for_room_is_not_overlooked() -> None:
    with harness(MessageLoop()) as h:
        h.limit(1)
        h.put_all([1, 2])
        h.settle()
        h.put(3)
        for number in (1, 2, 3):
            h.expect("outbox", number)


def test_one_full_receiver_does_not_keep_the_message_from_another() -> None:
    with harness(Two()) as h:
        h.limit(0, "outbox")
        h.put_all([1, 2])
        h.settle()
        assert h.take("other") == [1]
        h.limit(None, "outbox")
        h.settle()
        assert (h.take("outbox"), h.take("other")) == ([1, 2], [2])


def test_an_exception_of_a_subclass_names_the_message_that_it_was_at() -> None:
    class Fails(MessageLoop):
        def results(self, message: object) -> Iterable[object]:
            raise self.refused(message, "nothing")

    with pytest.raises(TypeError, match="Fails takes nothing at 'inbox', and 'x' came"):
        drive(Fails(), inbox=["x"])


def test_results_may_be_a_generator_and_several_loops_share_nothing() -> None:
    class Spelt(MessageLoop):
        def results(self, message: str) -> Iterable[object]:
            yield from message

    one, other = Spelt(), Spelt()
    assert drive(one, inbox=["ab", "c"])["outbox"] == ["a", "b", "c"]
    assert drive(other, inbox=["d"])["outbox"] == ["d"]
