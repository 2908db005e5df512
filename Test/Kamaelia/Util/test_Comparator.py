"""Comparator: pairs."""

from Axon.Ipc import producerFinished
from Axon.Testing import drive, harness
from Kamaelia.Util.Comparator import Comparator, comparator
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {Comparator: Ends(Comparator)}


def test_it_says_of_each_pair_whether_they_are_equal() -> None:
    out = drive(Comparator(), inA=[1, 2, 3], inB=[1, 0, 3.0])
    assert out["outbox"] == [True, False, True]


def test_a_subclass_says_something_else() -> None:
    class Join(Comparator):
        def combine(self, a: object, b: object) -> object:
            return (a, b)

    assert drive(Join(), inA="ab", inB="cd")["outbox"] == [("a", "c"), ("b", "d")]


def test_one_without_a_partner_waits_for_it_asleep() -> None:
    with harness(Comparator()) as h:
        h.put(1, "inA")
        h.expect_nothing("outbox", during=3600)
        h.put(1, "inB")
        h.expect("outbox", True)


def test_one_without_a_partner_does_not_keep_it_from_ending() -> None:
    stop = producerFinished()
    out = drive(Comparator(), inA=[1, 2], inB=[1], control=[stop])
    assert out == {"outbox": [True], "signal": [stop]}


def test_a_full_receiver_is_waited_for() -> None:
    with harness(Comparator()) as h:
        h.limit(1)
        h.put_all([1, 2], "inA")
        h.put_all([1, 3], "inB")
        h.settle()
        h.expect("outbox", True)
        h.expect("outbox", False)


def test_the_older_name_is_the_same() -> None:
    assert comparator is Comparator
