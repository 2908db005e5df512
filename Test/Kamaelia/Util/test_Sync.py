"""Sync: the last of each n."""

import pytest

from Axon.Ipc import producerFinished
from Axon.Testing import drive
from Kamaelia.Util.Sync import Sync
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {Sync: Ends(Sync)}


@pytest.mark.parametrize(
    ("sync", "sent"), [(Sync(), [1, 3]), (Sync(n=3), [2]), (Sync(1), [0, 1, 2, 3, 4])]
)
def test_every_nth_message_is_handed_on(sync: Sync, sent: list[int]) -> None:
    assert drive(sync, inbox=range(5), control=[producerFinished()])["outbox"] == sent


def test_a_group_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Sync(0)
