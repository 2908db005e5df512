"""Connections that say nothing are dropped, and only those."""

import pytest

from Axon.Testing import FakeClock
from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
from Kamaelia.Internet.TCPServer import TCPServer
from Kamaelia.Internet.TimeOutCSA import NoActivityTimeout
from Test.Kamaelia.network import Echo, Script, World


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
