"""CheapAndCheerfulClock: equal distances, whatever gets in the way."""

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import harness
from Kamaelia.Util.Clock import CheapAndCheerfulClock
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {CheapAndCheerfulClock: Ends(lambda: CheapAndCheerfulClock(1000.0))}


def test_it_ticks_at_equal_distances_from_the_start() -> None:
    with harness(CheapAndCheerfulClock(0.1)) as h:
        h.expect_nothing("outbox", during=0.09)
        h.run_for(9.92)
        assert h.take("outbox") == [True] * 100


def test_messages_at_its_inbox_do_not_disturb_it() -> None:
    with harness(CheapAndCheerfulClock(10)) as h:
        for _ in range(3):
            h.run_for(3)
            h.put("wake up")
        h.expect_nothing("outbox", during=0.9)
        h.expect("outbox", True, within=0.2)


def test_ticks_missed_while_the_receiver_is_full_are_left_out_and_the_beat_is_kept() -> None:
    with harness(CheapAndCheerfulClock(10)) as h:
        h.limit(1)
        h.run_for(45)  # one lies there since 10, one waits since 20
        assert h.take("outbox") == [True]
        h.settle()
        assert h.take("outbox") == [True]
        h.expect_nothing("outbox", during=4.9)
        h.expect("outbox", True, within=0.2)


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
@pytest.mark.parametrize("room", [None, 0])
def test_a_shutdown_ends_it_also_while_the_receiver_is_full(stop: object, room: int | None) -> None:
    with harness(CheapAndCheerfulClock(10)) as h:
        h.limit(room)
        h.run_for(15)
        h.finish(stop)
        assert h.take("signal") == [stop]


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf")])
def test_an_interval_that_is_none_is_refused(interval: float) -> None:
    with pytest.raises(ValueError, match="interval"):
        CheapAndCheerfulClock(interval)


def test_two_clocks_have_their_own_beats() -> None:
    slow, fast = CheapAndCheerfulClock(3), CheapAndCheerfulClock(2)
    with harness(slow, fast) as h:
        h.run_for(7)
        assert (len(h.take((slow, "outbox"))), len(h.take((fast, "outbox")))) == (2, 3)
