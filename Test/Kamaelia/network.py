"""
What the tests of network components share: a `World`, a scheduler of a test's own on real sockets.

A test is a script, a generator that is played in that scheduler beside the components under test,
in one thread and without sleeping::

    def test_what_is_sent_comes_back(world: World) -> None:
        def script() -> Script:
            server = world.serve(Echo)
            client = world.connect(server)
            client.sendall(b"hello")
            assert (yield from world.receive(client, 5)) == b"hello"

        world.play(script())

Time is a FakeClock unless the test asks for real time, so a time-out of a minute takes no time. At
the end of every play all is stopped, and a file descriptor that is left open fails the test.
"""

import os
import socket
import struct
from collections.abc import Callable, Generator, Iterator
from time import monotonic, sleep
from typing import Any

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Axon.Testing import FakeClock
from Axon.Waiter import EpollWaiter
from Kamaelia.Chassis.ConnectedServer import ServerCore
from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter

PATIENCE_SECONDS = 15.0

Script = Generator[object, None, Any]


class Echo(component):
    """A protocol that answers all with the same, and finishes when it is told to."""

    Outboxes = {"outbox": "bytes: what came", "signal": "the shutdown that came in"}

    def main(self) -> Iterator[object]:
        while True:
            for data in self.Inbox("inbox"):
                yield from self.put(data)
            for message in self.Inbox("control"):
                if isinstance(message, producerFinished | shutdownMicroprocess):
                    self.send(message, "signal")
                    return
            if not self.anyReady():
                self.pause()
            yield 1


class Silent(component):
    """Takes nothing out of its inboxes; a test does that for it, with recv()."""

    def main(self) -> Iterator[object]:
        while True:
            self.pause()
            yield 1


class Greeter(component):
    """Says something and ends, without a word on its signal."""

    def __init__(self, text: bytes, **peer: object) -> None:
        super().__init__(**peer)
        self.text = text

    def main(self) -> Script:
        self.send(self.text, "outbox")
        yield 1


class Mute(component):
    """Has no boxes for shutdowns at all, and never ends by itself."""

    Inboxes = {"inbox": "bytes: sent back"}
    Outboxes = {"outbox": "bytes: what came"}

    def main(self) -> Script:
        while True:
            for data in self.Inbox("inbox"):
                self.send(data, "outbox")
            self.pause()
            yield 1


class CountingWaiter(EpollWaiter):
    """Knows how often it was asked to wait: a program that spins asks without end."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0

    def wait(self, timeout: float | None, has_calls: Callable[[], bool]) -> bool:
        self.waits += 1
        return super().wait(timeout, has_calls)

    def watched(self) -> set[int]:
        """File descriptors that are registered now."""
        return set(self._callbacks)


class _Play(microprocess):
    """Runs the script; when it is over, all is."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self.script = script
        self.deadline = monotonic() + PATIENCE_SECONDS

    def main(self) -> Iterator[object]:
        for turn, step in enumerate(self.script):
            if monotonic() > self.deadline:
                raise AssertionError(f"waited {PATIENCE_SECONDS} seconds for nothing")
            if turn % 64 == 63:
                # While this loop polls, it gives the interpreter up too shortly for a thread to
                # get hold of it: a server in one, as tests have, would starve.
                sleep(0.000_2)
            yield step
        assert self.scheduler
        self.scheduler.stop()


class World:
    """World(clock=FakeClock()) -> a scheduler, its clock, and sockets that are closed at the end.

    clock None: real time.
    """

    def __init__(self, clock: FakeClock | None) -> None:
        self.waiter = CountingWaiter()
        self.scheduler = scheduler(waiter=self.waiter)
        if clock is not None:
            self.scheduler.clock = clock
            clock.attach(self.scheduler)
        self.sockets: list[socket.socket] = []
        self._play: _Play | None = None

    def play(self, script: Script) -> None:
        self._play = _Play(script)
        self._play.activate(Scheduler=self.scheduler)
        self.scheduler.runThreads()

    def run(self, *components: component) -> None:
        for each in components:
            each.activate(Scheduler=self.scheduler)

    def close(self) -> None:
        if self.scheduler.threads:  # the script failed
            self.scheduler.stop()
            self.scheduler.runThreads()
        for each in self.sockets:
            each.close()
        self.waiter.close()

    # ---- making things

    def keep(self, sock: socket.socket) -> socket.socket:
        """Have a socket closed at the end of the test."""
        self.sockets.append(sock)
        return sock

    def serve(
        self,
        protocol: Callable[..., object],
        kind: type[ServerCore] = ServerCore,
        host: str = "127.0.0.1",
        **settings: object,
    ) -> ServerCore:
        server = kind(protocol=protocol, host=host, port=0, **settings)
        self.run(server)
        return server

    def connect(self, server: ServerCore | tuple[str, int]) -> socket.socket:
        address = server.address if isinstance(server, ServerCore) else server
        client = self.keep(socket.create_connection(address[:2], timeout=PATIENCE_SECONDS))
        client.setblocking(False)
        return client

    def tcp_pair(self, receive_buffer: int | None = None) -> tuple[socket.socket, socket.socket]:
        """Two connected TCP sockets; the first is the component's to close."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            theirs = self.keep(socket.socket())
            if receive_buffer is not None:
                theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            theirs.connect(listener.getsockname())
            ours, _ = listener.accept()
        theirs.setblocking(False)
        return ours, theirs

    def adapter(
        self,
        kind: type[ConnectedSocketAdapter] = ConnectedSocketAdapter,
        receive_buffer: int | None = None,
        **settings: object,
    ) -> tuple[ConnectedSocketAdapter, socket.socket, Silent]:
        """An active adapter, the socket of its peer, and the component that its boxes lead to.

        The adapter's outbox leads to inbox, its CreatorFeedback and signal to control of that.
        """
        ours, theirs = self.tcp_pair(receive_buffer)
        made = kind(ours, **settings)
        owner = Silent()
        owner.link((made, "outbox"), (owner, "inbox"))
        owner.link((made, "CreatorFeedback"), (owner, "control"))
        owner.link((made, "signal"), (owner, "control"))
        self.run(owner, made)
        return made, theirs, owner

    # ---- what a script waits for

    def until(self, condition: Callable[[], object]) -> Script:
        while not condition():
            yield 1

    def settle(self) -> Script:
        """Until everybody had turns, and the sockets were looked at a number of times."""
        until = self.waiter.waits + 20
        for _ in range(20_000):
            if self.waiter.waits >= until:
                break
            yield 1

    def rest(self, seconds: float) -> Script:
        """Let the scheduler block, in real time: nobody is awake."""
        assert self._play is not None
        until = monotonic() + seconds
        while (left := until - monotonic()) > 0:
            self._play.pause(left)
            yield 1

    def receive(self, sock: socket.socket, count: int) -> Script:
        """The next so many bytes; fewer if the peer sends no more."""
        parts: list[bytes] = []
        while count:
            try:
                part = sock.recv(min(count, 1 << 20))
            except BlockingIOError:
                yield 1
                continue
            if not part:
                break
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def receive_all(self, sock: socket.socket) -> Script:
        return (yield from self.receive(sock, 1 << 40))

    def fill(self, sock: socket.socket, limit: int = 1 << 30) -> Script:
        """Send until the other end takes no more, however long one waits; the number of bytes."""
        sent = 0
        chunk = bytes(range(256)) * 256
        stuck_since = self.waiter.waits
        while sent < limit and self.waiter.waits < stuck_since + 100:
            try:
                # What the other end sees is the same pattern, wherever a send was cut.
                sent += sock.send(chunk[sent % 256 :])
                stuck_since = self.waiter.waits
            except BlockingIOError:
                yield 1
        return sent


def reset(sock: socket.socket) -> None:
    """Close with a reset instead of a proper end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - no paths are wanted, only how many


def ended(server: ServerCore) -> bool:
    return server.scheduler is None or server not in server.scheduler.threads


def answers(world: World, server: ServerCore) -> Script:
    """A new client is served."""
    client = world.connect(server)
    client.sendall(b"still there?")
    assert (yield from world.receive(client, 12)) == b"still there?"
    client.close()
    yield from world.until(lambda: server.connections == 0)


def pattern(size: int) -> bytes:
    """Bytes in which a lost, doubled or swapped piece shows."""
    return (b"".join(b"%08x" % number for number in range(size // 8 + 1)))[:size]


def send_to(adapter: ConnectedSocketAdapter, message: object) -> None:
    adapter.inboxes["inbox"].deliver(message)


def tell(adapter: ConnectedSocketAdapter, message: object) -> None:
    adapter.inboxes["control"].deliver(message)


def taken(owner: Silent, box: str = "inbox") -> list[object]:
    return list(owner.Inbox(box))
