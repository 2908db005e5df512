"""LossyConnector: loses and counts, and never waits."""

from Axon.Ipc import producerFinished
from Axon.Testing import drive, harness
from Kamaelia.Util.LossyConnector import LossyConnector
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {LossyConnector: Ends(LossyConnector)}


def test_while_there_is_room_nothing_is_lost() -> None:
    connector = LossyConnector()
    assert drive(connector, inbox=range(100))["outbox"] == list(range(100))
    assert connector.dropped == 0


def test_what_finds_the_receiver_full_is_lost_and_counted() -> None:
    connector = LossyConnector()
    with harness(connector) as h:
        h.limit(2)
        h.put_all(range(5))
        h.settle()
        assert connector.dropped == 3
        assert h.take("outbox") == [0, 1]
        h.put(5)
        h.expect("outbox", 5)


def test_a_full_receiver_does_not_keep_it_from_ending() -> None:
    connector = LossyConnector()
    with harness(connector) as h:
        h.limit(0)
        h.put(1)
        h.finish(producerFinished())
    assert connector.dropped == 1
