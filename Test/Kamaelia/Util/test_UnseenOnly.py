"""UnseenOnly: each thing once, as far as it remembers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Testing import drive
from Kamaelia.Util.UnseenOnly import UnseenOnly
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {UnseenOnly: Ends(UnseenOnly)}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5)))
def test_each_thing_is_handed_on_once_in_order_of_its_first_coming(messages: list[int]) -> None:
    assert drive(UnseenOnly(), inbox=messages)["outbox"] == list(dict.fromkeys(messages))


def test_what_was_seen_the_longest_time_ago_is_forgotten() -> None:
    unseen = UnseenOnly(limit=2)
    assert drive(unseen, inbox="abacabc")["outbox"] == list("abcbc")
    assert len(unseen._seen) == 2


def test_what_is_not_hashable_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="UnseenOnly takes what is hashable"):
        drive(UnseenOnly(), inbox=[[1]])


def test_it_must_remember_something() -> None:
    with pytest.raises(ValueError, match="limit=0"):
        UnseenOnly(0)
