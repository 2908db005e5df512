"""Step 3: a component has boxes of its own, and talks to nobody but them."""

import pytest


def test_a_component_is_a_microprocess(mine):
    assert issubclass(mine.component, mine.microprocess), "write: class component(microprocess)"


def test_every_component_has_the_four_boxes(mine):
    one = mine.component()
    assert set(one.inboxes) == {"inbox", "control"}
    assert set(one.outboxes) == {"outbox", "signal"}


def test_a_class_may_declare_other_boxes(mine):
    class Sorter(mine.component):
        Inboxes = ["cards"]
        Outboxes = ["red", "black"]

    sorter = Sorter()
    assert list(sorter.inboxes) == ["cards"], "make the boxes from self.Inboxes"
    assert list(sorter.outboxes) == ["red", "black"], "make the boxes from self.Outboxes"


def test_what_is_sent_waits_in_the_outbox_in_order(mine):
    one = mine.component()
    one.send("first")
    one.send("second", "outbox")
    one.send("third", "signal")
    assert list(one.outboxes["outbox"]) == ["first", "second"]
    assert list(one.outboxes["signal"]) == ["third"], "send() must use the box that is named"


def test_recv_takes_the_oldest_message_away(mine):
    one = mine.component()
    one.inboxes["inbox"].extend(["first", "second"])
    got = [one.recv(), one.recv("inbox")]
    assert got == ["first", "second"], f"the oldest comes first; yours gave {got}"
    assert len(one.inboxes["inbox"]) == 0, "a message that was received is no longer in the box"


def test_recv_uses_the_box_that_is_named(mine):
    one = mine.component()
    one.inboxes["control"].append("stop")
    assert one.recv("control") == "stop"


def test_data_ready_is_the_number_of_waiting_messages(mine):
    one = mine.component()
    assert one.dataReady() == 0
    one.inboxes["inbox"].extend(["a", "b"])
    assert one.dataReady("inbox") == 2
    assert one.dataReady("control") == 0


def test_receiving_from_an_empty_box_is_an_error(mine):
    with pytest.raises(IndexError):
        mine.component().recv()


@pytest.mark.parametrize("call", ["send", "recv", "dataReady"])
def test_a_box_that_is_not_there_is_an_error(mine, call):
    arguments = ["message", "nonsense"] if call == "send" else ["nonsense"]
    with pytest.raises(KeyError):
        getattr(mine.component(), call)(*arguments)


def test_two_components_do_not_share_their_boxes(mine):
    one, other = mine.component(), mine.component()
    one.send("mine")
    one.inboxes["inbox"].append("mine")
    assert list(other.outboxes["outbox"]) == [], "make the boxes in __init__, not in the class"
    assert other.dataReady() == 0, "make the boxes in __init__, not in the class"


def test_a_doubler_works_through_its_inbox(mine):
    engine = mine.scheduler()
    doubler = mine.Doubler().activate(engine)
    doubler.inboxes["inbox"].extend([1, 2, 3])
    engine.runThreads()
    assert list(doubler.outboxes["outbox"]) == [2, 4, 6]
