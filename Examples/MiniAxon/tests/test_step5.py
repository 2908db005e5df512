"""Step 5: a message lies in the receiver's inbox as soon as it is sent."""

import pytest


def linked(mine):
    sender, receiver = mine.component(), mine.component()
    receiver.link((sender, "outbox"), (receiver, "inbox"))
    return sender, receiver


def test_a_message_is_there_at_once(mine):
    sender, receiver = linked(mine)
    sender.send("letter")
    assert receiver.dataReady() == 1, "nobody runs, and yet it must have arrived: by send() itself"
    assert receiver.recv() == "letter"


def test_messages_keep_their_order(mine):
    sender, receiver = linked(mine)
    for number in range(5):
        sender.send(number)
    assert [receiver.recv() for _ in range(5)] == [0, 1, 2, 3, 4]


def test_the_very_object_arrives_and_not_a_copy(mine):
    sender, receiver = linked(mine)
    message = ["a list"]
    sender.send(message)
    assert receiver.recv() is message


def test_what_is_sent_to_nobody_is_gone(mine):
    sender = mine.component()
    sender.send("into the void")
    receiver = mine.component()
    receiver.link((sender, "outbox"), (receiver, "inbox"))
    assert receiver.dataReady() == 0, "it was sent before there was a link"


def test_any_two_boxes_may_be_linked(mine):
    sender, receiver = mine.component(), mine.component()
    receiver.link((sender, "signal"), (receiver, "control"))
    sender.send("data", "outbox")
    sender.send("stop", "signal")
    assert receiver.recv("control") == "stop"
    assert receiver.dataReady("inbox") == 0


def test_many_may_send_to_one(mine):
    sender, receiver = linked(mine)
    other = mine.component()
    receiver.link((other, "outbox"), (receiver, "inbox"))
    sender.send(1)
    other.send(2)
    assert [receiver.recv(), receiver.recv()] == [1, 2]


def test_one_box_cannot_lead_to_two(mine):
    sender, receiver = linked(mine)
    third = mine.component()
    with pytest.raises(ValueError, match="outbox"):
        third.link((sender, "outbox"), (third, "inbox"))
    sender.send("letter")
    assert receiver.dataReady() == 1, "the link that was there must still be there"


def test_anybody_may_make_a_link(mine):
    sender, receiver, director = mine.component(), mine.component(), mine.component()
    director.link((sender, "outbox"), (receiver, "inbox"))
    sender.send("letter")
    assert receiver.dataReady() == 1


def test_a_box_that_is_not_there_is_an_error(mine):
    sender, receiver = mine.component(), mine.component()
    with pytest.raises(KeyError):
        receiver.link((sender, "nonsense"), (receiver, "inbox"))
    with pytest.raises(KeyError):
        receiver.link((sender, "outbox"), (receiver, "nonsense"))
    with pytest.raises(KeyError):
        sender.send("message", "nonsense")


def test_links_belong_to_one_component_and_not_to_its_class(mine):
    _, receiver = linked(mine)
    mine.component().send("from somebody else")
    assert receiver.dataReady() == 0, "outboxes must be made in __init__, not in the class"
