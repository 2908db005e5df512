"""Collate: one list, at the end, and not more than there is room for."""

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Util.Collate import Collate
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {Collate: Ends(Collate)}


@pytest.mark.parametrize("messages", [[1, None, "x"], []])
def test_after_a_producer_finished_all_is_sent_as_one_list(messages: list[object]) -> None:
    assert drive(Collate(), inbox=messages, control=[producerFinished()])["outbox"] == [messages]


def test_before_the_end_nothing_is_sent() -> None:
    assert drive(Collate(), inbox=[1])["outbox"] == []


def test_half_a_list_is_not_sent() -> None:
    with harness(Collate()) as h:
        h.put(1)
        h.settle()
        h.finish(shutdownMicroprocess())
        assert h.take("outbox") == []


def test_one_message_more_than_the_limit_is_an_error() -> None:
    assert drive(Collate(2), inbox=[1, 2], control=[producerFinished()])["outbox"] == [[1, 2]]
    with pytest.raises(OverflowError, match="2 messages"):
        drive(Collate(limit=2), inbox=[1, 2, 3])
