"""Components: boxes, messages, children and ends."""

import itertools
import random
import re
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

import Axon
from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import newComponent, producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.Testing import drive, virtual_scheduler


class Script(component):
    """Runs a function that is given the component and makes the generator."""

    def __init__(self, script: Callable[["Script"], Iterator[object]]) -> None:
        super().__init__()
        self.script = script

    def main(self) -> Iterator[object]:
        return self.script(self)


def sleeper(self: Script) -> Iterator[object]:
    while True:
        self.pause()
        yield 1


def nothing(self: Script) -> Iterator[object]:
    yield 1


# ---- declarations


def test_the_four_boxes_of_every_component() -> None:
    one = component("positional arguments", "are ignored")
    assert list(one.inboxes) == ["inbox", "control"]
    assert list(one.outboxes) == ["outbox", "signal"]


@pytest.mark.parametrize("declared", [["a", "b"], ("a", "b"), {"a": "int: one", "b": "int: two"}])
def test_boxes_may_be_declared_as_dict_list_or_tuple(declared: Any) -> None:  # noqa: ANN401
    class Mine(component):
        Inboxes = declared
        Outboxes = declared

    one = Mine()
    assert list(one.inboxes) == list(one.outboxes) == ["a", "b"]
    assert Mine.Inboxes is declared


def test_a_subclass_replaces_the_boxes_it_declares() -> None:
    class Mine(component):
        Inboxes: ClassVar[Any] = {"only": "int: this one"}

    assert list(Mine().inboxes) == ["only"]
    assert list(Mine().outboxes) == ["outbox", "signal"]


def test_keyword_arguments_become_attributes_before_the_boxes_are_made() -> None:
    class Server(component):
        port = 1500

    one = Server(port=25, name="mail", Inboxes=["socket"])
    assert (one.port, one.name, list(one.inboxes)) == (25, "mail", ["socket"])
    assert (Server.port, list(Server().inboxes)) == (1500, ["inbox", "control"])


def test_names_that_the_original_offers_here() -> None:
    for name in Axon.Component.__all__:
        assert hasattr(Axon.Component, name)
    for name in Axon.__all__:
        assert getattr(Axon, name).__name__ in (f"Axon.{name}", name)


def test_private_names_of_the_engine_carry_its_prefix() -> None:
    """An author's own _begin or _wake must not be one of the engine's (decision 10)."""
    old = {"_closeDownMicroprocess", "_deliver", "_isRunnable", "_isStopped", "_unpause"}
    hot = {"_asleep", "_callOnCloseDown", "_inlist", "_postoffice"}
    names = {name for name in dir(component) if re.match(r"_[^_]", name)}
    ours = {name for name in names if not name.startswith("_axon_") and "__super" not in name}
    assert ours == old | hot


# ---- messages


def test_a_message_is_there_at_once() -> None:
    left, right = component(), component()
    left.link((left, "outbox"), (right, "inbox"))
    assert (right.dataReady(), right.anyReady()) == (0, False)
    thing = object()
    left.send(thing)
    assert (right.dataReady(), right.anyReady()) == (1, "inbox")
    assert right.recv() is thing
    assert (right.dataReady(), right.anyReady()) == (0, False)


def test_any_ready_names_the_first_inbox_with_something_in_it() -> None:
    one = component(Inboxes=["a", "b", ""])
    one._deliver(1, "")
    assert one.anyReady() is True
    one._deliver(1, "b")
    assert one.anyReady() == "b"
    one._deliver(1, "a")
    assert one.anyReady() == "a"


def test_names_that_were_not_declared_are_key_errors() -> None:
    one = component()
    calls: list[Callable[[str], object]] = [
        one.recv,
        one.dataReady,
        lambda name: one.send(1, name),
        lambda name: one._deliver(1, name),
        lambda name: one.setInboxSize(name, 1),
        lambda name: list(one.Inbox(name)),
    ]
    for call in calls:
        with pytest.raises(KeyError):
            call("no such box")


@pytest.mark.parametrize("used", [False, True])
def test_taking_from_an_empty_box_is_an_index_error(used: bool) -> None:
    one = component()
    if used:
        one._deliver(1)
        one.recv()
    with pytest.raises(IndexError):
        one.recv()


def test_the_inbox_loop_takes_what_arrives_meanwhile() -> None:
    one = component()
    one._deliver(3)
    taken: list[int] = []
    for number in one.Inbox():
        taken.append(number)
        if number:
            one._deliver(number - 1)
    assert taken == [3, 2, 1, 0]
    assert list(one.Inbox()) == []


def test_the_inbox_loop_outlives_a_change_of_limit() -> None:
    one = component()
    for number in range(4):
        one._deliver(number)
    taken: list[int] = []
    for number in one.Inbox():
        taken.append(number)
        one.setInboxSize("inbox", 5 if number % 2 else None)
    assert taken == [0, 1, 2, 3]


def test_a_whole_tree_answers_through_its_top() -> None:
    class Echo(component):
        def main(self) -> Iterator[object]:
            while not self.dataReady():
                self.pause()
                yield 1
            self.send(self.recv())

    class Wrapper(component):
        def main(self) -> Iterator[object]:
            child = Wrapper(depth=self.depth - 1) if self.depth else Echo()
            self.link((self, "inbox"), (child, "inbox"), passthrough=1)
            self.link((child, "outbox"), (self, "outbox"), passthrough=2)
            self.addChildren(child)
            yield newComponent(child)
            while not child._isStopped():
                self.pause()
                yield 1

        depth = 5

    assert drive(Wrapper(), inbox=["there and back"])["outbox"] == ["there and back"]


# ---- room


def test_the_sender_is_told_when_there_is_no_room_and_woken_when_there_is(
    engine: scheduler,
) -> None:
    events: list[str] = []

    def sender(self: Script) -> Iterator[object]:
        self.send("first")
        with pytest.raises(noSpaceInBox) as full:
            self.send("second")
        assert full.value.args == (1, 1)
        self.pause()
        events.append("sleeps")
        yield 1
        events.append("woken")
        self.send("second")

    def taker(self: Script) -> Iterator[object]:
        for _ in range(5):
            yield 1
        events.append(f"takes {self.recv()}")
        yield 1
        yield 1
        events.append(f"takes {self.recv()}")

    left, right = Script(sender), Script(taker)
    right.link((left, "outbox"), (right, "inbox"), pipewidth=1)
    for one in (left, right):
        one.activate(Scheduler=engine)
    engine.runThreads()
    assert events == ["sleeps", "takes first", "woken", "takes second"]


@pytest.mark.parametrize("size", [0, 1])
def test_a_sender_that_waits_is_woken_when_the_limit_is_lifted(
    engine: scheduler, size: int
) -> None:
    def sender(self: Script) -> Iterator[object]:
        for number in range(3):
            yield from self.put(number)

    left, right = Script(sender), component()
    right.setInboxSize("inbox", size)
    right.link((left, "outbox"), (right, "inbox"))
    left.activate(Scheduler=engine)
    engine.call_later(0.01, lambda: right.setInboxSize("inbox", None))
    engine.runThreads()
    assert list(right.Inbox()) == [0, 1, 2]


@pytest.mark.parametrize("how", ["cut", "ended"])
def test_a_sender_that_waits_is_woken_when_the_receiver_goes(engine: scheduler, how: str) -> None:
    def sender(self: Script) -> Iterator[object]:
        for number in range(5):
            yield from self.put(number)

    left, right, third = Script(sender), Script(sleeper), component()
    third.link((left, "outbox"), (right, "inbox"), pipewidth=1)
    for one in (left, right):
        one.activate(Scheduler=engine)
    engine.call_later(0.01, right.stop if how == "ended" else lambda: third.unlink(right))
    engine.call_later(0.02, engine.stop if how == "cut" else lambda: None)
    engine.runThreads()
    assert left._isStopped()
    assert list(right.Inbox()) == [0]


@pytest.mark.parametrize("size", [1, 2, 7, None])
def test_a_line_of_bounded_boxes_moves_everything_in_order(
    engine: scheduler, size: int | None
) -> None:
    total = 300

    def source(self: Script) -> Iterator[object]:
        for number in range(total):
            yield from self.put(number)
        self.send(producerFinished(self), "signal")

    def relay(self: Script) -> Iterator[object]:
        while True:
            for message in self.Inbox():
                yield from self.put(message)
            if self.dataReady("control"):
                self.send(self.recv("control"), "signal")
                return
            if not self.anyReady():
                self.pause()
            yield 1

    got: list[object] = []

    def taker(self: Script) -> Iterator[object]:
        while not (self.dataReady("control") and not self.dataReady()):
            if not self.anyReady():
                self.pause()
            yield 1
            if self.dataReady():
                got.append(self.recv())

    line = [Script(source), *(Script(relay) for _ in range(4)), Script(taker)]
    for left, right in itertools.pairwise(line):
        line[-1].link((left, "outbox"), (right, "inbox"), pipewidth=size)
        line[-1].link((left, "signal"), (right, "control"))
    random.Random(1).shuffle(line)
    for one in line:
        one.activate(Scheduler=engine)
    engine.runThreads()
    assert got == list(range(total))


def test_a_message_to_oneself_is_not_slept_over(engine: scheduler) -> None:
    def script(self: Script) -> Iterator[object]:
        self.link((self, "outbox"), (self, "inbox"))
        for number in range(100):
            assert not self.anyReady()
            self.send(number)  # after the last look and before the pause
            self.pause()
            yield 1
            assert self.recv() == number

    Script(script).activate(Scheduler=engine)
    engine.runThreads()  # would block for ever


@pytest.mark.parametrize("order", ["send first", "pause first"])
def test_a_message_in_the_turn_of_the_pause_is_not_slept_over(
    engine: scheduler, order: str
) -> None:
    def asker(self: Script) -> Iterator[object]:
        for number in range(100):
            self.send(number)
            if not self.anyReady():
                self.pause()
            yield 1
            while not self.dataReady():
                self.pause()
                yield 1
            assert self.recv() == number

    def answerer(self: Script) -> Iterator[object]:
        for _ in range(100):
            while not self.dataReady():
                self.pause()
                yield 1
            self.send(self.recv())

    parts = [Script(asker), Script(answerer)]
    keeper = component()
    keeper.link((parts[0], "outbox"), (parts[1], "inbox"))
    keeper.link((parts[1], "outbox"), (parts[0], "inbox"))
    for one in parts if order == "send first" else parts[::-1]:
        one.activate(Scheduler=engine)
    engine.runThreads()


# ---- wiring


def test_links_end_with_the_component_that_made_them(engine: scheduler) -> None:
    left, right = component(), component()

    def script(self: Script) -> Iterator[object]:
        self.link((left, "outbox"), (right, "inbox"))
        left.send("during")
        yield 1

    Script(script).activate(Scheduler=engine)
    engine.runThreads()
    left.send("after")
    assert list(right.Inbox()) == ["during"]


def test_unlinking_without_having_linked_is_harmless() -> None:
    one = component()
    one.unlink(thecomponent=one)
    assert one.postoffice.linkages == []
    assert one.name in one.postoffice.debugname


def test_the_postoffice_can_be_replaced() -> None:
    one, other = component(), component()
    one.postoffice = other.postoffice
    wire = one.link((one, "outbox"), (other, "inbox"))
    assert other.postoffice.islinkageregistered(wire)


# ---- children


def test_a_parent_is_woken_by_the_end_of_its_children(engine: scheduler) -> None:
    children = [Script(nothing) for _ in range(3)]

    def parent_main(self: Script) -> Iterator[object]:
        assert self.childComponents() == children
        yield newComponent(*children)
        while not all(child._isStopped() for child in children):
            self.pause()
            yield 1

    parent = Script(parent_main)
    parent.addChildren(*children[:2])
    parent.addChildren(children[2])
    parent.activate(Scheduler=engine)
    engine.runThreads()
    assert parent._isStopped()


def test_the_list_of_children_is_a_copy() -> None:
    parent, child = component(), component()
    assert parent.children == []
    parent.addChildren(child)
    parent.children.clear()
    parent.childComponents().clear()
    assert parent.children == [child]


def test_a_child_has_any_number_of_parents(engine: scheduler) -> None:
    child = Script(nothing)

    def parent_main(self: Script) -> Iterator[object]:
        self.addChildren(child)
        while not child._isStopped():
            self.pause()
            yield 1

    for one in (Script(parent_main), Script(parent_main), child):
        one.activate(Scheduler=engine)
    engine.runThreads()
    assert child._isStopped()


def test_a_removed_child_wakes_nobody_and_is_no_longer_linked() -> None:
    runner = virtual_scheduler()
    turns: list[int] = []

    def parent_main(self: Script) -> Iterator[object]:
        while True:
            turns.append(1)
            self.pause()
            yield 1

    parent, child = Script(parent_main), Script(nothing)
    parent.addChildren(child)
    parent.link((child, "outbox"), (parent, "inbox"))
    parent.removeChild(child)
    parent.removeChild(child)
    component().removeChild(child)
    child.send("lost")
    for one in (parent, child):
        one.activate(Scheduler=runner)
    runner.runThreads()
    assert parent.children == []
    assert not parent.dataReady()
    assert len(turns) == 1


def test_a_class_given_as_a_child_is_explained() -> None:
    with pytest.raises(AttributeError, match="Script"):
        component().addChildren(Script)  # type: ignore[arg-type]


# ---- main in three parts


def test_the_three_parts_of_main_are_called_in_turn(engine: scheduler) -> None:
    class Parts(component):
        def initialiseComponent(self) -> object:
            done.append("initialise")
            return newComponent(child)

        def mainBody(self) -> object:
            done.append("body")
            return len(done) < 4

        def closeDownComponent(self) -> object:
            done.append("close")
            return 1

    done: list[str] = []
    child = Script(nothing)
    Parts().activate(Scheduler=engine)
    component().activate(Scheduler=engine)  # with the defaults for all three
    engine.runThreads()
    assert done == ["initialise", "body", "body", "body", "close"]
    assert child._isStopped()


# ---- after the end


def ended(engine: scheduler) -> component:
    one = Script(nothing).activate(Scheduler=engine)
    engine.runThreads()
    return one


def test_messages_to_an_ended_component_are_discarded(engine: scheduler) -> None:
    one, sender = ended(engine), component()
    sender.link((sender, "outbox"), (one, "inbox"), pipewidth=1)
    for number in range(10):
        sender.send(number)
    assert one.dataReady() == 0
    assert not sender.outboxes["outbox"].isFull()


def test_what_an_ended_component_had_not_read_can_still_be_read(engine: scheduler) -> None:
    one = Script(nothing).activate(Scheduler=engine)
    one._deliver("left")
    engine.runThreads()
    one._deliver("late")
    assert list(one.Inbox()) == ["left"]


def test_shutdown_messages_pass_through_a_line(engine: scheduler) -> None:
    def passer(self: Script) -> Iterator[object]:
        while not self.dataReady("control"):
            self.pause()
            yield 1
        self.send(self.recv("control"), "signal")

    line = [Script(passer) for _ in range(50)]
    keeper = component()
    for left, right in itertools.pairwise(line):
        keeper.link((left, "signal"), (right, "control"))
    keeper.link((line[-1], "signal"), (keeper, "control"))
    for one in line:
        one.activate(Scheduler=engine)
    stop = shutdownMicroprocess(line[0])
    line[0]._deliver(stop, "control")
    engine.runThreads()
    assert keeper.recv("control") is stop
