"""
How components are told to stop, and how their end is told to those behind them: ``told_to_stop``
and ``announces_end``.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.Testing import virtual_scheduler
from Axon.ThreadedComponent import threadedcomponent
from Test.Axon.scripts import Script, Threaded, sleeper

Make = Callable[[Script], Iterator[object]]
keeper = component()  # makes the links, so that they stay when a component ends


def line(*parts: component) -> None:
    for one, following in pairwise(parts):
        keeper.link((one, "outbox"), (following, "inbox"))
        keeper.link((one, "signal"), (following, "control"))


def run(engine: scheduler, *parts: component) -> None:
    for part in parts:
        part.activate(Scheduler=engine)
    engine.runThreads()


def heard(last: component) -> list[object]:
    return list(last.Inbox("control"))


@pytest.fixture
def engine() -> scheduler:
    """Give a scheduler whose run ends when nothing can happen any more."""
    return virtual_scheduler()


@pytest.fixture
def behind() -> component:
    """Give one that is never run, and so keeps what it is told."""
    return component()


def forgetful(self: Script) -> Iterator[object]:
    """Ends when it is told something, and says nothing."""
    while not self.dataReady("control"):
        self.pause()
        yield 1
    self.recv("control")


def obedient(self: Script) -> Iterator[object]:
    while not self.told_to_stop():
        self.pause()
        yield 1


def at_once(self: Script) -> Iterator[object]:
    yield 1


# ---- the end is told


def test_one_that_forgets_it_does_not_hang_those_behind(
    engine: scheduler, behind: component
) -> None:
    parts = [Script(at_once), Script(obedient), Script(forgetful), Script(obedient)]
    line(*parts, behind)
    run(engine, *parts)
    assert engine.listAllThreads() == []
    (last,) = heard(behind)
    assert isinstance(last, producerFinished)
    assert last.caller is parts[2]  # which did not say what it had been told


@pytest.mark.parametrize("stop", [producerFinished("me"), shutdownMicroprocess()])
def test_one_that_asks_whether_to_stop_is_spoken_for_towards_any_box(
    engine: scheduler, behind: component, stop: object
) -> None:
    asking = Script(obedient)
    keeper.link((asking, "signal"), (behind, "inbox"))
    asking.inboxes["control"].deliver(stop)
    run(engine, asking)
    assert list(behind.Inbox("inbox")) == [stop]


def test_one_that_asks_and_says_it_itself_is_not_spoken_for(
    engine: scheduler, behind: component
) -> None:
    def outspoken(self: Script) -> Iterator[object]:
        while not (stop := self.told_to_stop()):
            self.pause()
            yield 1
        self.send(stop, "signal")

    asking, stop = Script(outspoken), producerFinished()
    keeper.link((asking, "signal"), (behind, "inbox"))
    asking.inboxes["control"].deliver(stop)
    run(engine, asking)
    assert list(behind.Inbox("inbox")) == [stop]


@pytest.mark.parametrize(
    "stop",
    [producerFinished("me"), shutdownMicroprocess(), producerFinished, shutdownMicroprocess],
    ids=["finished", "stop", "the class finished", "the class stop"],
)
def test_it_says_what_it_was_told_with(engine: scheduler, behind: component, stop: object) -> None:
    parts = [Script(obedient) for _ in range(3)]
    line(*parts, behind)
    parts[0]._deliver(stop, "control")
    run(engine, *parts)
    (last,) = heard(behind)
    assert last is stop


def test_one_that_was_told_nothing_says_that_it_has_finished(
    engine: scheduler, behind: component
) -> None:
    one = Script(at_once)
    line(one, behind)
    run(engine, one)
    (last,) = heard(behind)
    assert isinstance(last, producerFinished)
    assert last.caller is one


def test_a_shutdown_that_it_did_not_take_is_passed_on(engine: scheduler, behind: component) -> None:
    one, stop = Script(at_once), shutdownMicroprocess()
    line(one, behind)
    for message in ("a question", stop, producerFinished()):
        one._deliver(message, "control")
    run(engine, one)
    assert heard(behind) == [stop]


@pytest.mark.parametrize("message", [producerFinished(), shutdownMicroprocess, "not a shutdown"])
def test_one_that_said_it_itself_is_not_spoken_for(
    engine: scheduler, behind: component, message: object
) -> None:
    def main(self: Script) -> Iterator[object]:
        self.send(message, "signal")
        yield 1

    one = Script(main)
    line(one, behind)
    run(engine, one)
    said = heard(behind)
    assert said[0] is message
    assert len(said) == (2 if message == "not a shutdown" else 1)


def test_one_that_said_it_before_it_was_linked_elsewhere_is_not_spoken_for(
    engine: scheduler, behind: component
) -> None:
    def main(self: Script) -> Iterator[object]:
        wire = keeper.link((self, "signal"), (first, "control"))
        self.send(stop, "signal")
        yield 1
        keeper.unlink(thelinkage=wire)
        yield 1
        keeper.link((self, "signal"), (behind, "control"))

    first, stop = component(), producerFinished()
    run(engine, Script(main))
    assert heard(first) == [stop]
    assert heard(behind) == []


def test_what_moved_on_after_it_was_said_is_not_said_again(
    engine: scheduler, behind: component
) -> None:
    def main(self: Script) -> Iterator[object]:
        self.send(stop, "signal")
        yield 1
        keeper.link((outer, "control"), (behind, "control"), passthrough=1)

    stop = producerFinished()
    outer, one = component(), Script(main)
    line(one, outer)
    run(engine, one)
    assert heard(behind) == [stop]


def test_one_that_asks_not_to_be_is_not_spoken_for(engine: scheduler, behind: component) -> None:
    class Silent(Script):
        announces_end = False

    one = Silent(at_once)
    line(one, behind)
    run(engine, one)
    assert heard(behind) == []
    assert not component(announces_end=False).announces_end


def test_nothing_is_said_into_a_box_that_is_no_control(
    engine: scheduler, behind: component
) -> None:
    """Who links "signal" to an "inbox" wants what is sent, and nothing that was not."""
    one = Script(at_once)
    keeper.link((one, "signal"), (behind, "inbox"))
    run(engine, one)
    assert not behind.dataReady("inbox")


def test_a_component_without_a_signal_or_control_ends_in_silence(engine: scheduler) -> None:
    class Bare(component):
        Inboxes = ["inbox"]
        Outboxes = ["outbox"]

    class Unheard(component):
        Inboxes = ["inbox"]

    last = Unheard()
    run(engine, Bare(), Unheard(), last)
    assert last._isStopped()


def test_one_without_a_control_says_that_it_has_finished(
    engine: scheduler, behind: component
) -> None:
    class NoControl(component):
        Inboxes = ["inbox"]

    one = NoControl()
    line(one, behind)
    run(engine, one)
    assert [type(said) for said in heard(behind)] == [producerFinished]


# ---- however it ends


def failing(self: Script) -> Iterator[object]:
    yield 1
    raise ValueError("on demand")


def test_one_that_fails_and_is_isolated_is_spoken_for(engine: scheduler, behind: component) -> None:
    one = Script(failing)
    one.isolate(lambda culprit, error: None)
    line(one, behind)
    run(engine, one)
    assert [type(said) for said in heard(behind)] == [producerFinished]


@pytest.mark.parametrize("when", ["asleep", "awake"])
def test_one_that_is_stopped_is_spoken_for(engine: scheduler, behind: component, when: str) -> None:
    one = Script(sleeper)
    line(one, behind)
    one.activate(Scheduler=engine)
    if when == "asleep":
        engine.runThreads()
    one.stop()
    engine.runThreads()
    assert [type(said) for said in heard(behind)] == [producerFinished]


def test_when_the_whole_scheduler_is_stopped_nobody_says_anything(
    engine: scheduler, behind: component
) -> None:
    one = Script(sleeper)
    line(one, behind)
    one.activate(Scheduler=engine)
    engine.call_later(1.0, engine.stop)
    engine.runThreads()
    assert one._isStopped()
    assert heard(behind) == []


@pytest.mark.parametrize("limit", [0, 1])
def test_a_control_box_without_room_takes_the_last_word_all_the_same(
    engine: scheduler, behind: component, limit: int
) -> None:
    one = Script(at_once)
    line(one, behind)
    behind.setInboxSize("control", 1)
    one.send("a question", "signal")
    behind.setInboxSize("control", limit)
    run(engine, one)
    assert behind.inboxes["control"].getSize() == limit
    said = heard(behind)
    assert said[0] == "a question"
    assert [type(one) for one in said[1:]] == [producerFinished]


# ---- containers


class Container(component):
    """Passes the signal of what is inside through its own, and ends after it."""

    def __init__(self, child: component, removes: bool) -> None:
        super().__init__()
        self.child = child
        self.removes = removes
        self.addChildren(child)
        self.link((self, "control"), (child, "control"), passthrough=1)
        self.link((child, "signal"), (self, "signal"), passthrough=2)

    def main(self) -> Iterator[object]:
        self.child.activate(Scheduler=self.scheduler)
        while not self.child._isStopped():
            self.pause()
            yield 1
        if self.removes:
            self.removeChild(self.child)


@pytest.mark.parametrize("removes", [False, True])
@pytest.mark.parametrize("inside", [at_once, obedient, forgetful])
@pytest.mark.parametrize("depth", [1, 3])
def test_the_end_of_what_is_inside_is_told_once(
    engine: scheduler, behind: component, inside: Make, removes: bool, depth: int
) -> None:
    child: component = Script(inside)
    for _ in range(depth):
        child = Container(child, removes)
    line(child, behind)
    child._deliver(producerFinished("the first"), "control")
    run(engine, child)
    assert engine.listAllThreads() == []
    assert [type(said) for said in heard(behind)] == [producerFinished]


def test_a_container_that_ends_before_what_is_inside_is_spoken_for(
    engine: scheduler, behind: component
) -> None:
    class Hasty(Container):
        def main(self) -> Iterator[object]:
            self.child.activate(Scheduler=self.scheduler)
            yield 1

    one = Hasty(Script(sleeper), False)
    line(one, behind)
    run(engine, one)
    assert len(heard(behind)) == 1


# ---- told_to_stop


def told(*messages: object, boxname: str = "control") -> tuple[Any, list[object]]:
    one, other = component(), component()
    keeper.link((one, "signal"), (other, "inbox"))
    for message in messages:
        one._deliver(message, boxname)
    answer = one.told_to_stop(boxname)
    assert not one.dataReady(boxname)
    return answer, list(other.Inbox())


finished, other_finished = producerFinished("a"), producerFinished("b")
stop_now, other_stop = shutdownMicroprocess("a"), shutdownMicroprocess("b")


@pytest.mark.parametrize(
    ("messages", "answer"),
    [
        ([], None),
        (["a question"], None),
        ([finished], finished),
        ([finished, other_finished], finished),
        ([finished, stop_now], stop_now),
        ([stop_now, finished], stop_now),
        ([stop_now, other_stop], other_stop),
        ([producerFinished], producerFinished),
        ([shutdownMicroprocess], shutdownMicroprocess),
        ([finished, shutdownMicroprocess], shutdownMicroprocess),
        ([producerFinished, stop_now], stop_now),
        pytest.param(
            [stop_now, producerFinished],
            stop_now,
        ),
    ],
)
def test_the_more_urgent_message_counts(messages: list[object], answer: object) -> None:
    assert told(*messages)[0] is answer


def test_what_is_no_shutdown_is_handed_on_in_order() -> None:
    assert told("one", finished, "two", 3) == (finished, ["one", "two", 3])


def test_what_is_no_shutdown_is_dropped_where_there_is_no_signal() -> None:
    one = component(Outboxes=["outbox"])
    one._deliver("a question", "control")
    assert one.told_to_stop() is None
    assert not one.dataReady("control")


def test_other_boxes_may_bring_it() -> None:
    assert told(finished, boxname="inbox")[0] is finished


def test_an_unknown_box_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        component().told_to_stop("kontrol")


def test_it_stays_told() -> None:
    one = component()
    one._deliver(finished, "control")
    assert [one.told_to_stop() for _ in range(3)] == [finished] * 3
    one._deliver(stop_now, "control")
    assert one.told_to_stop() is stop_now


def test_subclasses_count() -> None:
    class Drained(producerFinished):
        pass

    class Abort(shutdownMicroprocess):
        pass

    assert told(Drained)[0] is Drained
    assert isinstance(told(Drained(), Abort())[0], Abort)


def test_an_ended_component_keeps_nothing_of_it(engine: scheduler) -> None:
    one = Script(obedient)
    one._deliver(finished, "control")
    run(engine, one)
    assert one.told_to_stop() is None


# ---- threads


def test_a_thread_is_told_and_its_end_is_told(engine: scheduler, behind: component) -> None:
    def main(self: Threaded) -> None:
        while not self.told_to_stop():
            self.pause()

    one = Threaded(main)
    line(one, behind)
    one._deliver(finished, "control")
    run(engine, one)
    assert heard(behind) == [finished]


def test_a_thread_that_said_it_itself_is_not_spoken_for(
    engine: scheduler, behind: component
) -> None:
    def main(self: threadedcomponent) -> None:
        self.send(stop_now, "signal")

    one = Threaded(main)
    line(one, behind)
    run(engine, one)
    assert heard(behind) == [stop_now]


def test_what_is_no_shutdown_is_handed_on_although_the_control_behind_is_full(
    engine: scheduler, behind: component
) -> None:
    behind.setInboxSize("control", 1)
    behind.inboxes["control"].deliver("full")
    asking, stop = Script(obedient), producerFinished()
    line(asking, behind)
    for message in ("a word", stop):
        asking.inboxes["control"].deliver(message)
    run(engine, asking)
    assert heard(behind) == ["full", "a word", stop]
