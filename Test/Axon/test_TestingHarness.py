"""A test's conversation with components, and what it says when something is not as expected."""

import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise

import pytest

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import newComponent, producerFinished
from Axon.Scheduler import scheduler
from Axon.Testing import (
    ExpectationError,
    FakeClock,
    Harness,
    Scripted,
    Send,
    Stay,
    Wait,
    harness,
    like,
)
from Axon.ThreadedComponent import threadedcomponent


class Doubler(component):
    """Doubles, a second for each."""

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            for number in self.Inbox():
                due = self.now() + 1.0
                while self.now() < due:
                    self.pause(due - self.now())
                    yield 1
                yield from self.put(2 * number)
            if not self.anyReady():
                self.pause()
            yield 1


class Quiet(component):
    """Ends at once and says nothing."""

    announces_end = False

    def main(self) -> Iterator[object]:
        yield 1


class Broken(component):
    def main(self) -> Iterator[object]:
        yield 1
        raise ValueError("broken")


def line(*parts: component) -> component:
    """Link each one's outbox to the next one's inbox; the first owns the links."""
    for one, following in pairwise(parts):
        parts[0].link((one, "outbox"), (following, "inbox"))
    return parts[0]


# ---- what is expected and comes


def test_messages_go_in_and_come_out() -> None:
    with harness(Doubler()) as h:
        h.put_all([1, 2])
        assert h.expect("outbox", 2) == 2
        assert h.clock() == 1.0
        h.expect("outbox", int)
        assert h.clock() == 2.0
        h.not_ended()
        h.finish()
        h.expect("signal", like(producerFinished))


def test_messages_that_do_not_match_may_be_skipped() -> None:
    with harness(Doubler()) as h:
        h.put_all([1, 2, 3])
        h.expect("outbox", 6, skipping=True)
        assert h.take() == []


def test_several_may_be_expected_within_one_time() -> None:
    with harness(Doubler()) as h:
        h.put_all([1, 2, 3])
        assert h.expect_all("outbox", [2, int, 6], within=3) == [2, 4, 6]
        h.put_all([1, 2, 3])
        assert h.expect_all("outbox", [6, 4, int], within=3, in_any_order=True) == [2, 4, 6]
        h.put_all([1, 2])
        with pytest.raises(ExpectationError, match="nothing came"):
            h.expect_all("outbox", [2, 4], within=1.5)


def test_take_gives_what_is_there() -> None:
    with harness(Doubler()) as h:
        h.put_all([1, 2, 3])
        h.run_for(2)
        assert h.take() == [2, 4]
        assert h.take("signal") == []


def test_nothing_may_be_expected() -> None:
    with harness(Doubler()) as h:
        h.put(1)
        h.expect_nothing(during=0.9)
        h.expect("outbox", 2, within=0.1)
        h.expect_nothing(during=3600)
        assert h.clock() == pytest.approx(3601)


def test_conditions_may_be_waited_for() -> None:
    with harness(Doubler()) as h:
        h.put_all([1, 2])
        h.run_until(lambda: h.components[0].dataReady() == 0)
        assert h.take() == [2]


def test_settling_and_stepping_take_no_time() -> None:
    with harness(Scripted(Send(1), Send(2), Wait(1), Send(3))) as h:
        h.step()
        h.step(turns=2)
        h.settle()
        assert h.take() == [1, 2]
        assert h.clock() == 0.0


def test_whole_systems_are_harnessed() -> None:
    first, second = Doubler(), Doubler()
    with harness(line(first, second), second, seed=3) as h:
        h.put(1)
        h.put(5, (second, "inbox"))
        h.expect_all((second, "outbox"), [10, 4])
        h.put(producerFinished(), "control")
        h.expect_end(first)
        h.not_ended(second)


def test_more_components_may_start_later() -> None:
    late = Doubler()
    with harness(Doubler()) as h:
        h.start(late)
        h.put(1, (late, "inbox"))
        h.expect((late, "outbox"), 2)


def test_what_passes_between_two_may_be_watched() -> None:
    class Outer(component):
        """Its outbox is its child's, and leads on."""

        def __init__(self) -> None:
            super().__init__()
            self.child = Doubler()
            self.link((self, "inbox"), (self.child, "inbox"), passthrough=1)
            self.link((self.child, "outbox"), (self, "outbox"), passthrough=2)

        def main(self) -> Iterator[object]:
            yield newComponent(self.child)
            while True:
                self.pause()
                yield 1

    outer, last = Outer(), Doubler()
    with harness(line(outer, last), last) as h:
        with pytest.raises(KeyError, match=r"Outer#1 leads to another component: watch\(\) it"):
            h.expect()
        h.watch("outbox")
        h.watch((last, "outbox"))
        h.put(1)
        h.expect("outbox", 2)
        h.expect((last, "outbox"), 4)
    h.scheduler.runThreads()
    assert h.scheduler._instruments == ()


def test_threads_are_waited_for_in_real_time() -> None:
    class Thinker(threadedcomponent):
        def main(self) -> None:
            time.sleep(0.1)  # a call that blocks
            self.send("thought")

    with harness(Thinker()) as h:
        h.expect("outbox", "thought", within=1)
        h.expect_end()


# ---- doing harm


def test_a_full_receiver_stops_the_sender() -> None:
    with harness(Doubler()) as h:
        h.limit(1)
        h.put_all([1, 2, 3])
        h.run_for(10)
        assert h.take() == [2]
        h.expect("outbox", 4)
        h.limit(0)
        h.run_for(10)
        assert h.take() == []
        h.limit(None)
        h.expect("outbox", 6, within=0)


def test_an_error_may_be_raised_where_a_component_stands() -> None:
    one = Doubler()
    with harness(one) as h:
        h.settle()
        h.crash(OSError("disk"))
        with pytest.raises(OSError, match="disk"):
            h.settle()
        assert one._isStopped()
        with pytest.raises(ValueError, match="not active"):
            h.crash(OSError("disk"))


def test_an_error_may_be_raised_before_a_component_has_begun() -> None:
    with harness(Doubler()) as h:
        h.crash(OSError("disk"))
        with pytest.raises(OSError, match="disk"):
            h.settle()


def test_a_component_may_catch_what_is_raised_in_it() -> None:
    class Careful(component):
        def main(self) -> Iterator[object]:
            caught = 0
            while caught < 2:
                try:
                    self.pause()
                    yield 1
                except OSError as error:
                    self.send(str(error))
                    caught += 1

    one = Careful()
    with harness(one) as h:
        for text in ("first", "second"):
            h.settle()
            h.crash(OSError(text), one)
            h.expect("outbox", text)
        h.expect_end()


def test_a_component_may_end_by_what_is_raised_in_it() -> None:
    class Careful(component):
        def main(self) -> Iterator[object]:
            with suppress(OSError):
                while True:
                    self.pause()
                    yield 1

    with harness(Careful()) as h:
        h.settle()
        h.crash(OSError("disk"))
        h.expect_end(within=0)


# ---- what is expected and does not come


def complaint(error: pytest.ExceptionInfo[ExpectationError]) -> list[str]:
    return str(error.value).splitlines()


def test_a_failure_says_what_was_expected_and_what_came() -> None:
    with harness(Doubler(), seed=17) as h:
        h.put_all([1, 2, 3])
        h.expect("outbox", 2)
        h.run_for(2)
        with pytest.raises(ExpectationError) as error:
            h.expect("outbox", 42, within=7.0)
    lines = complaint(error)
    assert lines[:3] == [
        "expected from 'outbox' of Doubler#1 within 7.0 s: 42",
        "came instead: 4, 6",
        "time 3.0 s, 5 cycles, seed 17 (the same again: seed=17)",
    ]
    assert lines[3].startswith("  Doubler#1: awake, at test_TestingHarness.py:")  # 4 was taken
    assert lines[4] == "  'outbox' of Doubler#1, taken: 2, 4"
    assert lines[5] == "  'outbox' of Doubler#1, not taken: 6"
    assert lines[6].startswith("last turns: Doubler#1, Doubler#1")


def test_a_failure_says_who_sleeps_and_until_when() -> None:
    with harness(Doubler(), Scripted(Stay()), Quiet()) as h:
        h.put_all([1, 2])
        with pytest.raises(ExpectationError) as error:
            h.expect("outbox", 2, within=0.5)
    lines = complaint(error)
    assert lines[1] == "nothing came"
    assert lines[2] == "time 0.5 s, 2 cycles, no seed: the engine's own order"
    assert "Doubler#1: asleep until 1.0 at the latest, at" in lines[3]
    assert lines[3].endswith("; unread: inbox 1")
    assert "Scripted#1: asleep, at TestingFakes.py:" in lines[4]
    assert lines[5] == "  Quiet#1: ended"


def test_a_failure_says_who_is_awake_and_who_never_ran() -> None:
    here, elsewhere = Quiet(), Doubler()
    elsewhere.activate(Scheduler=Harness(Doubler()).scheduler)
    h = harness(here, elsewhere)
    assert "Quiet#1: not active" in h.report()
    with h:
        h.step()
        assert "Quiet#1: awake, at" in h.report()
        assert "Doubler#1: active elsewhere" in h.report()


def test_a_failure_is_bounded() -> None:
    parts = [Quiet() for _ in range(100)]
    with harness(*parts) as h:
        h.settle()
        h.put("x" * 1_000_000)
        assert len(h.report()) < 3000
        assert "  and 80 more" in h.report()


def test_what_was_skipped_is_told() -> None:
    with harness(Doubler()) as h:
        h.put_all([1, 2])
        with pytest.raises(ExpectationError, match="only came: 2, 4"):
            h.expect("outbox", 42, skipping=True)


def test_a_message_where_none_should_be_is_told() -> None:
    with harness(Doubler()) as h:
        h.put(1)
        with pytest.raises(
            ExpectationError, match="nothing from 'outbox' of Doubler#1 during 2 s\ncame: 2"
        ):
            h.expect_nothing("outbox", during=2)
        with pytest.raises(ExpectationError, match="came: 2"):
            h.expect_nothing("outbox", during=0)


def test_one_that_does_not_end_is_told() -> None:
    with harness(Doubler(), Quiet()) as h:
        with pytest.raises(ExpectationError, match=r"to end within 5.0 s: Doubler#1\n"):
            h.expect_end()
        with pytest.raises(ExpectationError, match=r"not to have ended: Quiet#1\n"):
            h.not_ended()


def test_a_condition_that_does_not_come_true_is_told() -> None:
    def is_done() -> bool:
        return False

    with (
        harness(Doubler()) as h,
        pytest.raises(ExpectationError, match=r"within 5\.0 s that what is_done accepts"),
    ):
        h.run_until(is_done)


def test_any_other_error_is_given_the_report() -> None:
    h = harness(Broken(), seed=4)
    with pytest.raises(ValueError, match="broken") as error, h:
        h.expect()
    assert "seed 4 (the same again: seed=4)" in error.value.__notes__[-1]


def test_wrong_names_are_told() -> None:
    with harness(Doubler()) as h:
        with pytest.raises(KeyError, match="does not exist, but 'outbox', 'signal'"):
            h.expect("outbocks")
        with pytest.raises(KeyError):
            h.put(1, "inbocks")
    with pytest.raises(ValueError, match="at least one"):
        harness()
    with pytest.raises(TypeError, match="instances, not <class"):
        harness(Doubler)  # type: ignore[arg-type]


def test_a_full_inbox_is_the_tests_to_deal_with() -> None:
    one = Doubler()
    one.setInboxSize("inbox", 1)
    with harness(one) as h:
        h.put(1)
        with pytest.raises(noSpaceInBox):
            h.put(2)


# ---- beginning and end


def test_afterwards_everything_has_been_stopped() -> None:
    one = Doubler()
    before = scheduler.run
    with harness(one) as h:
        assert scheduler.run is h.scheduler
        with h as same:  # once more does nothing
            assert same is h
        assert one._isStopped()
        with h:
            pass
    assert scheduler.run is before
    assert one.outboxes["outbox"].target is None


def test_a_stop_that_fails_is_told() -> None:
    class Stubborn(component):
        def main(self) -> Iterator[object]:
            while True:
                self.pause()
                yield 1

        def stop(self) -> None:
            super().stop()
            raise OSError("stuck")

    with pytest.raises(OSError, match="stuck"), harness(Stubborn()):
        pass
    with pytest.raises(ExpectationError) as error, harness(Stubborn()) as h:
        h.expect()
    assert "while the components were stopped: OSError('stuck')" in error.value.__notes__[-1]


def test_outboxes_that_the_component_links_itself_are_left_alone() -> None:
    class Asker(component):
        Outboxes = {"outbox": "", "signal": "", "_ask": "", "query": ""}

        def main(self) -> Iterator[object]:
            helper = Doubler().activate()
            self.link((self, "_ask"), (helper, "inbox"))
            self.link((self, "query"), (helper, "inbox"))
            self.link((helper, "outbox"), (self, "inbox"))
            self.send(21, "_ask")
            while not self.dataReady():
                self.pause()
                yield 1
            self.send(self.recv())

    with harness(Asker(), collecting=["outbox"]) as h:
        h.expect("outbox", 42)


def test_the_clock_may_be_given() -> None:
    clock = FakeClock(1000.0)
    with harness(Doubler(), clock=clock) as h:
        h.put(1)
        h.expect("outbox", 2)
    assert clock() == 1001.0


def test_time_may_pass_for_those_that_poll() -> None:
    class Poller(component):
        def main(self) -> Iterator[object]:
            while self.now() < 3:
                yield 1
            self.send("now")

    with harness(Poller(), tick=0.25) as h:
        h.expect_nothing(during=2)
        h.expect("outbox", "now", within=1)


class FirstWins(component):
    """Sends on the first of what two senders send: a race."""

    def main(self) -> Iterator[object]:
        while not self.dataReady():
            self.pause()
            yield 1
        self.send(self.recv())


def winner(seed: int | None) -> str:
    a, b, race = Scripted(Send("a")), Scripted(Send("b")), FirstWins()
    race.link((a, "outbox"), (race, "inbox"))
    race.link((b, "outbox"), (race, "inbox"))
    with harness(race, a, b, seed=seed) as h:
        name: str = h.expect()
    return name


def test_some_seed_finds_the_other_order_and_finds_it_again() -> None:
    assert winner(None) == "a"
    winners = [winner(seed) for seed in range(20)]
    assert set(winners) == {"a", "b"}
    assert winners == [winner(seed) for seed in range(20)]
