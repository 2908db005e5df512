"""SingleTick and PeriodicTick: when, how often, and what ends them."""

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import harness
from Kamaelia.Apps.SA.Time import PeriodicTick, SingleTick
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    SingleTick: Ends(lambda: SingleTick(1000)),
    PeriodicTick: Ends(lambda: PeriodicTick(1000)),
}
Tick = type[SingleTick] | type[PeriodicTick]


def test_one_tick_after_the_delay_then_the_end() -> None:
    with harness(SingleTick(30)) as h:
        h.expect_nothing("outbox", during=29.9)
        h.put("wake up")
        h.expect("outbox", True, within=0.1)
        h.expect_end()
        assert isinstance(h.expect("signal"), producerFinished)


def test_no_delay_is_a_delay() -> None:
    with harness(SingleTick(0, tick_mesg="now")) as h:
        h.expect("outbox", "now", within=0)
        h.expect_end()


def test_a_tick_after_each_delay_without_drift() -> None:
    with harness(PeriodicTick(0.1, tick_mesg="tick", check_interval=5)) as h:
        h.run_for(100.05)
        assert h.take("outbox") == ["tick"] * 1000


@pytest.mark.parametrize("kind", [SingleTick, PeriodicTick])
@pytest.mark.parametrize("stop", ["a word", producerFinished(), shutdownMicroprocess()])
@pytest.mark.parametrize("room", [None, 0])
def test_any_control_message_ends_it_and_goes_on(
    kind: Tick, stop: object, room: int | None
) -> None:
    with harness(kind(10)) as h:
        h.limit(room)
        h.run_for(5 if room is None else 15)
        h.finish(stop)
        assert h.take("outbox") == []
        said = h.take("signal")
        assert said[0] is stop
        assert all(isinstance(rest, producerFinished) for rest in said[1:])


def test_one_tick_waits_for_room() -> None:
    with harness(SingleTick(10)) as h:
        h.limit(0)
        h.run_for(60)
        h.not_ended()
        h.limit(None)
        h.expect("outbox", True)
        h.expect_end()


@pytest.mark.parametrize("delay", [-1, float("nan")])
@pytest.mark.parametrize("kind", [SingleTick, PeriodicTick])
def test_a_delay_that_is_none_is_refused(kind: Tick, delay: float) -> None:
    with pytest.raises(ValueError, match=r"delay|interval"):
        kind(delay)


def test_a_hundred_ticks_side_by_side_come_in_their_own_times() -> None:
    ticks = [SingleTick(100 - number) for number in range(100)]
    with harness(*ticks) as h:
        h.run_for(50.5)
        assert [bool(h.take((tick, "outbox"))) for tick in ticks] == [False] * 50 + [True] * 50
