"""TagWithSequenceNumber: (number, message)."""

from Axon.Testing import drive
from Kamaelia.Util.TagWithSequenceNumber import TagWithSequenceNumber
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {TagWithSequenceNumber: Ends(TagWithSequenceNumber)}


def test_messages_are_numbered_from_nought() -> None:
    assert drive(TagWithSequenceNumber(), inbox="ab")["outbox"] == [(0, "a"), (1, "b")]


def test_or_from_another_number_and_each_has_its_own_count() -> None:
    for _ in range(2):
        assert drive(TagWithSequenceNumber(initial=-1), inbox="ab")["outbox"] == [
            (-1, "a"),
            (0, "b"),
        ]
