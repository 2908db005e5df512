"""
What an inbox's storage costs while its sender asks how full it is: it is not copied for each
message.
"""

from collections import deque
from itertools import pairwise

import pytest

from Axon.Component import component
from Axon.Storage import CheckedDeque

MANY, FEW, ROUNDS = 1000, 3, 200


def joined() -> tuple[component, component]:
    sender, receiver = component(), component()
    sender.link((sender, "outbox"), (receiver, "inbox"))
    return sender, receiver


def exchanges_while_asked(waiting: int) -> int:
    """How often the storage becomes another object in so many rounds of asking, sending and
    taking."""
    sender, receiver = joined()
    for number in range(waiting):
        sender.send(number)
    inbox = receiver.inboxes["inbox"]
    kept = [inbox.q]  # kept alive: another object cannot get the same id
    for number in range(ROUNDS):
        assert len(sender.outboxes["outbox"]) == waiting
        kept.append(inbox.q)
        sender.send(waiting + number)
        assert receiver.recv() == number
        kept.append(inbox.q)
    return sum(one is not other for one, other in pairwise(kept))


def test_a_long_box_is_copied_once_however_often_it_is_asked_how_full_it_is() -> None:
    assert exchanges_while_asked(MANY) == 1


def test_a_short_box_goes_back_to_plain_storage_each_time() -> None:
    assert exchanges_while_asked(FEW) == 2 * ROUNDS


@pytest.mark.parametrize("waiting", [MANY, FEW])
def test_a_box_that_was_asked_is_plain_again_once_it_has_been_emptied(waiting: int) -> None:
    sender, receiver = joined()
    for number in range(waiting):
        sender.send(number)
    inbox = receiver.inboxes["inbox"]
    taken = []
    while len(sender.outboxes["outbox"]):
        assert isinstance(inbox.q, CheckedDeque)
        taken.append(receiver.recv())
    assert taken == list(range(waiting))
    assert type(inbox.q) is deque
