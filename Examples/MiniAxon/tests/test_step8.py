"""Step 8: an inbox may be full, and then the sender waits."""

import pytest


def linked(mine, pipewidth=None, count=1):
    receiver = mine.component()
    senders = [mine.component() for _ in range(count)]
    for sender in senders:
        receiver.link((sender, "outbox"), (receiver, "inbox"), pipewidth=pipewidth)
    return receiver, *senders


def source(mine, log, numbers):
    class Source(mine.component):
        def main(self):
            for number in numbers:
                yield from self.put(number)
                log.append(number)

    return Source()


def test_without_a_size_there_is_always_room(mine):
    receiver, sender = linked(mine)
    for number in range(1000):
        sender.send(number)
    assert receiver.dataReady() == 1000


def test_sending_to_a_full_box_is_an_error_and_nothing_is_lost(mine):
    receiver, sender = linked(mine, pipewidth=2)
    sender.send("a")
    sender.send("b")
    with pytest.raises(mine.noSpaceInBox):
        sender.send("c")
    assert [receiver.recv(), receiver.recv()] == ["a", "b"]
    assert receiver.dataReady() == 0, "a message that was refused is not in the box"


def test_the_sender_can_ask_whether_the_far_end_is_full(mine):
    receiver, sender = linked(mine, pipewidth=1)
    assert not sender.outboxes["outbox"].isFull()
    sender.send("a")
    assert sender.outboxes["outbox"].isFull()
    receiver.recv()
    assert not sender.outboxes["outbox"].isFull()


def test_an_outbox_that_leads_nowhere_is_never_full(mine):
    sender = mine.component()
    for number in range(10):
        sender.send(number)
    assert not sender.outboxes["outbox"].isFull()


def test_one_box_still_cannot_lead_to_two(mine):
    _, sender = linked(mine)
    third = mine.component()
    with pytest.raises(ValueError, match="outbox"):
        third.link((sender, "outbox"), (third, "inbox"))


def test_put_sends_at_once_if_there_is_room(mine):
    receiver, sender = linked(mine, pipewidth=1)
    assert list(sender.put("a")) == [], "nothing to wait for: no yield"
    assert receiver.recv() == "a"


def test_put_sends_nothing_while_there_is_no_room(mine):
    log, engine = [], mine.scheduler()
    sender, receiver = source(mine, log, range(5)).activate(engine), mine.component()
    receiver.link((sender, "outbox"), (receiver, "inbox"), pipewidth=2)
    engine.runThreads()  # ends, since the sender sleeps
    assert log == [0, 1], "two have room; with the third it sleeps, and does not ask all the time"
    assert receiver.dataReady() == 2


def test_taking_a_message_wakes_the_sender(mine):
    log, engine = [], mine.scheduler()
    sender, receiver = source(mine, log, range(4)).activate(engine), mine.component()
    receiver.link((sender, "outbox"), (receiver, "inbox"), pipewidth=1)
    got = []
    for _ in range(4):
        engine.runThreads()
        got.append(receiver.recv())
    assert got == [0, 1, 2, 3], "each message that is taken makes room for the next one"


def test_all_senders_are_woken_and_nothing_is_lost(mine):
    log, engine = [], mine.scheduler()
    receiver = mine.component()
    for first in (0, 10, 20):
        sender = source(mine, log, range(first, first + 3)).activate(engine)
        receiver.link((sender, "outbox"), (receiver, "inbox"), pipewidth=1)
    got = []
    for _ in range(9):
        engine.runThreads()
        assert receiver.dataReady() == 1, "never more than one, and never none while there is more"
        got.append(receiver.recv())
    assert sorted(got) == [0, 1, 2, 10, 11, 12, 20, 21, 22]


def test_a_second_link_without_a_size_leaves_the_size(mine):
    receiver, sender = linked(mine, pipewidth=1)
    other = mine.component()
    receiver.link((other, "outbox"), (receiver, "inbox"))
    sender.send("a")
    assert other.outboxes["outbox"].isFull()


def test_inbox_gives_all_that_waits(mine):
    receiver, sender = linked(mine)
    for number in range(3):
        sender.send(number)
    receiver.inboxes["control"].append("stop")
    assert list(receiver.Inbox()) == [0, 1, 2]
    assert list(receiver.Inbox("control")) == ["stop"]


def test_any_ready_looks_into_every_inbox(mine):
    one = mine.component()
    assert not one.anyReady()
    one.inboxes["control"].append("stop")
    assert one.anyReady(), "a message at control counts as well"


def test_only_one_of_the_endings_stops_at_once(mine):
    assert mine.stops_at_once(mine.shutdownMicroprocess())
    assert not mine.stops_at_once(mine.producerFinished())
    assert not mine.stops_at_once(None), "not told to stop at all"


def test_who_takes_slowly_gets_everything(mine, capsys):
    engine = mine.scheduler()
    fast, slow = mine.Fast().activate(engine), mine.Slow().activate(engine)
    slow.link((fast, "outbox"), (slow, "inbox"), pipewidth=2)
    slow.link((fast, "signal"), (slow, "control"))
    engine.runThreads()
    lines = capsys.readouterr().out.split("\n")
    assert [line.strip() for line in lines if "took" in line] == [f"took {n}" for n in range(5)]
