"""
What a microprocess promises to those who step it, hand it to a scheduler of another make, or ask
whether it runs.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from Axon.Component import component
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Test.Axon.contract.old_fakes import OldScheduler, counting


class Sleepy(microprocess):
    """Pauses in each step."""

    def main(self) -> Iterator[object]:
        while True:
            self.pause()
            yield "slept"


@pytest.fixture
def restored_scheduler_class() -> Iterator[None]:
    """Give microprocess its scheduler class back."""
    before = microprocess.schedulerClass
    yield
    microprocess.setSchedulerClass(before)


# ---- who it is


@pytest.mark.parametrize("kind", [microprocess, component])
def test_init_is_true_and_ids_and_names_are_unique(kind: type[microprocess]) -> None:
    many = [kind() for _ in range(10)]
    assert all(one.init for one in many)
    assert len({one.id for one in many}) == 10
    assert len({one.name for one in many}) == 10
    assert [one.id for one in many] == sorted(one.id for one in many)


def test_the_tag_ends_the_name() -> None:
    made = microprocess(tag="_reader")
    assert made.name == f"Axon.Microprocess.microprocess_{made.id}_reader"


def test_its_text_is_its_own_and_does_not_change() -> None:
    one, other = microprocess(), microprocess()
    assert str(one) != str(other)
    before = str(one)
    one.activate(Scheduler=OldScheduler())
    one.next()
    assert str(one) == before


@pytest.mark.parametrize("value", [0, 1, "text", None])
def test_closing_down_gives_the_value_it_was_made_with(value: object) -> None:
    made = microprocess(closeDownValue=value)
    assert made.closeDownValue == value
    assert made._closeDownMicroprocess() == value


def test_the_close_down_value_is_0_unless_said() -> None:
    assert microprocess().closeDownValue == 0
    assert microprocess()._closeDownMicroprocess() == 0


def test_closing_down_a_component_gives_none() -> None:
    assert component()._closeDownMicroprocess() is None


def test_arguments_may_be_given_by_position() -> None:
    log: list[int] = []
    made = microprocess(counting(log), 7, "_tag")
    made.activate(Scheduler=OldScheduler())
    made.next()
    assert (log, made.closeDownValue, made.name[-4:]) == ([0], 7, "_tag")


def test_the_default_main_yields_once_and_returns() -> None:
    assert len(list(microprocess().main())) == 1


# ---- stepped by hand


def test_next_gives_what_main_yields_and_stop_iteration_at_the_end() -> None:
    class Three(microprocess):
        def main(self) -> Iterator[object]:
            yield from ("a", None, 0)

    made = Three().activate(Scheduler=OldScheduler())
    assert [made.next(), made.next(), made.next()] == ["a", None, 0]
    for _ in range(3):
        with pytest.raises(StopIteration):
            made.next()


def test_next_before_activation_is_an_error() -> None:
    with pytest.raises(Exception, match="activate"):
        microprocess().next()


def test_both_spellings_step_the_same_main() -> None:
    class Count(microprocess):
        def main(self) -> Iterator[object]:
            yield from range(4)

    made = Count().activate(Scheduler=OldScheduler())
    assert [made.next(), next(made), made.next(), next(made)] == [0, 1, 2, 3]


def test_main_is_called_at_the_first_step_and_not_at_activation() -> None:
    log = []

    class Noted(microprocess):
        def main(self) -> Iterator[object]:
            log.append("main")
            return counting([])

    made = Noted().activate(Scheduler=OldScheduler())
    assert log == []
    made.next()
    made.next()
    assert log == ["main"]


def test_the_main_method_may_be_named_at_activation() -> None:
    class Other(microprocess):
        def bob(self) -> Iterator[object]:
            yield "bob"

    made = Other().activate(OldScheduler(), None, "bob")
    assert made.next() == "bob"
    made = Other().activate(Scheduler=OldScheduler(), mainmethod="bob")
    assert made.next() == "bob"


@pytest.mark.parametrize("steps_before", [0, 1, 5])
def test_after_stop_one_step_gives_none_and_the_next_ends(steps_before: int) -> None:
    made = microprocess(counting([])).activate(Scheduler=OldScheduler())
    for _ in range(steps_before):
        made.next()
    made.stop()
    assert made.next() is None
    for _ in range(3):
        with pytest.raises(StopIteration):
            made.next()


def test_an_exception_of_main_comes_out_of_next_as_it_is() -> None:
    error = ValueError("it is")

    class Failing(microprocess):
        def main(self) -> Iterator[object]:
            yield 1
            raise error

    made = Failing().activate(Scheduler=OldScheduler())
    made.next()
    with pytest.raises(ValueError, match="it is") as caught:
        made.next()
    assert caught.value is error


# ---- is it stopped, can it run


def test_it_is_stopped_after_stop_and_not_before() -> None:
    made = microprocess(counting([]))
    seen = [made._isStopped()]
    made.activate(Scheduler=OldScheduler())
    seen.append(made._isStopped())
    made.next()
    seen.append(made._isStopped())
    made.stop()
    seen.append(made._isStopped())
    assert seen == [False, False, False, True]


def test_it_is_stopped_after_its_natural_end(engine: scheduler) -> None:
    made = microprocess().activate(Scheduler=engine)
    engine.runThreads()
    assert made._isStopped()


def test_what_was_stopped_before_activation_is_stopped() -> None:
    made = microprocess()
    made.stop()
    assert made._isStopped()


def test_runnable_is_what_the_scheduler_says_it_is() -> None:
    fake = OldScheduler()
    made = microprocess().activate(Scheduler=fake)
    seen = [made._isRunnable()]
    made.pause()
    seen.append(made._isRunnable())
    made.unpause()
    seen.append(made._isRunnable())
    fake.paused.add(made)
    seen.append(made._isRunnable())
    assert seen == [True, False, True, False]


def test_runnable_stays_true_after_stop_even_for_a_paused_one() -> None:
    fake = OldScheduler()
    made = microprocess().activate(Scheduler=fake)
    made.pause()
    made.stop()
    assert made._isRunnable() is True


def test_runnable_stays_true_after_a_real_scheduler_has_forgotten_it(engine: scheduler) -> None:
    made = Sleepy().activate(Scheduler=engine)
    made.stop()
    engine.runThreads()
    assert engine.isThreadPaused(made)
    assert made._isRunnable() is True


def test_runnable_follows_a_real_scheduler(engine: scheduler) -> None:
    made = Sleepy().activate(Scheduler=engine)
    stepper = engine.main()
    assert made._isRunnable() is True
    for _ in range(3):
        stepper.next()
    assert made._isRunnable() is False
    made.unpause()
    for _ in range(2):  # it may have run and gone to sleep again
        if made._isRunnable():
            break
        stepper.next()
    assert made._isRunnable() is True


def test_before_activation_it_is_runnable_and_its_scheduler_swallows_everything() -> None:
    made = microprocess()
    made.pause()
    made.unpause()
    made.scheduler.pauseThread(made)
    made.scheduler.wakeThread(made)
    made.scheduler.wakeThread(made, True)
    assert made._isRunnable() is True


# ---- a scheduler of another make


@pytest.mark.parametrize("kind", [microprocess, component])
def test_activation_calls_only_add_thread(kind: type[microprocess]) -> None:
    fake = OldScheduler()
    made = kind()
    assert made.activate(Scheduler=fake) is made  # type: ignore[arg-type]
    assert fake.calls == [("add", made)]
    assert made.scheduler is fake


def test_pause_and_unpause_are_the_schedulers_business() -> None:
    fake = OldScheduler()
    made = microprocess().activate(Scheduler=fake)
    made.pause()
    made.unpause()
    made._unpause()
    made.unpause()
    assert fake.names() == ["add", "pause", "wake", "wake", "wake"]
    assert {process for _, process in fake.calls} == {made}


def test_activating_again_reaches_the_same_scheduler_and_starts_nothing_anew() -> None:
    log: list[int] = []
    fake, other = OldScheduler(), OldScheduler()
    made = microprocess(counting(log)).activate(Scheduler=fake)
    made.next()
    assert made.activate(Scheduler=other) is made
    made.next()
    assert log == [0, 1]


@pytest.mark.parametrize("call", ["pause", "unpause", "_unpause"])
def test_before_activation_the_scheduler_hears_nothing(call: str) -> None:
    fake = OldScheduler()
    made = microprocess()
    getattr(made, call)()
    made.activate(Scheduler=fake)
    assert fake.names() == ["add"]


@pytest.mark.parametrize("call", ["pause", "unpause", "_unpause"])
def test_after_stop_the_scheduler_hears_nothing(call: str) -> None:
    fake = OldScheduler()
    made = microprocess().activate(Scheduler=fake)
    made.stop()
    heard = list(fake.calls)
    getattr(made, call)()
    assert fake.calls == heard


def test_stop_asks_nothing_of_the_scheduler_that_it_does_not_have() -> None:
    fake = OldScheduler()
    made = microprocess().activate(Scheduler=fake)
    made.stop()
    made.stop()
    assert made._isStopped()


def test_without_a_scheduler_the_run_of_the_class_is_used(
    restored_scheduler_class: None,
) -> None:
    class Mine(OldScheduler):
        run = OldScheduler()

    microprocess.setSchedulerClass(Mine)  # type: ignore[arg-type]
    made = microprocess().activate()
    other = component().activate()
    assert Mine.run.calls == [("add", made), ("add", other)]


def test_the_scheduler_class_of_a_subclass_is_its_own(restored_scheduler_class: None) -> None:
    class Mine(OldScheduler):
        run = OldScheduler()

    class Sub(microprocess):
        pass

    Sub.setSchedulerClass(Mine)  # type: ignore[arg-type]
    assert microprocess.schedulerClass is scheduler
    made = Sub().activate()
    assert Mine.run.calls == [("add", made)]


def test_an_explicit_scheduler_goes_before_that_of_the_class(
    restored_scheduler_class: None,
) -> None:
    class Mine(OldScheduler):
        run = OldScheduler()

    microprocess.setSchedulerClass(Mine)  # type: ignore[arg-type]
    fake = OldScheduler()
    microprocess().activate(Scheduler=fake)
    assert (fake.names(), Mine.run.names()) == (["add"], [])


def test_a_tracker_given_at_activation_is_kept() -> None:
    tracker: Any = object()
    assert microprocess().activate(OldScheduler(), tracker).tracker is tracker


def test_under_a_scheduler_of_another_make_a_delivery_asks_it_to_wake() -> None:
    fake = OldScheduler()
    receiver = component().activate(Scheduler=fake)
    sender = component()
    sender.link((sender, "outbox"), (receiver, "inbox"))
    receiver.pause()
    assert fake.isThreadPaused(receiver)
    sender.send("hello")
    assert not fake.isThreadPaused(receiver)
