"""Protocols whose boxes are made late: what is linked with them, when, and how fast they end."""

from collections.abc import Callable, Iterator

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished
from Kamaelia.Chassis.ConnectedServer import ServerCore
from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
from Kamaelia.IPC import socketShutdown
from Test.Kamaelia.network import Script, World


class Late(component):
    """Sends back what comes; at b"bye" it says that it is over, and notes what became of the
    socket in that moment."""

    lazy_boxes = True
    announces_end = False

    def __init__(self, **_peer: object) -> None:
        super().__init__()
        self.adapter: ConnectedSocketAdapter | None = None
        self.closed_at_once: bool | None = None
        self.told: list[object] = []

    def main(self) -> Iterator[object]:
        while not self.told:
            for data in self.Inbox("inbox"):
                self.send(data, "outbox")
                if data == b"bye":
                    self.send(producerFinished(self), "signal")
                    assert self.adapter is not None
                    self.closed_at_once = self.adapter.closed
                    return
            control = dict.get(self.inboxes, "control")
            while control is not None and control.q:
                self.told.append(control.q.popleft())
            if not self.told:
                self.pause()
            yield 1


class WithLastWords(Late):
    announces_end = True

    def last_words(self) -> bytes:
        return b"sorry"


def serve(world: World, kind: Callable[[], Late]) -> tuple[ServerCore, list[Late]]:
    made: list[Late] = []

    def protocol(**_peer: object) -> Late:
        made.append(kind())
        return made[-1]

    return world.serve(protocol), made


def adapter_of(server: ServerCore) -> ConnectedSocketAdapter:
    (adapter,) = server._connections
    assert isinstance(adapter, ConnectedSocketAdapter)
    return adapter


def test_an_idle_connection_has_two_boxes_on_each_side(world: World) -> None:
    def script() -> Script:
        server, made = serve(world, Late)
        client = world.connect(server)
        client.sendall(b"hello")
        assert (yield from world.receive(client, 5)) == b"hello"
        for one in (made[0], adapter_of(server)):
            assert list(dict.keys(one.inboxes)) == ["inbox"]
            assert list(dict.keys(one.outboxes)) == ["outbox"]

    world.play(script())


def test_one_that_looks_for_the_end_is_told_of_it(world: World) -> None:
    def script() -> Script:
        server, made = serve(world, Late)
        client = world.connect(server)
        client.sendall(b"hello")
        assert (yield from world.receive(client, 5)) == b"hello"
        client.close()
        yield from world.until(lambda: server.connections == 0)
        assert [type(message) for message in made[0].told] == [socketShutdown]

    world.play(script())


@pytest.mark.parametrize(("kind", "at_once"), [(Late, True), (WithLastWords, False)])
def test_who_says_that_it_is_over_sees_the_connection_closed_unless_axon_may_say_so_for_it(
    world: World, kind: type[Late], at_once: bool
) -> None:
    def script() -> Script:
        server, made = serve(world, kind)
        client = world.connect(server)
        yield from world.until(lambda: len(made) == 1)
        made[0].adapter = adapter_of(server)
        client.sendall(b"bye")
        assert (yield from world.receive_all(client)) == b"bye"
        yield from world.until(lambda: server.connections == 0)
        assert made[0].closed_at_once is at_once

    world.play(script())


def test_to_look_at_all_boxes_links_them_and_changes_nothing(world: World) -> None:
    def script() -> Script:
        server, made = serve(world, Late)
        client = world.connect(server)
        yield from world.until(lambda: len(made) == 1)
        adapter = adapter_of(server)
        made[0].adapter = adapter
        for one in (made[0], adapter):
            assert len(list(one.inboxes.values()) + list(one.outboxes.values())) >= 4
        assert adapter.outboxes["CreatorFeedback"].target is made[0].inboxes["control"]
        assert made[0].outboxes["signal"].target is adapter.inboxes["control"]
        client.sendall(b"bye")
        assert (yield from world.receive_all(client)) == b"bye"
        yield from world.until(lambda: server.connections == 0)
        assert adapter.outboxes["CreatorFeedback"].target is None
        assert made[0].outboxes["signal"].target is None

    world.play(script())
