"""FirstOnly: the first one, and it goes on."""

from Axon.Testing import drive
from Kamaelia.Util.FirstOnly import FirstOnly
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {FirstOnly: Ends(FirstOnly)}


def test_only_the_first_message_is_handed_on_and_it_does_not_end() -> None:
    first = FirstOnly()
    assert drive(first, inbox=[None, 2, 3]) == {"outbox": [None], "signal": []}
    assert not first._isStopped()
    assert first.dataReady("inbox") == 0


def test_each_has_its_own_first() -> None:
    assert [drive(FirstOnly(), inbox=[n])["outbox"] for n in (1, 2)] == [[1], [2]]
