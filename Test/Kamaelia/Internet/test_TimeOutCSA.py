"""Connections that say nothing are dropped, and only those; other components are told to finish."""

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock, harness
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
from Kamaelia.Internet.TCPServer import TCPServer
from Kamaelia.Internet.TimeOutCSA import (
    ActivityMonitor,
    ExtendedInactivity,
    InactivityChassis,
    NoActivityTimeout,
    ResettableSender,
)
from Kamaelia.IPC import shutdownCSA, socketShutdown
from Kamaelia.Util.PassThrough import PassThrough
from Test.Kamaelia.network import Echo, Script, Silent, World
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    ActivityMonitor: Ends(ActivityMonitor),
    ResettableSender: Ends(ResettableSender, turns=2),  # it says so once, after its five seconds
}


class PatientTCPServer(TCPServer):
    CSA = NoActivityTimeout(ConnectedSocketAdapter, timeout=60)


def test_a_silent_client_is_dropped_and_a_talking_one_is_not(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        server = world.serve(Echo, TCPS=PatientTCPServer)
        silent, talking = world.connect(server), world.connect(server)
        yield from world.until(lambda: server.connections == 2)
        for _ in range(3):
            clock.advance(30)
            talking.sendall(b"x")
            assert (yield from world.receive(talking, 1)) == b"x"
        yield from world.until(lambda: server.connections == 1)
        assert (yield from world.receive_all(silent)) == b""
        clock.advance(59)
        yield from world.settle()
        assert server.connections == 1
        clock.advance(1)
        assert (yield from world.receive_all(talking)) == b""

    world.play(script())


def test_sending_is_activity_too(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        adapter, peer, owner = world.adapter(NoActivityTimeout(timeout=10))
        yield from world.settle()
        for _ in range(3):
            clock.advance(9)
            adapter.inboxes["inbox"].deliver(b"x")
            assert (yield from world.receive(peer, 1)) == b"x"
        clock.advance(10)
        yield from world.until(lambda: adapter.closed)
        assert adapter.reason == "inactive"
        yield from world.until(lambda: owner.dataReady("control") == 2)
        assert owner.recv("control").message[1] == "inactive"

    world.play(script())


def test_bytes_that_the_peer_does_not_take_are_no_activity(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        adapter, _peer, _owner = world.adapter(NoActivityTimeout(timeout=10))
        adapter.inboxes["inbox"].deliver(bytes(16 << 20))
        yield from world.settle()
        clock.advance(5)
        adapter.inboxes["inbox"].deliver(b"more")  # waits behind the rest
        yield from world.settle()
        clock.advance(5)
        yield from world.until(lambda: adapter.closed)
        assert adapter.reason == "inactive"

    world.play(script())


def test_a_class_of_one_s_own_may_be_given() -> None:
    class Mine(ConnectedSocketAdapter):
        pass

    made = NoActivityTimeout(Mine, timeout=3)
    assert issubclass(made, Mine)
    assert made.inactivity_timeout == 3
    assert made.__name__ == "MineWithTimeout"
    assert Mine.inactivity_timeout is None


@pytest.mark.parametrize("seconds", [0, -1])
def test_no_time_at_all_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="time-out"):
        NoActivityTimeout(timeout=seconds)


# ---- components that are no connections


def test_a_monitor_hands_on_and_shows_all_that_passes() -> None:
    with harness(ActivityMonitor()) as h:
        for number, name in enumerate(("", "2", "3")):
            h.put(number, f"inbox{name}")
            h.expect(f"outbox{name}", number)
            h.expect("observed", number)


def test_a_monitor_s_full_outbox_holds_its_own_inbox_only() -> None:
    with harness(ActivityMonitor()) as h:
        h.limit(0, "outbox")
        h.put("held", "inbox")
        h.put("free", "inbox2")
        h.expect("outbox2", "free")
        h.expect_nothing("outbox")
        h.limit(None, "outbox")
        h.expect("outbox", "held")


def test_a_monitor_does_not_wait_for_those_who_only_watch() -> None:
    with harness(ActivityMonitor()) as h:
        h.limit(1, "observed")
        h.put_all(range(3))
        h.expect_all("outbox", [0, 1, 2])
        h.expect("observed", 0)
        h.expect_nothing("observed")


def test_a_sender_sends_once_for_each_silence() -> None:
    with harness(ResettableSender(timeout=10, message="too quiet")) as h:
        h.expect_nothing("outbox", during=9)
        h.put("activity")
        h.expect_nothing("outbox", during=9)
        h.expect("outbox", "too quiet", within=1)
        h.expect_nothing("outbox", during=100)
        h.put("activity")
        h.expect("outbox", "too quiet", within=10)
        h.finish()


def test_a_sender_s_message_and_time_have_defaults() -> None:
    with harness(ResettableSender()) as h:
        h.expect_nothing("outbox", during=4.9)
        h.expect("outbox", "NEXT", within=0.2)


def test_what_is_silent_is_told_to_finish_and_nothing_is_left_of_the_rest() -> None:
    inner = PassThrough()
    with harness(InactivityChassis(inner, timeout=10)) as h:
        for _ in range(3):
            h.run_for(9)
            h.put("hello")
            h.expect("outbox", "hello")
        h.not_ended()
        h.run_for(9)
        h.not_ended()
        h.expect("signal", producerFinished, within=1)
        h.expect_end()
        assert inner._isStopped()
        assert not h.scheduler.threads


def test_its_own_messages_are_activity_too() -> None:
    class Clock(component):
        def main(self) -> Script:
            for _ in range(5):
                due = self.now() + 9
                while self.now() < due and not self.told_to_stop():
                    self.pause(due - self.now())
                    yield 1
                if self.told_to_stop():
                    return
                self.send("tick")

    with harness(InactivityChassis(Clock(), timeout=10)) as h:
        for _ in range(5):
            h.expect("outbox", "tick", within=9)
        h.expect_end()


@pytest.mark.parametrize("kind", [producerFinished, shutdownMicroprocess])
def test_a_shutdown_goes_through_it_after_the_last_data(kind: type[object]) -> None:
    with harness(InactivityChassis(PassThrough(), timeout=10)) as h:
        h.put("last")
        h.expect("outbox", "last")
        message = kind()
        h.put(message, "control")
        h.expect("signal", message)
        h.expect_end(within=1)
        assert not h.scheduler.threads


def test_a_factory_takes_the_arguments_of_what_it_makes() -> None:
    class Named(PassThrough):
        def __init__(self, title: str, **attributes: object) -> None:
            super().__init__(**attributes)
            self.title = title

    made: Graphline = ExtendedInactivity(Named)("one", timeout=3)
    with harness(made) as h:
        h.put("x")
        h.expect("outbox", "x")
        (named,) = [child for child in made.children if isinstance(child, Named)]
        assert named.title == "one"
        h.expect_end(within=3)


@pytest.mark.parametrize("seconds", [0, -1])
def test_no_time_at_all_is_refused_for_components_too(seconds: int) -> None:
    with pytest.raises(ValueError, match="time-out"):
        InactivityChassis(PassThrough(), timeout=seconds)


def test_a_connection_in_it_is_closed_and_says_so(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        ours, peer = world.tcp_pair()
        chassis = ExtendedInactivity(ConnectedSocketAdapter)(ours, timeout=10)
        owner = Silent()
        owner.link((chassis, "outbox"), (owner, "inbox"))
        owner.link((chassis, "CreatorFeedback"), (owner, "control"))
        world.run(owner, chassis)
        for _ in range(3):
            peer.sendall(b"x")
            yield from world.until(lambda: owner.dataReady("inbox"))
            assert owner.recv("inbox") == b"x"
            clock.advance(9)
            yield from world.settle()
        chassis.inboxes["inbox"].deliver(b"hello")
        assert (yield from world.receive(peer, 5)) == b"hello"
        yield from world.settle()
        clock.advance(10)
        assert (yield from world.receive_all(peer)) == b""
        yield from world.until(lambda: owner.dataReady("control"))
        assert isinstance(owner.recv("control"), socketShutdown | shutdownCSA)
        yield from world.until(lambda: len(world.scheduler.threads) == 2)  # owner and script

    world.play(script())
