"""Readiness of file descriptors as messages: once each, whatever becomes of the descriptor."""

import os
import socket
from pathlib import Path

import pytest

from Axon.Component import component
from Axon.CoordinatingAssistantTracker import coordinatingassistanttracker
from Axon.Ipc import producerFinished, shutdown, shutdownMicroprocess
from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
from Kamaelia.Internet.Selector import Selector
from Kamaelia.IPC import (
    newExceptional,
    newReader,
    newWriter,
    removeExceptional,
    removeReader,
    removeWriter,
)
from Test.Kamaelia.network import Script, Silent, World, reset
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {Selector: Ends(Selector)}


class Asker(Silent):
    Inboxes = {"inbox": "object: unused", "ready": "object: what is ready", "write": "object: too"}
    Outboxes = {"outbox": "notify: what to watch"}

    def ask(self, message: object) -> None:
        self.send(message, "outbox")

    def answers(self, box: str = "ready") -> list[object]:
        return list(self.Inbox(box))


def start(world: World) -> tuple[Selector, Asker]:
    selector, asker = Selector(), Asker()
    asker.link((asker, "outbox"), (selector, "notify"))
    world.run(selector, asker)
    return selector, asker


def pair(world: World) -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return world.keep(ours), world.keep(theirs)


def test_a_reader_is_told_once_and_may_ask_again(world: World) -> None:
    def script() -> Script:
        _selector, asker = start(world)
        ours, theirs = pair(world)
        for _ in range(3):
            asker.ask(newReader(asker, ((asker, "ready"), ours)))
            yield from world.settle()
            assert asker.answers() == []
            theirs.send(b"x")
            yield from world.until(lambda: asker.dataReady("ready"))
            yield from world.settle()
            assert asker.answers() == [ours]
            assert not world.waiter.busy
            theirs.send(b"x")  # nobody asked
            yield from world.settle()
            assert asker.answers() == []
            ours.recv(10)

    world.play(script())


def test_reader_and_writer_of_one_socket_are_told_each_by_itself(world: World) -> None:
    def script() -> Script:
        _selector, asker = start(world)
        ours, theirs = pair(world)
        asker.ask(newReader(asker, ((asker, "ready"), ours)))
        asker.ask(newWriter(asker, ((asker, "write"), ours)))
        yield from world.settle()
        assert asker.answers("write") == [ours]
        assert asker.answers("ready") == []
        theirs.send(b"x")
        yield from world.until(lambda: asker.dataReady("ready"))
        assert asker.answers("write") == []

    world.play(script())


def test_urgent_data_is_told(world: World) -> None:
    def script() -> Script:
        _selector, asker = start(world)
        ours, theirs = world.tcp_pair()
        world.keep(ours)
        asker.ask(newExceptional(asker, ((asker, "ready"), ours)))
        theirs.send(b"not urgent")
        yield from world.settle()
        assert asker.answers() == []
        theirs.send(b"!", socket.MSG_OOB)
        yield from world.until(lambda: asker.dataReady("ready"))

    world.play(script())


@pytest.mark.parametrize(
    ("new", "remove"),
    [
        (newReader, removeReader),
        (newWriter, removeWriter),
        (newExceptional, removeExceptional),
    ],
)
def test_what_was_withdrawn_is_not_told(world: World, new: type, remove: type) -> None:
    def script() -> Script:
        _selector, asker = start(world)
        ours, theirs = world.tcp_pair()
        world.keep(ours)
        asker.ask(new(asker, ((asker, "ready"), ours)))
        asker.ask(remove(asker, ours))
        asker.ask(remove(asker, ours))  # no harm
        theirs.send(b"!", socket.MSG_OOB)
        yield from world.settle()
        assert asker.answers() == []
        assert not world.waiter.busy

    world.play(script())


def test_withdrawing_one_kind_leaves_the_other(world: World) -> None:
    def script() -> Script:
        _selector, asker = start(world)
        ours, theirs = pair(world)
        asker.ask(newReader(asker, ((asker, "ready"), ours)))
        asker.ask(newWriter(asker, ((asker, "write"), ours)))
        asker.ask(removeWriter(asker, ours))
        theirs.send(b"x")
        yield from world.until(lambda: asker.dataReady("ready"))
        assert asker.answers("write") == []

    world.play(script())


def test_a_plain_number_will_do(world: World) -> None:
    def script() -> Script:
        _selector, asker = start(world)
        ours, theirs = pair(world)
        high = os.dup2(ours.fileno(), 300)  # above the numbers of which Python keeps one object
        asker.ask(newReader(asker, ((asker, "ready"), high)))
        theirs.send(b"x")
        yield from world.until(lambda: asker.dataReady("ready"))
        assert asker.answers() == [300]
        asker.ask(newReader(asker, ((asker, "ready"), int("300"))))
        asker.ask(removeReader(asker, int("300")))
        yield from world.settle()
        assert asker.answers() == []
        os.close(high)

    world.play(script())


@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_lost_peer_is_told_to_reader_and_writer(world: World, how: str) -> None:
    def script() -> Script:
        _selector, asker = start(world)
        ours, theirs = world.tcp_pair()
        world.keep(ours)
        asker.ask(newReader(asker, ((asker, "ready"), ours)))
        (reset if how == "reset" else socket.socket.close)(theirs)
        yield from world.until(lambda: asker.dataReady("ready"))
        asker.ask(newWriter(asker, ((asker, "write"), ours)))
        yield from world.until(lambda: asker.dataReady("write"))

    world.play(script())


def test_a_closed_socket_is_told_at_once_and_kills_nobody(world: World) -> None:
    def script() -> Script:
        selector, asker = start(world)
        ours, _theirs = pair(world)
        ours.close()
        asker.ask(newReader(asker, ((asker, "ready"), ours)))
        yield from world.until(lambda: asker.dataReady("ready"))
        asker.ask(removeReader(asker, ours))
        yield from world.settle()
        assert selector in world.scheduler.threads

    world.play(script())


def test_files_are_always_ready_even_closed_ones(world: World, tmp_path: Path) -> None:
    def script() -> Script:
        _selector, asker = start(world)
        with (tmp_path / "file").open("w") as file:
            asker.ask(newWriter(asker, ((asker, "write"), file)))
            yield from world.until(lambda: asker.dataReady("write"))
        asker.ask(newReader(asker, ((asker, "ready"), file)))
        yield from world.until(lambda: asker.dataReady("ready"))
        assert asker.answers() == asker.answers("write") == [file]

    world.play(script())


def test_a_socket_that_takes_the_number_of_a_closed_one_is_another(world: World) -> None:
    def script() -> Script:
        _selector, asker = start(world)
        one, _peer = pair(world)
        asker.ask(newReader(asker, ((asker, "ready"), one)))
        yield from world.settle()
        number = one.fileno()
        one.close()
        two, peer = pair(world)
        assert two.fileno() == number
        asker.ask(newWriter(asker, ((asker, "write"), two)))
        yield from world.until(lambda: asker.dataReady("write"))
        peer.send(b"x")
        yield from world.settle()
        assert asker.answers() == []  # that was about the other

    world.play(script())


def test_a_late_withdrawal_does_not_hit_the_next_owner_of_the_number(world: World) -> None:
    def script() -> Script:
        _selector, asker = start(world)
        one, _peer = pair(world)
        asker.ask(newReader(asker, ((asker, "ready"), one)))
        yield from world.settle()
        number = one.fileno()
        one.close()
        ours, peer = socket.socketpair()
        world.keep(peer)
        assert ours.fileno() == number
        adapter, owner = ConnectedSocketAdapter(ours), Silent()
        owner.link((adapter, "outbox"), (owner, "inbox"))
        world.run(adapter)
        yield from world.settle()
        asker.ask(removeReader(asker, one))
        yield from world.settle()
        peer.send(b"x")
        yield from world.until(lambda: owner.dataReady("inbox"))

    world.play(script())


def test_a_full_box_is_told_when_it_has_room(world: World) -> None:
    def script() -> Script:
        _selector, asker = start(world)
        asker.setInboxSize("ready", 1)
        (one, peer), (two, other) = pair(world), pair(world)
        for each in (one, two):
            asker.ask(newReader(asker, ((asker, "ready"), each)))
        peer.send(b"x")
        other.send(b"x")
        yield from world.settle()
        first = asker.recv("ready")
        yield from world.until(lambda: asker.dataReady("ready"))
        assert {first, asker.recv("ready")} == {one, two}

    world.play(script())


def test_waiting_costs_no_turns(real_time_world: World) -> None:
    world = real_time_world

    def script() -> Script:
        _selector, asker = start(world)
        ours, _theirs = pair(world)
        asker.ask(newReader(asker, ((asker, "ready"), ours)))
        yield from world.settle()
        waits = world.waiter.waits
        yield from world.rest(0.2)
        assert world.waiter.waits - waits < 5

    world.play(script())


# ---- finding it, and its end


def test_one_is_made_and_then_found_by_everybody() -> None:
    tracker = coordinatingassistanttracker()
    (selector, notify_box), (same, control_box), new = Selector.getSelectorServices(tracker)
    assert selector is same is new
    assert (notify_box, control_box) == ("notify", "control")
    assert Selector.getSelectorServices(tracker) == (
        (selector, "notify"),
        (selector, "control"),
        None,
    )


def test_without_a_tracker_it_is_that_of_the_process() -> None:
    (selector, _box), _control, new = Selector.getSelectorServices()
    try:
        assert new is selector
        tracker = coordinatingassistanttracker.getcat()
        assert tracker.retrieveService("selector") == (selector, "notify")
    finally:
        selector.stop()
    assert "selector" not in tracker.servicesRegistered()


def test_one_may_be_set() -> None:
    tracker, selector = coordinatingassistanttracker(), Selector()
    Selector.setSelectorServices(selector, tracker)
    assert Selector.getSelectorServices(tracker)[0] == (selector, "notify")


@pytest.mark.parametrize("message", [shutdown(), producerFinished(), shutdownMicroprocess()])
def test_it_ends_when_told_and_takes_itself_off_the_tracker(world: World, message: object) -> None:
    tracker = coordinatingassistanttracker()

    def script() -> Script:
        selector, asker = start(world)
        Selector.setSelectorServices(selector, tracker)
        owner = component()
        owner.link((selector, "signal"), (owner, "inbox"))
        ours, _theirs = pair(world)
        asker.ask(newReader(asker, ((asker, "ready"), ours)))
        asker.ask("what it does not understand")
        yield from world.settle()
        selector.inboxes["control"].deliver("nor this")
        selector.inboxes["control"].deliver(message)
        yield from world.until(lambda: selector not in world.scheduler.threads)
        assert owner.recv("inbox") is message
        assert tracker.servicesRegistered() == []
        assert not world.waiter.busy

    world.play(script())


def test_its_end_leaves_the_services_of_another_alone() -> None:
    tracker, one, two = coordinatingassistanttracker(), Selector(), Selector()
    Selector.setSelectorServices(one, tracker)
    tracker.zap()
    Selector.setSelectorServices(two, tracker)
    one.stop()
    assert tracker.retrieveService("selector") == (two, "notify")


def test_asked_before_it_is_active_nothing_is_watched_by_anybody() -> None:
    selector, asker = Selector(), Asker()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        selector._handle(newReader(asker, ((asker, "ready"), ours)))
        assert not selector._watched
