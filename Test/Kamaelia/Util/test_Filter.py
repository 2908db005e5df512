"""Filter: the object's approval, and what it still holds at the end."""

from collections.abc import Iterator

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Util.Filter import Filter, FilterComponent, NullFilter
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {Filter: Ends(Filter)}


class Pairs:
    """Gives what came in twos."""

    def __init__(self) -> None:
        self.held: object = None

    def filter(self, message: object) -> object:
        if self.held is None:
            self.held = message
            return None
        pair, self.held = (self.held, message), None
        return pair

    def drain(self) -> Iterator[object]:
        if self.held is not None:
            yield (self.held,)


@pytest.mark.parametrize("make", [Filter, lambda: Filter(NullFilter())])
def test_by_default_all_is_let_through_and_it_ends(make: type[Filter]) -> None:
    stop = producerFinished()
    assert drive(make(), inbox=["", 1], control=[stop]) == {"outbox": ["", 1], "signal": [stop]}


def test_what_the_object_returns_goes_out_but_for_none() -> None:
    assert drive(Filter(Pairs()), inbox=[1, 2, 3])["outbox"] == [(1, 2)]


def test_after_a_producer_finished_the_object_gives_what_it_still_holds() -> None:
    out = drive(Filter(filter=Pairs()), inbox=[1, 2, 3], control=[producerFinished()])
    assert out["outbox"] == [(1, 2), (3,)]


def test_after_a_shutdown_microprocess_it_gives_nothing() -> None:
    with harness(Filter(Pairs())) as h:
        h.put(1)
        h.settle()
        h.finish(shutdownMicroprocess())
        assert h.take("outbox") == []


def test_what_is_no_filter_is_an_error_at_once() -> None:
    with pytest.raises(AttributeError, match="filter"):
        Filter(len)  # type: ignore[arg-type]


def test_the_older_name_is_the_same() -> None:
    assert FilterComponent is Filter
