"""What becomes of an exception: loud by default, kept apart where somebody isolates."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from Axon.Component import component
from Axon.Ipc import WaitComplete, newComponent
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Test.Axon.scripts import Script


class Guard:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[microprocess, Exception]] = []

    def __call__(self, culprit: microprocess, error: Exception) -> None:
        self.told.append((culprit, error))


def failing(error: BaseException) -> Callable[[Script], Iterator[object]]:
    def script(self: Script) -> Iterator[object]:
        yield 1
        raise error

    return script


def turns_of(turns: list[str], times: int = 5) -> Callable[[Script], Iterator[object]]:
    def script(self: Script) -> Iterator[object]:
        for _ in range(times):
            turns.append(self.name)
            yield 1

    return script


# ---- loud by default


@pytest.mark.parametrize(
    "error", [ValueError("v"), RuntimeError("r"), AttributeError("a"), IndexError(1), SystemExit(3)]
)
def test_the_same_exception_comes_out_and_names_the_component(
    engine: scheduler, error: BaseException
) -> None:
    one = Script(failing(error), "culprit").activate(Scheduler=engine)
    with pytest.raises(type(error)) as raised:
        engine.runThreads()
    assert raised.value is error
    assert error.__notes__ == [f"raised in component culprit\nwhere error={error!r}"]
    assert raised.traceback[-1].name == "script"  # where it was raised, not where it was handed on
    assert one.stops == 1


def test_the_others_go_on_in_the_next_run_and_have_lost_no_turn(engine: scheduler) -> None:
    turns: list[str] = []
    Script(turns_of(turns), "a").activate(Scheduler=engine)
    Script(failing(ValueError())).activate(Scheduler=engine)
    Script(turns_of(turns), "b").activate(Scheduler=engine)
    with pytest.raises(ValueError):  # noqa: PT011 - made above, without a text
        engine.runThreads()
    engine.runThreads()
    assert turns.count("a") == turns.count("b") == 5
    assert engine.listAllThreads() == []


@pytest.mark.parametrize("how", ["next", "generator", "direct"])
def test_a_stop_iteration_inside_a_component_is_an_error_and_no_end(
    engine: scheduler, how: str
) -> None:
    def script(self: Script) -> Iterator[object]:
        yield 1
        if how == "next":
            next(iter(()))
        elif how == "generator":
            [next(iter(())) for _ in "x"]
        else:
            raise StopIteration

    Script(script, "culprit").activate(Scheduler=engine)
    with pytest.raises(RuntimeError, match="StopIteration") as raised:
        engine.runThreads()
    assert isinstance(raised.value.__cause__, StopIteration)
    assert "culprit" in raised.value.__notes__[0]


def test_an_error_in_a_detour_comes_out_and_main_does_not_go_on(engine: scheduler) -> None:
    done: list[str] = []

    def script(self: Script) -> Iterator[object]:
        yield WaitComplete(failing(ValueError("inside"))(self))
        done.append("main went on")

    one = Script(script).activate(Scheduler=engine)
    with pytest.raises(ValueError, match="inside"):
        engine.runThreads()
    engine.runThreads()
    assert done == []
    assert one.stops == 1


def test_a_new_component_without_a_generator_is_named(engine: scheduler) -> None:
    class Forgot(component):
        def main(self) -> None:
            """Somebody forgot the yield."""

    def script(self: Script) -> Iterator[object]:
        yield newComponent(Forgot())

    Script(script, "parent").activate(Scheduler=engine)
    with pytest.raises(TypeError, match="Forgot") as raised:
        engine.runThreads()
    assert "Forgot" in raised.value.__notes__[0]


def test_a_culprit_is_closed_down_like_any_other(engine: scheduler) -> None:
    parent = component()
    one, other = Script(failing(ValueError("x"))), component()
    parent.addChildren(one)
    wire = one.link((one, "outbox"), (other, "inbox"))
    one.activate(Scheduler=engine)
    with pytest.raises(ValueError, match="x"):
        engine.runThreads()
    assert not one.postoffice.islinkageregistered(wire)
    assert engine.listAllThreads() == []


# ---- failures of the end itself


class BadEnd(Script):
    def stop(self) -> None:
        super().stop()
        raise ValueError("of stop")


class BadClose(Script):
    def _closeDownMicroprocess(self) -> object:
        super()._closeDownMicroprocess()
        raise ValueError("of close")


@pytest.mark.parametrize("kind", [BadEnd, BadClose])
def test_an_error_at_the_natural_end_comes_out_and_nothing_is_left(
    engine: scheduler, kind: type[Script]
) -> None:
    other = component()
    one = kind(turns_of([]), "culprit")
    one.link((one, "outbox"), (other, "inbox"))
    one.activate(Scheduler=engine)
    with pytest.raises(ValueError, match="of ") as raised:
        engine.runThreads()
    assert "culprit" in raised.value.__notes__[0]
    assert one.outboxes["outbox"].target is None
    assert one.stops == 1
    assert engine.listAllThreads() == []
    engine.runThreads()


@pytest.mark.parametrize("kind", [BadEnd, BadClose])
def test_an_error_at_the_end_reaches_the_guard_of_a_parent(
    engine: scheduler, kind: type[Script]
) -> None:
    guard, parent = Guard(), component()
    one = kind(turns_of([]))
    parent.isolate(guard)
    parent.addChildren(one)
    one.activate(Scheduler=engine)
    engine.runThreads()
    assert [(culprit, str(error)[:3]) for culprit, error in guard.told] == [(one, "of ")]


@pytest.mark.parametrize("guarded", [False, True])
def test_an_error_while_closing_down_after_an_error_is_not_lost(
    engine: scheduler, guarded: bool
) -> None:
    first = KeyError("first")
    one = BadEnd(failing(first), "culprit").activate(Scheduler=engine)
    guard = Guard()
    if guarded:
        one.isolate(guard)
        engine.runThreads()
        assert [type(error) for _, error in guard.told] == [KeyError, ValueError]
        assert guard.told[0][1] is first
    else:
        with pytest.raises(ValueError, match="of stop") as raised:
            engine.runThreads()
        assert raised.value.__cause__ is first
        assert "closed down after another exception" in raised.value.__notes__[0]
    assert engine.listAllThreads() == []


# ---- isolated


def test_a_guard_of_its_own_gets_the_exception_and_the_others_live_on(engine: scheduler) -> None:
    turns: list[str] = []
    guard = Guard()
    error = RuntimeError("kept apart")
    one = Script(failing(error)).activate(Scheduler=engine)
    one.isolate(guard)
    Script(turns_of(turns), "other").activate(Scheduler=engine)
    engine.runThreads()
    assert guard.told == [(one, error)]
    assert turns == ["other"] * 5
    assert one.stops == 1


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_nearest_guard_above_is_told_and_no_other(engine: scheduler, depth: int) -> None:
    error = ValueError("deep below")
    far, near, side = Guard(), Guard(), Guard()
    top, middle, sibling = component(), component(), component()
    top.addChildren(middle)
    middle.addChildren(sibling)
    top.isolate(far)
    middle.isolate(near)
    sibling.isolate(side)
    line: list[component] = [middle, *(component() for _ in range(depth - 1))]
    one = Script(failing(error))
    line.append(one)
    for parent, child in itertools.pairwise(line):
        parent.addChildren(child)
    one.activate(Scheduler=engine)
    engine.runThreads()
    assert near.told == [(one, error)]
    assert far.told == side.told == []


def test_a_parent_is_woken_when_an_isolated_child_fails(engine: scheduler) -> None:
    done: list[str] = []

    def parent_script(self: Script) -> Iterator[object]:
        yield newComponent(child)
        while not child._isStopped():
            self.pause()
            yield 1
        done.append("woken")

    child = Script(failing(ValueError()))
    parent = Script(parent_script)
    parent.isolate(Guard())
    parent.addChildren(child)
    parent.activate(Scheduler=engine)
    engine.runThreads()
    assert done == ["woken"]


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()])
def test_a_wish_to_end_the_program_is_no_failure_to_isolate(
    engine: scheduler, error: BaseException
) -> None:
    one = Script(failing(error)).activate(Scheduler=engine)
    guard = Guard()
    one.isolate(guard)
    with pytest.raises(type(error)):
        engine.runThreads()
    assert guard.told == []
    assert one.stops == 1


def test_a_child_that_was_given_up_is_no_longer_isolated(engine: scheduler) -> None:
    guard, parent = Guard(), component()
    parent.isolate(guard)
    one = Script(failing(ValueError("alone")))
    parent.addChildren(one)
    parent.removeChild(one)
    one.activate(Scheduler=engine)
    with pytest.raises(ValueError, match="alone"):
        engine.runThreads()
    assert guard.told == []


def test_a_guard_that_fails_is_loud(engine: scheduler) -> None:
    def bad_guard(culprit: microprocess, error: Exception) -> None:
        raise LookupError("of the guard") from error

    turns: list[str] = []
    one = Script(failing(ValueError())).activate(Scheduler=engine)
    one.isolate(bad_guard)
    Script(turns_of(turns), "other").activate(Scheduler=engine)
    with pytest.raises(LookupError, match="of the guard"):
        engine.runThreads()
    engine.runThreads()
    assert turns == ["other"] * 5


def test_isolation_can_be_taken_back(engine: scheduler) -> None:
    one = Script(failing(ValueError("loud again"))).activate(Scheduler=engine)
    one.isolate(Guard())
    one.isolate(None)
    with pytest.raises(ValueError, match="loud again"):
        engine.runThreads()


def test_a_thousand_failures_in_one_slice_are_all_told(engine: scheduler) -> None:
    guard = Guard()
    for _ in range(1000):
        one = Script(failing(ValueError())).activate(Scheduler=engine)
        one.isolate(guard)
    engine.runThreads()
    assert len(guard.told) == 1000
