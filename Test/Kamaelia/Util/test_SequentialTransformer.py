"""SequentialTransformer: one function after the other, and None in the middle."""

from Axon.Testing import drive
from Kamaelia.Util.SequentialTransformer import SequentialTransformer
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {SequentialTransformer: Ends(lambda: SequentialTransformer(str))}


def test_each_function_gets_what_the_one_before_it_returned() -> None:
    out = drive(SequentialTransformer(str.strip, len, str), inbox=[" ab ", "c"])
    assert out["outbox"] == ["2", "1"]


def test_at_a_none_the_rest_is_not_called_and_nothing_is_sent() -> None:
    called: list[object] = []
    kept = {"a": 1}
    out = drive(SequentialTransformer(kept.get, called.append), inbox=["a", "b"])
    assert out["outbox"] == []
    assert called == [1]


def test_a_none_that_comes_in_is_a_message_like_others() -> None:
    assert drive(SequentialTransformer(str), inbox=[None])["outbox"] == ["None"]


def test_without_functions_messages_are_handed_on() -> None:
    assert drive(SequentialTransformer(), inbox=[1])["outbox"] == [1]
