"""Step 4: a postman carries messages from one outbox to one inbox."""


def a_pair(mine):
    return mine.component(), mine.component()


def carry(mine, *postmen):
    """Give each postman some turns."""
    engine = mine.scheduler()
    for postman in postmen:
        postman.activate(engine)
    engine.runThreads(limit=10 * len(postmen))


def test_a_postman_is_a_microprocess(mine):
    assert issubclass(mine.postman, mine.microprocess), "write: class postman(microprocess)"


def test_all_messages_arrive_in_order(mine):
    sender, receiver = a_pair(mine)
    for number in range(3):
        sender.send(number)
    carry(mine, mine.postman((sender, "outbox"), (receiver, "inbox")))
    assert [receiver.recv() for _ in range(3)] == [0, 1, 2]


def test_what_was_carried_is_no_longer_in_the_outbox(mine):
    sender, receiver = a_pair(mine)
    sender.send("letter")
    carry(mine, mine.postman((sender, "outbox"), (receiver, "inbox")))
    assert receiver.dataReady() == 1, "one letter was sent, and one must arrive"
    assert list(sender.outboxes["outbox"]) == [], "the postman must take the letter away"


def test_all_that_waits_is_carried_in_one_turn(mine):
    sender, receiver = a_pair(mine)
    for number in range(5):
        sender.send(number)
    turns = mine.postman((sender, "outbox"), (receiver, "inbox")).main()
    next(turns)
    assert receiver.dataReady() == 5, "he does not go five times for five letters"


def test_only_the_two_boxes_named_are_touched(mine):
    sender, receiver = a_pair(mine)
    sender.send("stays", "outbox")
    sender.send("goes", "signal")
    carry(mine, mine.postman((sender, "signal"), (receiver, "control")))
    assert receiver.recv("control") == "goes"
    assert list(sender.outboxes["outbox"]) == ["stays"]
    assert receiver.dataReady("inbox") == 0


def test_what_lies_in_the_inbox_already_stays_before_it(mine):
    sender, receiver = a_pair(mine)
    receiver.inboxes["inbox"].append("early")
    sender.send("late")
    carry(mine, mine.postman((sender, "outbox"), (receiver, "inbox")))
    assert [receiver.recv(), receiver.recv()] == ["early", "late"]


def test_two_postmen_may_go_to_the_same_inbox(mine):
    sender, receiver = a_pair(mine)
    other = mine.component()
    sender.send("from one")
    other.send("from another")
    carry(
        mine,
        mine.postman((sender, "outbox"), (receiver, "inbox")),
        mine.postman((other, "outbox"), (receiver, "inbox")),
    )
    assert {receiver.recv(), receiver.recv()} == {"from one", "from another"}


def test_a_postman_comes_again_for_what_is_sent_later(mine):
    sender, receiver = a_pair(mine)
    turns = mine.postman((sender, "outbox"), (receiver, "inbox")).main()
    next(turns)
    sender.send("late")
    next(turns)
    assert receiver.recv() == "late"


def test_the_scheduler_stops_at_its_limit_and_not_before(mine):
    sender, receiver = a_pair(mine)
    turns = []

    class Endless(mine.microprocess):
        def main(self):
            while True:
                turns.append("turn")
                yield 1

    engine = mine.scheduler()
    Endless().activate(engine)
    mine.postman((sender, "outbox"), (receiver, "inbox")).activate(engine)
    engine.runThreads(limit=20)
    assert len(turns) == 10, "20 turns, for two who have them by turns: that is ten each"
