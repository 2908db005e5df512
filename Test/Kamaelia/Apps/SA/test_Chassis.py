"""TTL: what it shows of the component inside, when and how it ends it."""

from collections.abc import Iterator

import pytest

from Axon.AdaptiveCommsComponent import AdaptiveCommsComponent
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdown, shutdownMicroprocess
from Axon.Testing import collect, drive, harness, virtual_scheduler
from Kamaelia.Apps.SA.Chassis import TTL
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.IPC import serverShutdown
from Kamaelia.Util.OneShot import OneShot
from Kamaelia.Util.PassThrough import PassThrough
from Test.Kamaelia.shutdown import Ends

ALL = [producerFinished, shutdownMicroprocess, serverShutdown, shutdown]


class Stubborn(component):
    """Ends at the message of this type only, and remembers what it is told, and when."""

    def __init__(self, ends_at: type | None = None, **attributes: object) -> None:
        super().__init__(**attributes)
        self.ends_at = ends_at
        self.told: list[tuple[float, type]] = []

    def main(self) -> Iterator[object]:
        while self.ends_at is None or self.ends_at not in [kind for _, kind in self.told]:
            self.told += [(self.now(), type(message)) for message in self.Inbox("control")]
            if self.ends_at is None or self.ends_at not in [kind for _, kind in self.told]:
                self.pause()
            yield 1


class Deaf(component):
    """Has no control, and a list of boxes instead of a table."""

    Inboxes = ["inbox"]
    Outboxes = ["outbox", "signal"]

    def main(self) -> Iterator[object]:
        while True:
            for message in self.Inbox("inbox"):
                self.send(message, "outbox")
            self.pause()
            yield 1


class Mute(component):
    """Has nothing but an inbox, and ends when something comes there."""

    Inboxes = ["inbox"]
    Outboxes = ()

    def main(self) -> Iterator[object]:
        while not self.dataReady("inbox"):
            self.pause()
            yield 1


SHUTDOWN = {TTL: Ends(lambda: TTL(PassThrough(), 3600))}


# ---- what it shows


def test_it_has_all_boxes_of_the_component_but_internal_ones_and_they_work() -> None:
    class Many(PassThrough):
        ExtraInboxes = {"second": "object: too", "_private": "object: not to be seen"}
        ExtraOutboxes = {"other": "object: what came to second", "_secret": "object: no"}
        Connections = {"inbox": "outbox", "second": "other"}

    ttl = TTL(Many(), 10)
    assert set(ttl.inboxes) == {"inbox", "control", "second"}
    assert set(ttl.outboxes) == {"outbox", "signal", "other"}
    assert ttl.Inboxes["second"] == "object: too"
    with harness(ttl) as h:
        h.put("x")
        h.put("y", "second")
        h.expect("outbox", "x")
        h.expect("other", "y")


def test_boxes_that_were_added_to_the_component_are_shown_too() -> None:
    adaptive = AdaptiveCommsComponent()
    name = adaptive.addInbox("extra")
    assert name in TTL(adaptive, 10).inboxes


def test_boxes_are_made_on_the_instance_and_not_for_every_later_one() -> None:
    TTL(component(Inboxes=["inbox", "control", "extra"]), 10)
    assert set(TTL(PassThrough(), 10).inboxes) == {"inbox", "control"}
    assert set(TTL.Inboxes) == {"inbox", "control"}


def test_a_component_with_a_list_of_boxes_and_without_control_works() -> None:
    ttl = TTL(Deaf(), 10)
    assert set(ttl.inboxes) == {"inbox", "control"}
    with harness(ttl) as h:
        h.put("x")
        h.expect("outbox", "x")


def test_it_stands_in_a_pipeline_where_the_component_would() -> None:
    out = drive(Pipeline(OneShot("x"), TTL(PassThrough(), 10), PassThrough()))
    assert out["outbox"] == ["x"]
    assert [type(message) for message in out["signal"]] == [producerFinished]


# ---- the end by itself


def test_a_component_that_ends_in_time_ends_it_and_is_all_that_is_heard() -> None:
    with harness(TTL(OneShot("x"), 10)) as h:
        h.expect("outbox", "x")
        h.expect("signal", producerFinished)
        h.expect_end(within=0)
        assert h.take("signal") == []


def test_no_timer_is_left_of_one_that_ended_in_time() -> None:
    runner = virtual_scheduler()
    TTL(OneShot("x"), 3600).activate(Scheduler=runner)
    runner.runThreads()
    assert runner.clock() == 0


def test_the_end_of_a_component_without_a_signal_is_told_for_it() -> None:
    with harness(ttl := TTL(Mute(), 10)) as h:
        h.put("end")
        assert h.expect("signal", producerFinished).caller is ttl
        h.expect_end()


@pytest.mark.parametrize("message", [producerFinished(), shutdownMicroprocess()])
def test_a_shutdown_goes_to_the_component_and_out(message: object) -> None:
    with harness(TTL(PassThrough(), 10)) as h:
        h.put(message, "control")
        h.expect("signal", message)
        h.expect_end(within=0)


# ---- when the time is over


@pytest.mark.parametrize("tries", [1, 2, 3, 4])
def test_it_is_told_in_turn_in_each_way_until_it_ends(tries: int) -> None:
    stubborn = Stubborn(ALL[tries - 1])
    with harness(TTL(stubborn, 10)) as h:
        h.run_for(9.9)
        assert stubborn.told == []
        h.expect_end(within=2)
    assert stubborn.told == [(10 + 0.5 * turn, kind) for turn, kind in enumerate(ALL[:tries])]


def test_the_time_between_two_ways_is_a_setting() -> None:
    stubborn = Stubborn(shutdown)
    drive(TTL(stubborn, 1, interval_seconds=7))
    assert [when for when, _ in stubborn.told] == [1, 8, 15, 22]


def test_one_whom_nothing_helps_is_stopped_and_a_shutdown_microprocess_is_said() -> None:
    stubborn = Stubborn()
    with harness(TTL(stubborn, 10)) as h:
        h.run_for(11.9)
        h.not_ended()
        h.expect("signal", shutdownMicroprocess, within=0.2)
        h.expect_end(within=0)
        assert stubborn._isStopped()
        assert h.take("signal") == []
    assert [kind for _, kind in stubborn.told] == ALL


def test_the_successor_of_a_stopped_one_hears_one_shutdown() -> None:
    class Keeping(PassThrough):
        def send(self, message: object, boxname: str = "outbox") -> None:
            heard.append(message)
            super().send(message, boxname)

    heard: list[object] = []
    drive(Pipeline(TTL(Stubborn(), 1), Keeping()))
    assert [type(message) for message in heard] == [shutdownMicroprocess]


def test_one_that_does_not_even_read_its_full_control_is_stopped() -> None:
    class Blind(Stubborn):
        def main(self) -> Iterator[object]:
            while True:
                self.pause()
                yield 1

    blind = Blind()
    blind.setInboxSize("control", 1)
    with harness(TTL(blind, 10)) as h:
        h.expect("signal", shutdownMicroprocess, within=13)
        h.expect_end()


def test_one_without_control_is_stopped_when_the_time_is_over() -> None:
    deaf = Deaf()
    with harness(TTL(deaf, 10)) as h:
        h.run_for(9.9)
        h.not_ended()
        h.expect("signal", shutdownMicroprocess, within=0.2)
        h.expect_end(within=0)
        assert deaf._isStopped()


def test_one_without_control_is_stopped_by_a_shutdown_microprocess_which_is_handed_on() -> None:
    with harness(TTL(Deaf(), 10)) as h:
        h.put(producerFinished(), "control")
        h.run_for(5)
        h.not_ended()
        h.put(stop := shutdownMicroprocess(), "control")
        h.expect("signal", stop, within=0)
        h.expect_end(within=0)


def test_a_delay_of_nothing_still_lets_it_begin() -> None:
    assert drive(TTL(OneShot("x"), 0))["outbox"] == ["x"]


def test_messages_do_not_move_the_time() -> None:
    with harness(TTL(PassThrough(), 10)) as h:
        for _ in range(9):
            h.put("x")
            h.expect("outbox", "x")
            h.run_for(1)
        h.not_ended()
        h.expect_end(within=1.1)


# ---- mistakes, failures, several


@pytest.mark.parametrize("wrong", [-1, float("inf"), float("nan")])
def test_a_delay_that_is_no_time_is_an_error(wrong: float) -> None:
    with pytest.raises(ValueError, match="delay in seconds"):
        TTL(PassThrough(), wrong)


def test_what_is_no_component_is_an_error() -> None:
    with pytest.raises(TypeError, match="TTL takes a component instance"):
        TTL(PassThrough, 10)  # type: ignore[arg-type]


def test_a_component_that_fails_under_a_guard_is_not_waited_for() -> None:
    class Failing(component):
        def main(self) -> Iterator[object]:
            yield 1
            raise ValueError("bad")

    failures: list[Exception] = []
    ttl, behind = TTL(Failing(), 10), PassThrough()
    ttl.isolate(lambda culprit, error: failures.append(error))
    ttl.link((ttl, "signal"), (behind, "control"))
    with harness(ttl, behind) as h:
        h.expect_end(within=0)
    assert [type(error) for error in failures] == [ValueError]


def test_stopping_it_stops_the_component_and_its_successor_hears() -> None:
    inside, behind = PassThrough(), PassThrough()
    ttl = TTL(inside, 10)
    ttl.link((ttl, "signal"), (behind, "control"))
    with harness(ttl, behind) as h:
        h.settle()
        ttl.stop()
        h.expect_end()
        assert inside._isStopped()


def test_several_side_by_side_have_their_own_time() -> None:
    one, other = TTL(PassThrough(), 1), TTL(PassThrough(), 2)
    sent = [collect(one), collect(other)]
    runner = virtual_scheduler()
    one.activate(Scheduler=runner)
    other.activate(Scheduler=runner)
    ends: list[float] = []
    for ttl in (one, other):
        ttl.call_on_close(lambda: ends.append(runner.clock()))
    runner.runThreads()
    assert ends == [1, 2]
    assert [[type(m) for m in out["signal"]] for out in sent] == [[producerFinished]] * 2
