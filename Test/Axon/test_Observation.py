"""
How instruments get to see messages, and at what cost: none while there is no instrument. The events
themselves and the ready-made instruments: test_Instruments.
"""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from Axon.Box import Inbox, Outbox
from Axon.Component import component
from Axon.Instruments import Instrument
from Axon.Microprocess import microprocess
from Axon.Observation import TAP, MessageTap
from Axon.Scheduler import scheduler
from Axon.Testing import virtual_scheduler
from Test.Axon.scripts import Script, counter, sleeper

FUNCTIONS = component.send, Inbox.deliver, Inbox.append
keeper = component()


class Watch(Instrument):
    """Writes down the messages, and counts everything else."""

    def __init__(self) -> None:
        self.messages: list[tuple[object, str | None, str | None]] = []
        self.counts: Counter[str] = Counter()

    def message(self, message: object, outbox: Outbox | None, inbox: Inbox | None) -> None:
        self.messages.append((message, outbox and outbox.name, inbox and inbox.name))

    def paused(self, process: microprocess) -> None:
        self.counts["paused"] += 1
        self.counts[process.name] += 1

    def woken(self, process: microprocess) -> None:
        self.counts["woken"] += 1
        self.counts[process.name] -= 1

    def before_step(self, process: microprocess) -> None:
        self.counts["before"] += 1

    def after_step(self, process: microprocess) -> None:
        self.counts["after"] += 1


@pytest.fixture(autouse=True)
def _all_as_before() -> Iterator[None]:
    for tell in list(TAP._listeners):  # of schedulers that other tests left with their instruments
        TAP.close(tell)
    yield
    assert (component.send, Inbox.deliver, Inbox.append) == FUNCTIONS


@pytest.fixture
def engine() -> Iterator[scheduler]:
    """Give a scheduler in virtual time, without instruments afterwards."""
    made = virtual_scheduler()
    yield made
    for instrument in made._instruments:
        made.remove_instrument(instrument)


@pytest.fixture
def watch(engine: scheduler) -> Watch:
    """Give an instrument that is on."""
    made = Watch()
    engine.add_instrument(made)
    return made


def active(engine: scheduler, count: int = 2) -> list[component]:
    return [component().activate(Scheduler=engine) for _ in range(count)]


def test_the_functions_are_exchanged_while_somebody_watches_and_put_back(
    engine: scheduler,
) -> None:
    one, other = Watch(), Watch()
    engine.add_instrument(one)
    engine.add_instrument(other)
    assert component.send is not FUNCTIONS[0]
    assert Inbox.deliver is Inbox.append
    engine.remove_instrument(one)
    assert component.send is not FUNCTIONS[0]
    engine.remove_instrument(other)
    assert (component.send, Inbox.deliver, Inbox.append) == FUNCTIONS


def test_removing_what_was_never_added_changes_nothing(engine: scheduler, watch: Watch) -> None:
    engine.remove_instrument(Watch())
    one, other = active(engine)
    one.link((one, "outbox"), (other, "inbox"))
    one.send("a")
    assert watch.messages == [("a", "outbox", "inbox")]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_schedulers_see_their_own_whoever_stops_first(order: tuple[int, int]) -> None:
    engines = [virtual_scheduler(), virtual_scheduler()]
    watches = [Watch(), Watch()]
    pairs = []
    for engine, watch in zip(engines, watches, strict=True):
        engine.add_instrument(watch)
        pairs.append(active(engine))
    for one, other in pairs:
        keeper.link((one, "outbox"), (other, "inbox"))
    pairs[0][0].send("first")
    pairs[1][0].send("second")
    left = order[1]
    engines[order[0]].remove_instrument(watches[order[0]])
    pairs[0][0].send("late")
    pairs[1][0].send("late")
    engines[left].remove_instrument(watches[left])
    assert [watch.messages[0] for watch in watches] == [
        ("first", "outbox", "inbox"),
        ("second", "outbox", "inbox"),
    ]
    assert [len(watch.messages) for watch in watches] == [1 + (left == 0), 1 + (left == 1)]


def test_a_message_between_two_schedulers_is_told_to_both() -> None:
    here, there = virtual_scheduler(), virtual_scheduler()
    watches = Watch(), Watch()
    here.add_instrument(watches[0])
    there.add_instrument(watches[1])
    (one,), (other,) = active(here, 1), active(there, 1)
    keeper.link((one, "outbox"), (other, "inbox"))
    one.send("across")
    here.remove_instrument(watches[0])
    there.remove_instrument(watches[1])
    assert [len(watch.messages) for watch in watches] == [1, 1]


# ---- each message once


def test_a_message_between_two_is_told_once(engine: scheduler, watch: Watch) -> None:
    one, other = active(engine)
    keeper.link((one, "outbox"), (other, "inbox"))
    one.send("a")
    assert watch.messages == [("a", "outbox", "inbox")]


@pytest.mark.parametrize(
    ("outbox", "inbox"), [("outbox", "inbox"), ("signal", "control"), ("signal", "inbox")]
)
def test_a_message_to_oneself_is_told_once(
    engine: scheduler, watch: Watch, outbox: str, inbox: str
) -> None:
    (one,) = active(engine, 1)
    keeper.link((one, outbox), (one, inbox))
    one.send("a", outbox)
    assert watch.messages == [("a", outbox, inbox)]
    assert one.recv(inbox) == "a"


def test_a_signal_is_told_once(engine: scheduler, watch: Watch) -> None:
    one, other = active(engine)
    keeper.link((one, "signal"), (other, "control"))
    one.send("stop", "signal")
    assert watch.messages == [("stop", "signal", "control")]


def test_a_message_through_a_chain_is_told_once_with_both_ends(
    engine: scheduler, watch: Watch
) -> None:
    one, parent, outer, inner = active(engine, 4)
    keeper.link((one, "outbox"), (parent, "signal"), passthrough=2)
    keeper.link((parent, "signal"), (outer, "inbox"))
    keeper.link((outer, "inbox"), (inner, "control"), passthrough=1)
    one.send("a")
    assert watch.messages == [("a", "outbox", "control")]


def test_a_delivery_from_outside_has_no_outbox(engine: scheduler, watch: Watch) -> None:
    one, inner = active(engine)
    keeper.link((one, "inbox"), (inner, "control"), passthrough=1)
    one._deliver("a")
    inner.inboxes["inbox"].append("b")
    assert watch.messages == [("a", None, "control"), ("b", None, "inbox")]


def test_what_is_discarded_is_told_without_an_inbox(engine: scheduler, watch: Watch) -> None:
    one, parent = active(engine)
    one.send("a")
    keeper.link((one, "outbox"), (parent, "outbox"), passthrough=2)
    one.send("b")
    assert watch.messages == [("a", "outbox", None), ("b", "outbox", None)]


def test_a_delivery_that_leads_out_to_nowhere_concerns_nobody(
    engine: scheduler, watch: Watch
) -> None:
    one, parent = active(engine)
    keeper.outboxes["outbox"].addsource(one.inboxes["inbox"])
    one._deliver("a")
    keeper.outboxes["outbox"].removesource(one.inboxes["inbox"])
    assert watch.messages == []
    assert not parent.anyReady()


def test_what_was_refused_is_not_told(engine: scheduler, watch: Watch) -> None:
    one, other = active(engine)
    keeper.link((one, "outbox"), (other, "inbox"), pipewidth=0)
    with pytest.raises(Exception, match="0"):
        one.send("a")
    with pytest.raises(KeyError, match="nowhere"):
        one.send("a", "nowhere")
    assert watch.messages == []
    other.setInboxSize("inbox", None)
    one.send("b")
    other._deliver("c")  # is it still seen that this is no part of a send?
    assert watch.messages == [("b", "outbox", "inbox"), ("c", None, "inbox")]


def test_the_note_of_a_wrong_box_is_the_same_while_somebody_watches(
    engine: scheduler, watch: Watch
) -> None:
    def main(self: Script) -> Iterator[object]:
        yield 1
        self.send("a", "outbx")

    Script(main).activate(Scheduler=engine)
    with pytest.raises(KeyError) as error:
        engine.runThreads()
    assert "in send('a', 'outbx'): there is no such box" in error.value.__notes__[0]


def test_messages_of_those_that_are_not_active_concern_nobody(watch: Watch) -> None:
    one, other = component(), component()
    keeper.link((one, "outbox"), (other, "inbox"))
    one.send("a")
    assert watch.messages == []


def test_what_moves_on_when_boxes_are_linked_is_told_as_delivered(
    engine: scheduler, watch: Watch
) -> None:
    one, other = active(engine)
    one._deliver("a")
    keeper.link((one, "inbox"), (other, "control"), passthrough=1)
    assert watch.messages == [("a", None, "inbox"), ("a", None, "control")]


# ---- in the middle of a run


def ping_pong(self: Script) -> Iterator[object]:
    for number in range(50):
        while not self.dataReady():
            self.pause()
            yield 1
        self.recv()
        self.send(number)


def play(engine: scheduler, *others: component) -> list[component]:
    one, other = Script(ping_pong), Script(ping_pong)
    keeper.link((one, "outbox"), (other, "inbox"))
    keeper.link((other, "outbox"), (one, "inbox"))
    for part in (one, other, *others):
        part.activate(Scheduler=engine)
    one._deliver("serve")
    engine.runThreads()
    return [one, other]


def test_steps_and_sleep_are_balanced(engine: scheduler, watch: Watch) -> None:
    play(engine)
    assert watch.counts["before"] == watch.counts["after"] > 0
    assert watch.counts["paused"] == watch.counts["woken"] > 0
    assert len(watch.messages) == 101


def test_whoever_sleeps_has_been_paused_once_more_than_woken(
    engine: scheduler, watch: Watch
) -> None:
    sleepers = [Script(sleeper, f"sleeper {number}") for number in range(3)]
    play(engine, *sleepers)
    for _ in range(3):
        sleepers[0].unpause()
        engine.runThreads()
    assert [watch.counts[one.name] for one in sleepers] == [1, 1, 1]


@pytest.mark.parametrize("when", [0, 1, 7, 30])
def test_one_may_be_added_and_removed_by_a_component(engine: scheduler, when: int) -> None:
    def adding(self: Script) -> Iterator[object]:
        for _ in range(when):
            yield 1
        engine.add_instrument(watch)
        for _ in range(10):
            yield 1
        engine.remove_instrument(watch)

    watch = Watch()
    one, other = play(engine, Script(adding))
    assert one._isStopped()
    assert other._isStopped()
    assert 0 < len(watch.messages) < 101
    assert component.send is FUNCTIONS[0]


def test_one_may_remove_itself(engine: scheduler) -> None:
    class Once(Watch):
        def before_step(self, process: microprocess) -> None:
            super().before_step(process)
            if self.counts["before"] == 5:
                engine.remove_instrument(self)

    once, watch = Once(), Watch()
    engine.add_instrument(once)
    engine.add_instrument(watch)
    play(engine)
    assert once.counts["before"] == 5
    assert watch.counts["before"] == watch.counts["after"] > 5


def test_one_may_remove_itself_at_a_message(engine: scheduler) -> None:
    class Once(Watch):
        def message(self, message: object, outbox: Outbox | None, inbox: Inbox | None) -> None:
            super().message(message, outbox, inbox)
            engine.remove_instrument(self)

    once = Once()
    engine.add_instrument(once)
    one, other = play(engine)
    assert len(once.messages) == 1
    assert one._isStopped()
    assert other._isStopped()


def test_one_may_add_another(engine: scheduler) -> None:
    class Growing(Watch):
        def before_step(self, process: microprocess) -> None:
            super().before_step(process)
            if self.counts["before"] == 3:
                engine.add_instrument(other)

    growing, other = Growing(), Watch()
    engine.add_instrument(growing)
    play(engine)
    assert other.counts["after"] > 10
    assert len(other.messages) > 10


# ---- one that fails


class Failing(Instrument):
    """Fails when a method is called for the third time."""

    def __init__(self, method: str) -> None:
        self.calls = 0
        setattr(self, method, self.fail)

    def fail(self, *what: object) -> None:
        self.calls += 1
        if self.calls == 3:
            raise ZeroDivisionError("the instrument")


@pytest.mark.parametrize("method", ["before_step", "after_step", "paused", "woken", "message"])
def test_an_instrument_that_fails_is_taken_off_and_told_of(
    engine: scheduler, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    """It was only looking: no component pays for its failure, and no other instrument."""
    turns: list[str] = []
    parts = [Script(counter(turns, 4), name) for name in "ab"]
    bad, good = Failing(method), Watch()
    engine.add_instrument(bad)
    engine.add_instrument(good)
    for part in parts:
        part.activate(Scheduler=engine)
    play(engine)
    assert bad.calls == 3
    assert sorted(turns) == list("aaaabbbb")
    assert good.counts["before"] == good.counts["after"] > 8
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [
        ZeroDivisionError
    ]


# ---- the tap by itself


def test_a_tap_without_a_class_of_components_sees_deliveries() -> None:
    told: list[object] = []
    tap = MessageTap()

    def tell(message: object, outbox: Outbox | None, inbox: Inbox | None) -> None:
        told.append((message, outbox, inbox))

    tap.open(tell)
    one = component()
    one._deliver("a")
    assert component.send is FUNCTIONS[0]
    tap.close(tell)
    tap.close(tell)
    assert told == [("a", None, one.inboxes["inbox"])]


def test_opening_twice_tells_once() -> None:
    told: list[object] = []
    tell: Callable[..., object] = lambda *what: told.append(what)  # noqa: E731
    TAP.open(tell)
    TAP.open(tell)
    component()._deliver("a")
    TAP.close(tell)
    assert len(told) == 1
