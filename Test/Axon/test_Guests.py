"""Running what is no microprocess. The original's promises: contract/test_scheduler_rules."""

from collections.abc import Iterator

import pytest

from Axon.Component import component
from Axon.Guests import Guest
from Axon.Instruments import Instrument
from Axon.Ipc import newComponent
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Axon.Testing import virtual_scheduler


class Stranger:
    """Has the three methods that a scheduler calls, and nothing else."""

    def __init__(self, steps: int = 2) -> None:
        self.left = steps
        self.log: list[str] = []

    def next(self) -> object:
        self.log.append("next")
        if not self.left:
            raise StopIteration
        self.left -= 1
        return 1

    def stop(self) -> None:
        self.log.append("stop")

    def _closeDownMicroprocess(self) -> object:
        self.log.append("closed")
        return None


class Sleepy(Stranger):
    """Has itself put to sleep after its first step."""

    engine: scheduler

    def next(self) -> object:
        if self.left == 2:
            self.engine.pauseThread(self)
        return super().next()


@pytest.fixture
def engine() -> scheduler:
    """Give a scheduler whose run ends when nothing can happen any more."""
    return virtual_scheduler()


def test_it_is_stepped_to_its_end_and_closed_down(engine: scheduler) -> None:
    stranger = Stranger()
    engine._addThread(stranger)
    engine.runThreads()
    assert stranger.log == ["next", "next", "next", "stop", "closed"]
    assert engine.listAllThreads() == []
    assert engine._guests == {}


def test_the_scheduler_speaks_of_the_object_itself(engine: scheduler) -> None:
    stranger, other = Stranger(), component()
    engine._addThread(stranger)
    other.activate(Scheduler=engine)
    assert engine.listAllThreads() == [stranger, other]
    assert not engine.isThreadPaused(stranger)
    assert engine.isThreadPaused(Stranger())


def test_it_can_be_put_to_sleep_and_woken(engine: scheduler) -> None:
    stranger = Sleepy()
    stranger.engine = engine
    engine._addThread(stranger)
    engine.runThreads()
    assert engine.isThreadPaused(stranger)
    assert stranger.log == ["next"]
    engine.wakeThread(stranger)
    assert not engine.isThreadPaused(stranger)
    engine.runThreads()
    assert stranger.log[-1] == "closed"


def test_stopping_the_scheduler_stops_it(engine: scheduler) -> None:
    stranger = Stranger(steps=1_000_000)
    engine._addThread(stranger)
    engine.call_later(0.0, engine.stop)
    engine.runThreads()
    assert stranger.log[-2:] == ["stop", "closed"]


def test_it_may_have_new_components_activated(engine: scheduler) -> None:
    class Maker(Stranger):
        def next(self) -> object:
            super().next()
            return newComponent(made) if self.left else 1

    made = component()
    engine._addThread(Maker())
    engine.runThreads()
    assert made._isStopped()


def test_its_failure_names_it_and_ends_it(engine: scheduler) -> None:
    class Bad(Stranger):
        name = "the bad one"

        def next(self) -> object:
            raise ValueError("on demand")

    bad = Bad()
    engine._addThread(bad)
    with pytest.raises(ValueError, match="on demand") as error:
        engine.runThreads()
    assert error.value.__notes__[0].startswith("raised in component the bad one")
    assert bad.log == ["stop", "closed"]
    assert engine.listAllThreads() == []


@pytest.mark.parametrize(("name", "shown"), [("mine", "mine"), ("", "Stranger_"), (None, "Stran")])
def test_it_is_called_by_its_name_or_its_class(name: str | None, shown: str) -> None:
    stranger = Stranger()
    stranger.name = name  # type: ignore[attr-defined]
    assert Guest(stranger).name.startswith(shown)


def test_two_of_one_class_have_different_names() -> None:
    assert Guest(Stranger()).name != Guest(Stranger()).name


def test_a_microprocess_that_steps_itself_is_a_guest_too(engine: scheduler) -> None:
    class Stepper(microprocess):
        steps = 0

        def next(self) -> object:
            self.steps += 1
            if self.steps > 2:
                raise StopIteration
            self.pause()
            return 1

    one = Stepper().activate(Scheduler=engine)
    assert engine.listAllThreads() == [one]
    engine.runThreads()
    assert one.steps == 1
    one.unpause()
    engine.runThreads()
    assert one.steps == 2
    one.unpause()
    engine.runThreads()
    assert one._isStopped()
    assert engine.listAllThreads() == []


def test_instruments_are_told_of_the_guest(engine: scheduler) -> None:
    class Seen(Instrument):
        def __init__(self) -> None:
            self.names: list[str] = []

        def before_step(self, process: microprocess) -> None:
            self.names.append(process.name)

    seen = Seen()
    engine.add_instrument(seen)
    engine._addThread(Stranger())
    engine.runThreads()
    engine.remove_instrument(seen)
    assert len(seen.names) == 3
    assert len(set(seen.names)) == 1


def test_a_generator_beside_it_has_its_turns(engine: scheduler) -> None:
    turns: list[int] = []

    def main() -> Iterator[object]:
        for number in range(3):
            turns.append(number)
            yield 1

    microprocess(thread=main()).activate(Scheduler=engine)
    engine._addThread(Stranger(steps=10))
    engine.runThreads()
    assert turns == [0, 1, 2]
