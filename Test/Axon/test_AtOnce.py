"""Boxes whose messages are acted on inside the sender's send: what the module promises."""

import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from Axon.AtOnce import AtOnce, act_at_once, act_when_idle
from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Instruments import Instrument
from Axon.Introspector import Topology
from Axon.Ipc import producerFinished
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Axon.Snapshot import Direction
from Axon.Storage import holder_of
from Axon.Survey import snapshot
from Axon.Testing import FakeClock, virtual_scheduler
from Test.Axon.scripts import Script, sleeper


class Acting(component):
    """Calls a function with each message, as it comes; sleeps for the rest."""

    def __init__(self, act: Callable[[Any], object] | None = None) -> None:
        super().__init__()
        self.heard: list[Any] = []
        self.turns = 0
        self.act = act or self.heard.append
        act_at_once(self, "inbox", self._act)

    def _act(self, message: object) -> None:
        self.act(message)

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            self.turns += 1
            self.pause()
            yield 1


class TurnsAndMessages(Instrument):
    def __init__(self) -> None:
        self.turns: list[microprocess] = []
        self.messages: list[Any] = []

    def before_step(self, process: microprocess) -> None:
        self.turns.append(process)

    def message(self, message: Any, outbox: Any, inbox: Any) -> None:  # noqa: ANN401 - as there
        self.messages.append(message)


def example_class() -> type[component]:
    """What the module's example defines."""
    example = (sys.modules[act_at_once.__module__].__doc__ or "").partition("::\n\n")[2]
    source = "\n".join(line[4:] for line in example.partition("\nRules.")[0].splitlines())
    names: dict[str, Any] = {"component": component, "act_at_once": act_at_once}
    exec(compile(source, "the module's example", "exec"), names)  # noqa: S102 - running it is the test
    doubler: type[component] = names["Doubler"]
    return doubler


def linked(receiver: component, script: Callable[[Script], Iterator[object]]) -> Script:
    """A sender whose outbox leads there, and into whose inbox the answers come."""
    sender = Script(script, "sender")
    sender.link((sender, "outbox"), (receiver, "inbox"))
    sender.link((receiver, "outbox"), (sender, "inbox"))
    return sender


def run(*parts: component, engine: scheduler | None = None) -> scheduler:
    engine = engine or virtual_scheduler(FakeClock())
    for part in parts:
        part.activate(Scheduler=engine)
    engine.runThreads()
    return engine


# ---- acting


def test_the_example_answers_while_it_is_asked() -> None:
    answers: list[object] = []
    doubler = example_class()()

    def script(self: Script) -> Iterator[object]:
        for number in range(3):
            self.send(number)
            answers.append(self.recv())  # it is there when send() returns
        doubler.inboxes["control"].deliver(producerFinished())
        yield 1

    run(linked(doubler, script), doubler)
    assert answers == [0, 2, 4]
    assert doubler._isStopped()


def test_messages_are_acted_on_in_order_and_cost_no_turn_of_the_receiver() -> None:
    acting = Acting()

    def script(self: Script) -> Iterator[object]:
        for number in range(100):
            self.send(number)
        yield 1
        acting.inboxes["control"].deliver(producerFinished())

    run(acting, linked(acting, script))  # it sleeps already when the messages come
    assert acting.heard == list(range(100))
    assert acting.turns == 1


def test_the_sender_hears_the_answer_before_it_sleeps_only_if_it_looks() -> None:
    """What comes to a component in its own turn does not keep it from pausing."""
    heard: list[object] = []

    def script(self: Script) -> Iterator[object]:
        self.send(21)
        if not self.anyReady():
            self.pause()
        yield 1
        heard.append(self.recv())

    doubler = example_class()()
    sender = linked(doubler, script)
    engine = virtual_scheduler(FakeClock())
    sender.activate(Scheduler=engine)
    doubler.activate(Scheduler=engine)
    sender.call_on_close(lambda: doubler.inboxes["control"].deliver(producerFinished()))
    engine.runThreads()
    assert heard == [42]


def test_what_lay_in_the_box_is_acted_on_first_and_in_order() -> None:
    acting = component()
    heard: list[object] = []
    for word in ("one", "two"):
        acting.inboxes["inbox"].deliver(word)
    act_at_once(acting, "inbox", heard.append)
    acting.inboxes["inbox"].deliver("three")
    assert heard == ["one", "two", "three"]


def test_a_box_that_was_full_lets_those_go_on_who_wait_for_room() -> None:
    heard: list[object] = []
    acting = component()
    acting.setInboxSize("inbox", 1)

    def script(self: Script) -> Iterator[object]:
        yield from self.put("one")
        yield from self.put("two")

    def turning(self: Script) -> Iterator[object]:
        yield 1
        assert heard == []
        act_at_once(acting, "inbox", heard.append)

    class Asking(Script):
        woken_by_collection = False  # but for the box that refused it

    sender = Asking(script)
    sender.link((sender, "outbox"), (acting, "inbox"))
    run(sender, Script(turning))
    assert heard == ["one", "two"]
    assert sender._isStopped()
    assert acting.inboxes["inbox"].getSize() is None


def test_a_box_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        act_at_once(component(), "nowhere", print)


def test_nothing_ever_lies_in_such_a_box() -> None:
    acting = Acting()
    acting.inboxes["inbox"].deliver("hello")
    assert acting.dataReady() == 0
    assert not acting.anyReady()
    assert list(acting.Inbox()) == []
    assert list(acting.inboxes["inbox"].q) == []
    with pytest.raises(IndexError):
        acting.recv()
    assert not acting.inboxes["inbox"].isFull()
    assert acting.inboxes["inbox"].getSize() is None


def test_two_components_hand_on_within_one_send() -> None:
    """A request and its answer through a line of them: one turn, of the one who asks."""
    engine = virtual_scheduler(FakeClock())
    seen = TurnsAndMessages()
    last: Acting = Acting(lambda number: last.send(number + 1))
    first: Acting = Acting(lambda number: first.send(number * 10))
    answers: list[object] = []

    def script(self: Script) -> Iterator[object]:
        engine.add_instrument(seen)
        for number in range(3):
            self.send(number)
            answers.append(self.recv())
        engine.remove_instrument(seen)
        for each in (first, last):
            each.inboxes["control"].deliver(producerFinished())
        yield 1

    sender = Script(script)
    sender.link((sender, "outbox"), (first, "inbox"))
    sender.link((first, "outbox"), (last, "inbox"))
    sender.link((last, "outbox"), (sender, "inbox"))
    run(first, last, sender, engine=engine)
    assert answers == [1, 11, 21]
    assert seen.turns == []
    assert len(seen.messages) == 9  # an instrument sees each of them


# ---- errors and flow control


def test_a_fault_of_the_act_is_its_components_and_the_sender_goes_on() -> None:
    def act(message: object) -> None:
        raise ValueError(message)

    told: list[tuple[microprocess, str]] = []
    sent: list[str] = []

    def script(self: Script) -> Iterator[object]:
        for word in ("one", "two"):
            self.send(word)
            sent.append(word)
            yield 1

    acting = Acting(act)
    acting.isolate(lambda culprit, error: told.append((culprit, str(error))))
    run(acting, linked(acting, script))
    assert told == [(acting, "one")]
    assert sent == ["one", "two"]
    assert acting._isStopped()


def test_a_fault_that_nobody_isolates_ends_the_run() -> None:
    def act(message: object) -> None:
        raise ValueError(message)

    acting = Acting(act)

    def script(self: Script) -> Iterator[object]:
        self.send("a planted fault")
        yield 1

    with pytest.raises(ValueError, match="a planted fault"):
        run(acting, linked(acting, script))


def test_a_fault_before_the_component_runs_is_the_senders() -> None:
    def act(message: object) -> None:
        raise ValueError(message)

    acting = Acting(act)
    with pytest.raises(ValueError, match="hello"):
        acting.inboxes["inbox"].deliver("hello")


def test_an_attribute_error_of_the_act_is_not_taken_for_an_empty_box() -> None:
    """An unused box is recognised by its missing append: that must not hide a fault of the act."""

    def act(message: Any) -> None:  # noqa: ANN401 - has no such attribute
        message.no_such_attribute()

    acting = Acting(act)
    sender = component()
    sender.link((sender, "outbox"), (acting, "inbox"))
    with pytest.raises(AttributeError, match="no_such_attribute"):
        sender.send("hello")
    with pytest.raises(AttributeError, match="no_such_attribute"):
        acting.inboxes["inbox"].deliver("hello")
    assert isinstance(acting.inboxes["inbox"].q, AtOnce)


def test_who_was_refused_sleeps_until_the_box_is_collected() -> None:
    """The act has no room: the sender keeps its message, and is woken by box.collected()."""
    room = [True]
    heard: list[object] = []

    def act(message: object) -> None:
        if not room[0]:
            raise noSpaceInBox(1, 1)
        heard.append(message)
        room[0] = False

    turns: list[object] = []

    def script(self: Script) -> Iterator[object]:
        for number in range(3):
            yield from self.put(number)
            turns.append(number)

    def making_room(self: Script) -> Iterator[object]:
        box = acting.inboxes["inbox"]
        for expected in ([0], [0, 1], [0, 1, 2]):
            until = self.now() + 10
            while (left := until - self.now()) > 0:
                self.pause(left)
                yield 1
            assert heard == expected
            room[0] = True
            box.collected()
        acting.inboxes["control"].deliver(producerFinished())

    acting = Acting(act)
    sender = linked(acting, script)
    run(acting, sender, Script(making_room))
    assert heard == turns == [0, 1, 2]
    assert sender._isStopped()


# ---- the end


def test_after_its_end_the_box_takes_nothing_more() -> None:
    acting = Acting()
    acting.inboxes["control"].deliver(producerFinished())
    sender = component()
    sender.link((sender, "outbox"), (acting, "inbox"))
    sender.send("before")
    run(acting)
    assert acting._isStopped()
    sender.send("after")
    acting.inboxes["inbox"].deliver("after")
    assert acting.heard == ["before"]
    assert holder_of(acting.inboxes["inbox"]) is None


def test_an_act_may_end_its_own_component_and_nothing_more_comes() -> None:
    heard: list[object] = []

    def act(message: object) -> None:
        heard.append(message)
        acting.stop()

    acting = Acting(act)

    def script(self: Script) -> Iterator[object]:
        self.send("the last")
        yield 1
        yield 1  # it needs a turn of its own to end
        self.send("one too many")

    run(linked(acting, script), acting)
    assert heard == ["the last"]


def test_who_waits_for_room_goes_on_when_the_box_ends() -> None:
    def act(_: object) -> None:
        raise noSpaceInBox(1, 1)

    def script(self: Script) -> Iterator[object]:
        yield from self.put("never taken")

    def ending(self: Script) -> Iterator[object]:
        yield 1
        acting.inboxes["control"].deliver(producerFinished())

    acting = Acting(act)
    sender = linked(acting, script)
    run(acting, sender, Script(ending))
    assert sender._isStopped()


def test_nothing_is_left_of_it_but_by_who_holds_it() -> None:
    """The act is usually a method of the component: a cycle, which its end has to cut."""

    class Counting(component):
        def __init__(self) -> None:
            super().__init__()
            act_at_once(self, "inbox", self.count)

        def count(self, _: object) -> None: ...

        def main(self) -> Iterator[object]:
            while not self.told_to_stop():
                self.pause()
                yield 1

    acting = Counting()
    acting.inboxes["inbox"].deliver("hello")
    acting.inboxes["control"].deliver(producerFinished())
    run(acting)
    gone = weakref.ref(acting)
    del acting
    assert gone() is None


# ---- acting only while idle


class Sometimes(component):
    """Acts at once while it is idle; what came meanwhile it takes in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.acted: list[object] = []
        self.taken: list[object] = []
        self.waiting = act_when_idle(self, "inbox", self.act)

    def act(self, message: object) -> None:
        if message == "fail":
            raise ValueError(message)
        self.acted.append(message)
        if message == "busy":
            self.waiting.idle = False

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            self.taken.extend(self.Inbox())
            self.waiting.idle = True
            self.pause()
            yield 1


def test_it_acts_while_it_is_idle_and_keeps_in_order_what_comes_otherwise() -> None:
    sometimes = Sometimes()
    sometimes.inboxes["inbox"].deliver("before its first turn")

    def script(self: Script) -> Iterator[object]:
        for word in ("now", "busy", "later", "still later"):
            self.send(word)
        assert sometimes.taken == ["before its first turn"]
        sometimes.waiting.idle = True
        self.send("behind those")  # it does not overtake them
        yield 1
        yield 1
        assert sometimes.taken[1:] == ["later", "still later", "behind those"]
        self.send("now again")
        sometimes.inboxes["control"].deliver(producerFinished())

    run(sometimes, linked(sometimes, script))
    assert sometimes.acted == ["now", "busy", "now again"]


def test_what_lay_there_before_it_was_asked_for_stays_and_a_limit_is_kept() -> None:
    busy = component()
    busy.setInboxSize("inbox", 2)
    busy.inboxes["inbox"].deliver("first")
    heard: list[object] = []
    storage = act_when_idle(busy, "inbox", heard.append)
    busy.inboxes["inbox"].deliver("second")
    with pytest.raises(noSpaceInBox):
        busy.inboxes["inbox"].deliver("one too many")
    assert list(busy.Inbox()) == ["first", "second"]
    storage.idle = True
    busy.inboxes["inbox"].deliver("third")
    assert heard == ["third"]
    busy.setInboxSize("inbox", None)
    busy.inboxes["inbox"].wake_on_collection(component())
    busy.inboxes["inbox"].deliver("fourth")  # nothing of that has put another storage there
    assert heard == ["third", "fourth"]
    assert holder_of(busy.inboxes["inbox"]) is busy


def test_a_fault_while_idle_is_its_components_too() -> None:
    sometimes = Sometimes()
    told: list[str] = []
    sometimes.isolate(lambda culprit, error: told.append(str(error)))

    def script(self: Script) -> Iterator[object]:
        self.send("fail")
        yield 1

    run(sometimes, linked(sometimes, script))
    assert told == ["fail"]
    assert sometimes._isStopped()


def test_of_one_that_was_idle_nothing_is_left_either() -> None:
    sometimes = Sometimes()
    sometimes.inboxes["control"].deliver(producerFinished())
    run(sometimes)
    sometimes.inboxes["inbox"].deliver("too late")
    assert sometimes.acted == []
    del sometimes.waiting  # who keeps it has to let it go
    gone = weakref.ref(sometimes)
    del sometimes
    assert gone() is None


# ---- looking at a running program


def test_snapshot_and_introspector_see_whose_box_it_is() -> None:
    engine = virtual_scheduler(FakeClock())
    acting, sender = Acting(), Script(sleeper, "sender")
    sender.link((sender, "outbox"), (acting, "inbox"))
    assert holder_of(acting.inboxes["inbox"]) is acting
    sender.activate(Scheduler=engine)
    taken = snapshot(engine)
    # The receiver is found by the link alone: it was never activated.
    assert {each.id for each in taken.components} == {acting.id, sender.id}
    (link,) = [each for each in taken.links if each.source.component == sender.id]
    assert (link.sink.component, link.sink.box) == (acting.id, "inbox")
    assert link.sink.direction is Direction.IN
    (shown,) = [each for each in taken.components if each.id == acting.id]
    (box,) = [box for box in shown.boxes if box.name == "inbox"]
    assert (box.waiting, box.limit) == (0, None)
    lines = Topology().changes(Topology.of(taken))
    ends = f"""ADD LINK "({sender.id}, 'o', 'outbox')" "({acting.id}, 'i', 'inbox')\""""
    assert ends in lines
