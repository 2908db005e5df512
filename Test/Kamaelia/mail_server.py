"""
What the tests of SMTPClientSession share: one that uses it, and a mail server that is played by the
test's own script, line by line and in the same thread (see network.py).
"""

import socket
import ssl
from typing import Any

from Axon.Ipc import producerFinished
from Kamaelia.Protocol.SMTPClient import SMTPClientSession
from Kamaelia.Support.Protocol.SMTP.Address import Path
from Kamaelia.Support.Protocol.SMTP.ClientCommands import GiveRecipient, GiveSender
from Kamaelia.Support.Protocol.SMTP.Events import ReplyReceived
from Test.Kamaelia.network import Script, Silent, World
from Test.Kamaelia.tls import secured, server_context

MAIL = GiveSender(Path(b"a@b", b"a", b"b"), {})
RCPT = GiveRecipient(Path(b"c@d", b"c", b"d"), {})
GREETING = b"220 mail.example.org ESMTP\r\n"


class Using:
    """A client session in a World, and what it says to its owner."""

    def __init__(self, world: World, port: int, *settings: Any, **more: Any) -> None:  # noqa: ANN401 - the session's
        self.world = world
        self.session = SMTPClientSession("127.0.0.1", port, "proxy.example.org", *settings, **more)
        self.owner = Silent()
        self.owner.link((self.session, "outbox"), (self.owner, "inbox"))
        self.owner.link((self.session, "signal"), (self.owner, "control"))
        world.run(self.owner, self.session)

    def say(self, *commands: object) -> None:
        for command in commands:
            self.session.inboxes["inbox"].deliver(command)

    def abandon(self) -> None:
        self.session.inboxes["abandon"].deliver(producerFinished())

    @property
    def has_heard(self) -> bool:
        return bool(self.owner.dataReady("inbox"))

    def hear(self) -> Script:
        yield from self.world.until(lambda: self.has_heard)
        return self.owner.recv("inbox")

    def hear_codes(self, count: int) -> Script:
        codes = []
        for _ in range(count):
            event = yield from self.hear()
            assert isinstance(event, ReplyReceived), event
            codes.append((event.command, event.reply.code))
        return codes

    def end(self, message: object) -> Script:
        self.session.inboxes["control"].deliver(message)
        yield from self.world.until(lambda: self.owner.dataReady("control"))
        assert self.owner.recv("control") is message
        yield from self.world.until(self.session._isStopped)


class Visit:
    """One connection to the played server."""

    def __init__(self, world: World, sock: socket.socket) -> None:
        self.world = world
        self.sock = sock
        self.unread = b""

    def say(self, *lines: bytes) -> None:
        self.sock.sendall(b"".join(line + b"\r\n" for line in lines))

    def hear(self, count: int = 1) -> Script:
        """So many lines, joined, with their ends; fewer if the client has hung up."""
        while self.unread.count(b"\r\n") < count:
            try:
                data = self.sock.recv(65_536)
            except (BlockingIOError, ssl.SSLWantReadError):
                yield 1
                continue
            except (ConnectionResetError, ssl.SSLError):
                data = b""
            if not data:
                break
            self.unread += data
        lines = self.unread.splitlines(keepends=True)
        self.unread = b"".join(lines[count:])
        return b"".join(lines[:count])

    def answer(self, *dialogue: tuple[bytes, list[bytes]]) -> Script:
        """Hear a line that begins like that, then say the others; and so on."""
        for expected, lines in dialogue:
            heard = yield from self.hear()
            assert heard.startswith(expected), (heard, expected)
            self.say(*lines)

    def encrypt(self, *names: str) -> Script:
        """Our end of a TLS handshake, with a certificate for these names."""
        self.sock = yield from secured(self.world, self.sock, server_context(*names))

    def is_left(self) -> Script:
        """The client says no more."""
        return (yield from self.hear()) == b""


class PlayedServer:
    """A mail server whose side of each dialogue is in the test's script."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._listener = world.keep(socket.create_server(("127.0.0.1", 0)))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]

    def accept(self, receive_buffer: int | None = None) -> Script:
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        while True:
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                yield 1
                continue
            sock.setblocking(False)
            return Visit(self.world, self.world.keep(sock))

    def greet(self, *extensions: bytes) -> Script:
        """Take a client as far as the reply to its EHLO."""
        visit = yield from self.accept()
        visit.say(GREETING[:-2])
        yield from visit.answer((b"EHLO ", ehlo(*extensions)))
        return visit

    def unwanted(self) -> Script:
        """Nobody has come whom we did not accept."""
        yield from self.world.settle()
        try:
            self._listener.accept()
        except BlockingIOError:
            return True
        return False


def ehlo(*extensions: bytes) -> list[bytes]:
    """The lines of a reply to EHLO."""
    words = [b"mail.example.org", *extensions]
    return [b"250-" + word for word in words[:-1]] + [b"250 " + words[-1]]
