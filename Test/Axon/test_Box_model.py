"""
Boxes and linkages against a model that is too simple to be wrong.

The model knows, for each box, where it leads and what lies in it, and does everything by walking
the chain anew. hypothesis tries links, cuts, sends, collections and limits in any order. Checked
after each step: every box holds what the model says, every outbox leads where the model says, and
no component sleeps that waits for room which is there.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from Axon.AxonExceptions import BoxAlreadyLinkedToDestination, LinkageCycle, noSpaceInBox
from Axon.Box import Inbox, Outbox
from Axon.Component import component
from Axon.Linkage import linkage
from Axon.Postoffice import postoffice
from Axon.Testing import virtual_scheduler

PARTS = 2
Key = tuple[int, str, str]  # number of the component, "in" or "out", name of the box
part_numbers = st.integers(0, PARTS - 1)
outboxes = st.tuples(part_numbers, st.just("out"), st.sampled_from(["outbox", "signal"]))
inboxes = st.tuples(part_numbers, st.just("in"), st.sampled_from(["inbox", "control"]))
KINDS = [("out", "in"), ("in", "in"), ("out", "out")]


class BoxesAndLinkages(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        runner = virtual_scheduler()
        self.parts = [component(name=f"part{number}") for number in range(PARTS)]
        for part in self.parts:
            part.scheduler = runner  # known to it, so that it can be woken; never run
        self.office = postoffice()
        self.wires: dict[linkage, Key] = {}
        self.target: dict[Key, Key] = {}
        self.waiting: dict[Key, list[int]] = {}
        self.size: dict[Key, int | None] = {}
        self.wants_room: set[Key] = set()
        for number in range(PARTS):
            for name in ("inbox", "control"):
                self.waiting[number, "in", name] = []
                self.size[number, "in", name] = None
        self.counter = 0

    # ---- the model

    def final(self, key: Key) -> Key:
        while key in self.target:
            key = self.target[key]
        return key

    def full(self, key: Key) -> bool:
        size = self.size.get(key)
        return size is not None and len(self.waiting[key]) >= size

    def leads_to(self, key: Key, goal: Key) -> bool:
        while key != goal and key in self.target:
            key = self.target[key]
        return key == goal

    def box(self, key: Key) -> Inbox | Outbox:
        part = self.parts[key[0]]
        return part.inboxes[key[2]] if key[1] == "in" else part.outboxes[key[2]]

    def expected_refusal(self, source: Key, sink: Key) -> type[Exception] | None:
        if source in self.target:
            return BoxAlreadyLinkedToDestination
        if self.leads_to(sink, source):
            return LinkageCycle
        final = self.final(sink)
        moving = self.waiting.get(source, [])
        size = self.size.get(final)
        if moving and size is not None and len(moving) + len(self.waiting[final]) > size:
            return noSpaceInBox
        return None

    # ---- what may happen

    @rule(source=outboxes, sink=inboxes)
    def link_out_to_in(self, source: Key, sink: Key) -> None:
        self.link(source, sink)

    @rule(source=inboxes, sink=inboxes)
    def link_in_to_in(self, source: Key, sink: Key) -> None:
        self.link(source, sink)

    @rule(source=outboxes, sink=outboxes)
    def link_out_to_out(self, source: Key, sink: Key) -> None:
        self.link(source, sink)

    def link(self, source: Key, sink: Key) -> None:
        arguments = (
            (self.parts[source[0]], source[2]),
            (self.parts[sink[0]], sink[2]),
            KINDS.index((source[1], sink[1])),
        )
        refusal = self.expected_refusal(source, sink)
        if refusal is not None:
            with pytest.raises(refusal):
                self.office.link(*arguments)
            return
        self.wires[self.office.link(*arguments)] = source
        self.target[source] = sink
        moving = self.waiting.get(source)
        if moving:
            self.waiting[self.final(sink)] += moving
            self.waiting[source] = []

    @precondition(lambda self: self.wires)
    @rule(data=st.data())
    def unlink(self, data: st.DataObject) -> None:
        wire = data.draw(st.sampled_from(list(self.wires)))
        self.office.unlink(thelinkage=wire)
        del self.target[self.wires.pop(wire)]

    @rule(number=part_numbers)
    def unlink_component(self, number: int) -> None:
        self.office.unlink(thecomponent=self.parts[number])
        for wire, source in list(self.wires.items()):
            if number in (source[0], self.target[source][0]):
                del self.wires[wire]
                del self.target[source]

    @rule(source=outboxes, times=st.integers(1, 4))
    def send(self, source: Key, times: int) -> None:
        for _ in range(times):
            self.send_one(source)

    def send_one(self, source: Key) -> None:
        self.counter += 1
        sender = self.parts[source[0]]
        final = self.final(source)
        if self.full(final):
            with pytest.raises(noSpaceInBox) as refused:
                sender.send(self.counter, source[2])
            assert refused.value.args == (len(self.waiting[final]), self.size[final])
            self.wants_room.add(source)
            sender._asleep = lambda _: None
            return
        self.sleep_all_but(sender)
        sender.send(self.counter, source[2])
        if final[1] == "in":
            self.waiting[final].append(self.counter)
            assert not self.parts[final[0]].asleep

    @rule(sink=inboxes)
    def deliver(self, sink: Key) -> None:
        self.counter += 1
        final = self.final(sink)
        if self.full(final):
            with pytest.raises(noSpaceInBox):
                self.parts[sink[0]]._deliver(self.counter, sink[2])
        else:
            self.parts[sink[0]]._deliver(self.counter, sink[2])
            self.waiting[final].append(self.counter)

    @rule(sink=inboxes)
    def recv(self, sink: Key) -> None:
        receiver = self.parts[sink[0]]
        if self.waiting[sink]:
            assert receiver.recv(sink[2]) == self.waiting[sink].pop(0)
        else:
            with pytest.raises(IndexError):
                receiver.recv(sink[2])

    @rule(sink=inboxes, size=st.sampled_from([None, 0, 1, 2]))
    def set_size(self, sink: Key, size: int | None) -> None:
        self.parts[sink[0]].setInboxSize(sink[2], size)
        self.size[sink] = size

    @rule(source=outboxes)
    def ask(self, source: Key) -> None:
        final = self.final(source)
        assert self.box(source).isFull() == self.full(final)
        assert len(self.box(source)) == len(self.waiting.get(final, []))

    def sleep_all_but(self, awake: component) -> None:
        for part in self.parts:
            part._asleep = None if part is awake else lambda _: None

    # ---- what must hold

    @invariant()
    def every_box_holds_what_the_model_says(self) -> None:
        for key, messages in self.waiting.items():
            box = self.box(key)
            assert isinstance(box, Inbox)
            assert list(box.q) == messages
            part = self.parts[key[0]]
            assert part.dataReady(key[2]) == len(messages)
            assert box.isFull() == self.full(self.final(key))

    @invariant()
    def every_outbox_leads_where_the_model_says(self) -> None:
        for number, part in enumerate(self.parts):
            for name, box in part.outboxes.items():
                assert isinstance(box, Outbox)
                assert box.final() is self.box(self.final((number, "out", name)))

    @invariant()
    def nobody_sleeps_who_waits_for_room_that_is_there(self) -> None:
        for source in list(self.wants_room):
            if not self.parts[source[0]].asleep:
                self.wants_room.discard(source)
            else:
                assert self.full(self.final(source))


BoxesAndLinkages.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestBoxesAndLinkages = BoxesAndLinkages.TestCase
