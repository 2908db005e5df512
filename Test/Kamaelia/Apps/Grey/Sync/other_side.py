"""
The other side of a Peer, played by hand: it listens, and says what the test wants it to say.

    other = Other(world, clock)
    other.tell(add(1))
    sock = yield from other.established()
    assert "<s1@example.org>" in (yield from other.line(sock))
"""

import socket
from collections.abc import Callable

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Sync.Peer import Peer
from Kamaelia.Apps.Grey.Sync.PeerNames import PeerNames
from Kamaelia.Apps.Grey.Sync.SyncSettings import SyncSettings
from Kamaelia.Internet.TCPServer import listening_socket
from Kamaelia.Support.Protocol.MXSync.Commands import Add, Command
from Test.Kamaelia.Apps.Grey.Sync.machines import free_port, names_of
from Test.Kamaelia.network import Script, World

HOST = "127.77.1.1"
GREETING = b"200 Yeah, what do you want?\n"
VERSION3 = b"803 Yes, I speak version 3, what do you think?\n"
DONE = b"201 All right, I'll do that\n"


def add(number: int) -> Add:
    return Add("192.0.2.1", f"<s{number}@example.org>", "<r@example.net>", 1_795_290_000)


class Other:
    """The other side, played by hand."""

    def __init__(
        self,
        world: World,
        clock: FakeClock,
        timeout: float = 3.0,
        names: Callable[[str], list[str]] = names_of({"mx2": [HOST]}),  # noqa: B008 - a constant
        listening: bool = True,
        **settings: str | int,
    ) -> None:
        self.world, self.clock, self.timeout = world, clock, timeout
        self.port = free_port([HOST])
        self.listener: socket.socket | None = None
        if listening:
            self.listen()
        of_all = {"port": self.port, "listen_host": "127.77.1.2", "listen_port": self.port}
        self.settings = SyncSettings((("mx2", timeout),), **(of_all | settings))  # type: ignore[arg-type]
        self.names = PeerNames(("mx2",), names)
        self.peer = Peer("mx2", self.settings, self.names, timeout, jitter=lambda: 1.0)
        world.run(self.names, self.peer)

    def listen(self) -> None:
        self.listener = self.world.keep(listening_socket((HOST, self.port)))

    def tell(self, *commands: Command) -> None:
        for command in commands:
            self.peer.inboxes["inbox"].deliver(command)

    def accept(self) -> Script:
        assert self.listener is not None
        while True:
            try:
                sock, _ = self.listener.accept()
            except BlockingIOError:
                yield 1
                continue
            sock.setblocking(False)
            return self.world.keep(sock)

    def accepts_now(self) -> bool:
        assert self.listener is not None
        try:
            self.listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def line(self, sock: socket.socket) -> Script:
        text = b""
        while not text.endswith(b"\n"):
            more = yield from self.world.receive(sock, 1)
            assert more, "it has closed the connection"
            text += more
        return text.decode()

    def established(self) -> Script:
        """A connection on which the first command has been said; and that."""
        sock = yield from self.accept()
        sock.sendall(GREETING)
        assert (yield from self.line(sock)) == "vers3\n"
        sock.sendall(VERSION3)
        return sock

    def passes(self, seconds: float) -> Script:
        yield from self.world.settle()
        self.clock.advance(seconds)
        yield from self.world.settle()

    def refuses_for_a_while(self, *pauses: float) -> Script:
        """One attempt after the other, each as soon as it may be."""
        for pause in pauses:
            yield from self.refuses(pause)
            assert not self.accepts_now()
            self.clock.advance(pause)

    def refuses(self, pause: float) -> Script:
        """One attempt that leads to that pause."""
        sock = yield from self.accept()
        sock.sendall(b"106 You have no permission to talk, go away!\n")
        yield from self.world.until(lambda: self.peer._not_before > self.clock())
        assert self.peer._not_before - self.clock() == pause
