"""Chargen: the greeting, so often."""

import pytest

from Axon.Testing import harness
from Kamaelia.Util.Chargen import Chargen
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {Chargen: Ends(lambda: Chargen(per_second=0.001))}


def test_it_greets_ten_times_a_second() -> None:
    with harness(Chargen()) as h:
        h.run_for(1.05)
        assert h.take("outbox") == ["Hello World\n"] * 10


def test_greeting_and_rate_may_be_given() -> None:
    with harness(Chargen(per_second=2, greeting=b"hi")) as h:
        h.run_for(1.05)
        assert h.take("outbox") == [b"hi"] * 2


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        Chargen(per_second=rate)


def test_a_full_receiver_stops_the_flood() -> None:
    with harness(Chargen(per_second=1000)) as h:
        h.limit(5)
        h.run_for(10)
        assert len(h.take("outbox")) == 5
