"""Max: the largest of each list."""

import pytest

from Axon.Testing import drive
from Kamaelia.Util.Max import Max
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {Max: Ends(Max)}


def test_the_largest_of_each_list_is_sent() -> None:
    assert drive(Max(), inbox=[[1, 3, 2], (0,), "abc"])["outbox"] == [3, 0, "c"]


@pytest.mark.parametrize("message", [[], 5, [1, "a"]])
def test_what_has_no_largest_item_is_a_type_error(message: object) -> None:
    with pytest.raises(TypeError, match="Max takes lists that have a largest item at 'inbox'"):
        drive(Max(), inbox=[message])
