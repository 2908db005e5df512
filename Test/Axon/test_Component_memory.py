"""What an ended component leaves behind: nothing, and without the collector's help."""

import gc
import sys
import weakref
from collections.abc import Callable, Iterator

import pytest

from Axon.Component import component
from Axon.Ipc import newComponent
from Axon.Scheduler import scheduler


class Script(component):
    """Runs a function that is given the component and makes the generator."""

    def __init__(self, script: Callable[["Script"], Iterator[object]]) -> None:
        super().__init__()
        self.script = script

    def main(self) -> Iterator[object]:
        return self.script(self)


def nothing(self: Script) -> Iterator[object]:
    yield 1


class Everyday(component):
    """Does what components do: makes a child, links it, sets an alarm, waits for an answer."""

    def main(self) -> Iterator[object]:
        child = Script(nothing)
        self.addChildren(child)
        self.link((self, "outbox"), (child, "inbox"))
        self.link((child, "outbox"), (self, "inbox"), pipewidth=3)
        self.send("hello")
        yield newComponent(child)
        while not child._isStopped():
            self.pause(60.0)
            yield 1
        self.removeChild(child)


class Keeping(component):
    """Never lets go of its child."""

    def main(self) -> Iterator[object]:
        child = Script(nothing)
        self.addChildren(child)
        yield newComponent(child)
        while not child._isStopped():
            self.pause()
            yield 1


class Failing(component):
    def main(self) -> Iterator[object]:
        self.link((self, "outbox"), (self, "inbox"))
        self.send("to myself")
        yield 1
        raise ValueError


class Asleep(component):
    def main(self) -> Iterator[object]:
        while True:
            self.pause(60.0)
            yield 1


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("kind", [component, Everyday, Keeping, Failing, Asleep])
def test_an_ended_component_is_freed_without_the_collector(
    engine: scheduler, no_collector: None, kind: type[component]
) -> None:
    one = kind()
    one.isolate(lambda culprit, error: None)
    one.activate(Scheduler=engine)
    one._deliver("unread", "control")
    if kind is Asleep:
        engine.call_later(0.01, one.stop)
    freed = weakref.ref(one)
    engine.runThreads()
    del one
    assert freed() is None


def test_a_component_that_was_never_activated_needs_the_collector() -> None:
    freed = weakref.ref(component())
    gc.collect()
    assert freed() is None


def test_an_ended_component_is_freed_while_others_go_on(
    engine: scheduler, no_collector: None
) -> None:
    def main(self: Script) -> Iterator[object]:
        for _ in range(5_000):
            yield 1
            if freed[0]() is None:
                return
        raise AssertionError("still in memory")

    one = Everyday().activate(Scheduler=engine)
    freed = [weakref.ref(one)]
    del one
    Script(main).activate(Scheduler=engine)
    engine.runThreads()


def test_twenty_thousand_components_leave_the_process_where_it_was(
    engine: scheduler, no_collector: None
) -> None:
    def wave(pairs: int) -> None:
        for _ in range(pairs):
            Everyday().activate(Scheduler=engine)  # and a child of each
        engine.runThreads()

    wave(1000)
    before = sys.getallocatedblocks()
    for _ in range(10):
        wave(1000)
    # Some of the last alarms, cancelled, are still in the heap; one block each would be 20,000.
    assert sys.getallocatedblocks() - before < 2000
