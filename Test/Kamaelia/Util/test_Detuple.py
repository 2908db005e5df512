"""SimpleDetupler: one item, whatever it is."""

import pytest

from Axon.Testing import drive
from Kamaelia.Util.Detuple import SimpleDetupler
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {SimpleDetupler: Ends(lambda: SimpleDetupler(0))}


def test_the_item_at_the_index_is_sent_also_if_it_is_none() -> None:
    assert drive(SimpleDetupler(1), inbox=[(1, 2), [3, None]])["outbox"] == [2, None]


def test_an_index_may_be_a_key() -> None:
    assert drive(SimpleDetupler("name"), inbox=[{"name": "Anna"}])["outbox"] == ["Anna"]


@pytest.mark.parametrize("message", [(1,), 5, None])
def test_a_message_without_that_item_is_a_type_error(message: object) -> None:
    with pytest.raises(TypeError, match="SimpleDetupler takes what has an item 1 at 'inbox'"):
        drive(SimpleDetupler(1), inbox=[message])
