"""RangeFilter: what begins with something in a range."""

import pytest

from Axon.Testing import drive, harness
from Kamaelia.Util.RangeFilter import RangeFilter
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {RangeFilter: Ends(lambda: RangeFilter([(0, 1)]))}


def test_what_lies_in_one_of_the_ranges_is_handed_on_ends_included() -> None:
    messages = [(number, "x") for number in range(9)]
    out = drive(RangeFilter([(1, 2), (6, 7)]), inbox=messages)
    assert [message[0] for message in out["outbox"]] == [1, 2, 6, 7]


def test_without_ranges_nothing_is() -> None:
    assert drive(RangeFilter([]), inbox=[(1,)])["outbox"] == []


def test_the_ranges_are_the_callers_and_read_once() -> None:
    ranges = [(1, 2)]
    chosen = RangeFilter(ranges)
    ranges.clear()
    assert drive(chosen, inbox=[(1,)])["outbox"] == [(1,)]


def test_a_full_receiver_is_waited_for() -> None:
    with harness(RangeFilter([(1, 2)])) as h:
        h.limit(1)
        h.put_all([(1,), (2,)])
        h.settle()
        h.expect("outbox", (1,))
        h.expect("outbox", (2,))


@pytest.mark.parametrize("message", [5, (), ("a",)])
def test_what_cannot_be_compared_is_a_type_error(message: object) -> None:
    with pytest.raises(TypeError, match="RangeFilter takes tuples"):
        drive(RangeFilter([(0, 1)]), inbox=[message])
