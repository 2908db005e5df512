"""Datagram sockets: bound when wanted, never blocking, never a crash for one bad datagram."""

import errno
import logging
import socket
from itertools import pairwise

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Internet.Datagrams import DATAGRAMS_A_TURN, DatagramError, DatagramSocket
from Kamaelia.Internet.UDP import PostboxPeer, SimplePeer, UDPReceiver
from Test.Kamaelia.network import Script, Silent, World, taken
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {DatagramSocket: Ends(lambda: DatagramSocket("127.0.0.1", 0), files=True)}


def peer(world: World) -> socket.socket:
    """A plain socket on loopback, for the other end."""
    made = world.keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    made.bind(("127.0.0.1", 0))
    made.setblocking(False)
    return made


def owner_of(world: World, made: DatagramSocket, room: int | None = None) -> Silent:
    """Takes what comes out of it; its errors lie in "control"."""
    owner = Silent()
    owner.setInboxSize("inbox", room)
    owner.link((made, "outbox"), (owner, "inbox"))
    owner.link((made, "error"), (owner, "control"))
    world.run(owner, made)
    return owner


def test_what_comes_goes_out_with_its_sender(world: World) -> None:
    def script() -> Script:
        receiver = DatagramSocket("127.0.0.1", 0)
        owner = owner_of(world, receiver)
        sender = peer(world)
        for data in (b"one", b"", b"three"):
            sender.sendto(data, receiver.address)
        yield from world.until(lambda: len(owner.inboxes["inbox"]) == 3)
        assert taken(owner) == [(data, sender.getsockname()) for data in (b"one", b"", b"three")]

    world.play(script())


def test_a_port_that_is_taken_is_an_error_that_names_it() -> None:
    first, second = DatagramSocket("127.0.0.1", 0), None
    try:
        second = DatagramSocket("127.0.0.1", first.address[1])
        with pytest.raises(OSError, match=f"127.0.0.1 port {first.address[1]}: Address already"):
            _ = second.address
    finally:
        first.stop()


def test_one_that_was_never_used_has_opened_nothing() -> None:
    assert DatagramSocket("127.0.0.1", 0).sock is None


def test_a_full_receiver_is_not_overrun_and_gets_all_that_the_kernel_kept(world: World) -> None:
    def script() -> Script:
        receiver = DatagramSocket("127.0.0.1", 0)
        owner = owner_of(world, receiver, room=2)
        sender = peer(world)
        for number in range(10):
            sender.sendto(b"%d" % number, receiver.address)
        yield from world.settle()
        assert len(owner.inboxes["inbox"]) == 2
        got: list[bytes] = []
        while len(got) < 10:
            got += [message[0] for message in taken(owner)]  # type: ignore[index]
            yield 1
        assert got == [b"%d" % number for number in range(10)]

    world.play(script())


def test_nothing_is_read_while_many_wait_at_an_unlimited_receiver(world: World) -> None:
    def script() -> Script:
        receiver = DatagramSocket("127.0.0.1", 0, read_ahead=3)
        owner = owner_of(world, receiver)
        sender = peer(world)
        for _ in range(10):
            sender.sendto(b"x", receiver.address)
        yield from world.settle()
        assert len(owner.inboxes["inbox"]) == 3
        count = 0
        while count < 10:
            count += len(taken(owner))
            yield 1

    world.play(script())


@pytest.mark.parametrize(
    ("message", "number"),
    [(bytes(70_000), errno.EMSGSIZE), ("text", None), (None, None)],
    ids=["too long", "text", "nothing"],
)
def test_what_cannot_be_sent_is_told_and_the_next_goes_out(
    world: World, message: object, number: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        other = peer(world)
        made = SimplePeer("127.0.0.1", 0, *other.getsockname())
        owner = owner_of(world, made)
        for each in (message, message, b"good"):
            made.inboxes["inbox"].deliver(each)
        got = b""
        while not got:
            try:
                got = other.recv(100)
            except BlockingIOError:
                yield 1
        assert got == b"good"
        errors = taken(owner, "control")
        assert len(errors) == 2
        for error in errors:
            assert isinstance(error, DatagramError)
            assert getattr(error.error, "errno", None) == number
            assert str(other.getsockname()[1]) in str(error)

    with caplog.at_level(logging.WARNING):
        world.play(script())
    assert len(caplog.records) == 1


def test_word_that_nobody_listens_is_told_and_harms_nothing(world: World) -> None:
    def script() -> Script:
        gone = peer(world)
        address = gone.getsockname()
        gone.close()
        made = PostboxPeer("127.0.0.1", 0)
        owner = owner_of(world, made)
        made.inboxes["inbox"].deliver((*address, b"anybody?"))
        yield from world.settle()
        alive = peer(world)
        made.inboxes["inbox"].deliver((*alive.getsockname(), b"hello"))
        yield from world.settle()
        assert alive.recv(100) == b"hello"
        assert not made._isStopped()
        assert all(isinstance(e, DatagramError) for e in taken(owner, "control"))

    world.play(script())


class Reluctant(SimplePeer):
    """Its kernel takes nothing for a while."""

    full = True

    def _send_one(self, data: object, address: tuple[str, int]) -> None:
        if self.full:
            raise BlockingIOError
        super()._send_one(data, address)


def test_what_the_kernel_does_not_take_waits_and_a_finish_waits_for_it(world: World) -> None:
    def script() -> Script:
        other = peer(world)
        made = Reluctant("127.0.0.1", 0, *other.getsockname())
        owner_of(world, made)
        made.inboxes["inbox"].deliver(b"patience")
        made.inboxes["control"].deliver(producerFinished())
        yield from world.until(lambda: made.sock is not None)
        yield 1
        assert not made._isStopped()
        made.full = False
        yield from world.until(made._isStopped)
        assert other.recv(100) == b"patience"

    world.play(script())


def test_a_limit_holds_back_who_sends(world: World) -> None:
    made = SimplePeer("127.0.0.1", 0, inbox_limit=2)
    assert made.inboxes["inbox"].size == 2
    made.stop()


def test_names_are_looked_up_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    ask = socket.getaddrinfo

    def asking(*arguments: object) -> object:
        asked.append(arguments[0])
        return ask(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", asking)

    def script() -> Script:
        other = peer(world)
        made = PostboxPeer("127.0.0.1", 0)
        owner_of(world, made)
        for _ in range(3):
            made.inboxes["inbox"].deliver(("localhost", other.getsockname()[1], b"x"))
        yield from world.settle()
        assert asked == ["localhost"]
        assert other.recv(10) == b"x"

    world.play(script())


def test_ipv6_works_where_the_machine_has_it(world: World) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")

    def script() -> Script:
        receiver = UDPReceiver("::1", 0)
        try:
            host, port = receiver.address
        except OSError as error:
            pytest.skip(f"no IPv6 loopback here: {error}")
        owner = owner_of(world, receiver)
        sender = SimplePeer(receiver_addr=host, receiver_port=port)
        owner_of(world, sender)
        sender.inboxes["inbox"].deliver(b"six")
        yield from world.until(lambda: len(owner.inboxes["inbox"]))
        ((data, (came_from, _)),) = taken(owner)  # type: ignore[misc]
        assert (data, came_from) == (b"six", "::1")

    world.play(script())


def test_a_port_that_is_none_is_an_error_and_leaves_no_socket_open() -> None:
    with pytest.raises(ValueError, match="70000 is no port: 0 to 65535 are"):
        _ = DatagramSocket("127.0.0.1", 70_000).address


def test_much_to_send_leaves_turns_for_others(world: World) -> None:
    def script() -> Script:
        other = peer(world)
        made = SimplePeer("127.0.0.1", 0, *other.getsockname())
        owner_of(world, made)
        for _ in range(10 * DATAGRAMS_A_TURN):
            made.inboxes["inbox"].deliver(b"x")
        left = [made.dataReady("inbox")]
        while left[-1]:
            yield 1
            left.append(made.dataReady("inbox"))
        assert all(before - after <= DATAGRAMS_A_TURN for before, after in pairwise(left))

    world.play(script())


def test_a_shutdown_may_be_the_class_as_some_senders_forget_to_make_one(world: World) -> None:
    def script() -> Script:
        made = Reluctant("127.0.0.1", 0, *peer(world).getsockname())
        owner_of(world, made)
        made.inboxes["inbox"].deliver(b"never")
        made.inboxes["control"].deliver(shutdownMicroprocess)
        yield from world.until(made._isStopped)

    world.play(script())
