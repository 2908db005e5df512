"""
An SMTP or LMTP server to which mail can be given, as a component
=================================================================
A thin component over the state machine in Kamaelia.Support.Protocol.SMTP.ClientSession. All that
SMTP says is said there; what is here is boxes, a connection, encryption, flow control and time.

It connects at the first command that needs a server, and again when a session has ended and
another MAIL comes, so that an owner need not care for connections.

Example Usage
-------------
Give one mail to a server that is made for the purpose, and see what it answers::

    import socket
    import threading

    from Axon.Component import component
    from Kamaelia.Protocol.SMTPClient import SMTPClientSession
    from Kamaelia.Support.Protocol.SMTP.Address import Path
    from Kamaelia.Support.Protocol.SMTP.ClientCommands import GiveRecipient, GiveSender
    from Kamaelia.Support.Protocol.SMTP.Events import ReplyReceived

    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with listener, listener.accept()[0] as client:
            for answer in (b"220 hi\\r\\n", b"250 hi\\r\\n", b"250 who\\r\\n", b"550 nobody\\r\\n"):
                client.sendall(answer)
                client.recv(1000)

    threading.Thread(target=serve, daemon=True).start()

    class Sender(component):
        def main(self):
            self.send([
                GiveSender(Path(b"a@example.org", b"a", b"example.org"), {}),
                GiveRecipient(Path(b"b@example.net", b"b", b"example.net"), {}),
            ])
            while True:
                for event in self.Inbox():
                    match event:
                        case ReplyReceived(command="RCPT", reply=reply):
                            print(reply.code, reply.text)
                            return
                self.pause()
                yield 1

    sender = Sender()
    server = SMTPClientSession("127.0.0.1", listener.getsockname()[1], "me.example.org")
    sender.link((sender, "outbox"), (server, "inbox"))
    sender.link((sender, "signal"), (server, "control"))
    server.link((server, "outbox"), (sender, "inbox"))
    server.activate()
    sender.run()

It prints::

    550 nobody

How does it work?
-----------------
The generator only sleeps and ends. Commands are carried out inside the send() that gives them, and
what the server says is read inside the call-back of its socket (see Axon.AtOnce), so a command and
its answer cost no turn here: a mail server's proxy spends most of its time on just that.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from Axon.AtOnce import act_at_once
from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Microprocess import microprocess
from Axon.Timers import Timer
from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Internet.TCPClient import TCPClient
from Kamaelia.Support.Data.Seldom import Seldom
from Kamaelia.Support.Protocol.SMTP.ClientCommands import (
    Abandoned,
    ClientCommand,
    ClientTimes,
    GiveAuth,
    GiveSender,
    Greet,
)
from Kamaelia.Support.Protocol.SMTP.ClientGreeting import TLSPolicy
from Kamaelia.Support.Protocol.SMTP.ClientSession import ClientSession
from Kamaelia.Support.Protocol.SMTP.Events import (
    ClientEvent,
    FailReason,
    Ready,
    ReplyReceived,
    SessionFailed,
    TLSWanted,
)

log = logging.getLogger(__name__)

# Messages that may wait to be sent to the server: enough to keep it busy, few enough that memory
# for each session stays at a few reads of 64 KiB.
WINDOW = 2
HELD_LIMIT = 16  # commands that may wait for the server's greeting; an owner gives two or three

_BEGINNINGS = (GiveSender, GiveAuth, Greet)  # what there has to be a connection for

Description = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class ServerAccess:
    """How to speak with one server. context: makes what to encrypt with, for each connection.
    name: what its certificate must be for, if the context checks that. complaints: what was said of
    servers that cannot encrypt; all sessions with this object say it once an hour."""

    lmtp: bool = False
    tls: TLSPolicy = TLSPolicy.OFF
    context: Callable[[], ssl.SSLContext] | None = None
    name: str | None = None
    complaints: Seldom = field(default_factory=lambda: Seldom(3600.0), compare=False, repr=False)


PLAIN = ServerAccess()


class SMTPClientSession(component):
    """SMTPClientSession(host, port, helo_name, times=ClientTimes(), access=ServerAccess(),
    description=None, preamble=b"") -> a server to which mail can be given.

    description: the XCLIENT attributes of whose mail it is; None: XCLIENT is not used. preamble:
    sent before anything else, for instance a PROXY header.
    Nothing is connected before the first GiveSender, GiveAuth or Greet. After a SessionFailed or an
    early refusal of a message the next of these connects anew, and what waited is forgotten. An
    owner that does not act at once on what it hears looks before it begins again."""

    Inboxes = {
        "inbox": "ClientCommand or list of ClientCommand: what is given in one list goes out"
        " together; full while the server does not take what was sent",
        "abandon": "object: drop the connection at once, a message without its dot is not mail",
        "control": "producerFinished (QUIT, then end) or shutdownMicroprocess (end)",
        "_received": "bytes: from the server",
        "_closed": "producerFinished: the connection is over",
        "_encrypted": "TLSInfo: the connection is encrypted from now on",
    }
    Outboxes = {
        "outbox": "ClientEvent: Ready, ReplyReceived or SessionFailed; Abandoned after abandon",
        "signal": "the shutdown that came in",
        "_to_server": "bytes: to the server",
        "_close": "producerFinished or shutdownMicroprocess: to the connection",
        "_encrypt": "ssl.SSLContext: to the connection",
    }

    woken_by_collection = False  # it asks for room itself
    handles_secrets = True  # passwords pass: what is said of a fault shows no variables

    def __init__(
        self,
        host: str,
        port: int,
        helo_name: str,
        times: ClientTimes | None = None,
        access: ServerAccess = PLAIN,
        description: Description | None = None,
        preamble: bytes = b"",
        **attributes: object,
    ) -> None:
        super().__init__(**attributes)
        self._host = host
        self._port = port
        self._helo_name = helo_name
        self._times = times = times or ClientTimes()
        self._access = access
        self._description = description
        self._preamble = preamble
        self._session: ClientSession | None = None
        self._connection: TCPClient | None = None
        self._unsent = b""  # what the connection had no room for
        self._held: list[ClientCommand] = []  # what was asked before the server was ready
        self._greeted = False
        self._encrypting = False
        self._in_clear = False  # encryption was wanted, tried, and failed
        self._deadline = 0.0
        self._timer: Timer | None = None
        self._look_every = min(times.connect, times.reply, times.data_block, times.final)
        for box, act in (
            ("inbox", self._obey),
            ("abandon", self._told_to_abandon),
            ("_received", self._receive),
            ("_closed", self._connection_over),
            ("_encrypted", self._now_encrypted),
        ):
            act_at_once(self, box, act)

    def main(self) -> Iterator[object]:
        stop: object = None
        while stop is None:
            stop = self.told_to_stop()
            if self._unsent and self._push(self._unsent):
                self._progress()
                self._let_go_on()
            if stop is None:
                self.pause()
            yield 1
        if isinstance(stop, producerFinished):
            yield from self._say_goodbye()
        self._drop(shutdownMicroprocess(self))
        self.send(stop, "signal")

    def stop(self) -> None:
        self._stop_looking()
        if self._connection is not None:
            self._connection.stop()
        super().stop()

    # ---- for an owner that keeps connections

    @property
    def reusable(self) -> bool:
        """Whether another client's mail can be given now, over the same connection."""
        session = self._session
        return session is not None and session.reusable and not (self._unsent or self._preamble)

    @property
    def refusals(self) -> int:
        """How often the server has said no over this connection: many lose patience at some."""
        return self._session.refusals if self._session is not None else 0

    @property
    def messages(self) -> int:
        """Messages given over this connection."""
        return self._session.messages if self._session is not None else 0

    # ---- from the server

    def _receive(self, data: bytes) -> None:
        session = self._session
        if session is None:
            return
        session.receive_data(data)
        event = session.next_event()
        if type(event) is ReplyReceived and not session.parser.unread:  # nearly always
            self.send(event, "outbox")
        else:
            self._tell_all(session, event, None)
        if self._session is session:
            if session.out:
                self._collect_output(session)
            if session.closed:
                self._drop()
            elif session.due or not session.ready:  # else nothing is waited for
                self._progress()

    def _connection_over(self, message: producerFinished) -> None:
        session = self._session
        if session is not None:
            session.receive_eof()
            self._tell_all(session, session.next_event(), message.message)
            if self._session is session and session.closed:
                self._drop()

    def _tell_all(self, session: ClientSession, event: ClientEvent | None, why: object) -> None:
        """Tell the owner of this and all that follows it, which is all read before he hears of the
        first: he may give a command at once, and what came before that is not the answer to it."""
        events = []
        while event is not None:
            events.append(event)
            event = session.next_event()
        for each in events:
            if type(each) is ReplyReceived:
                self.send(each, "outbox")
            else:
                self._tell(each, why)
            if self._session is not session:
                return

    def _tell(self, event: ClientEvent, reason: object) -> None:
        match event:
            case Ready():
                self._greeted = True
                session = self._session
                self.send(event, "outbox")
                # Its owner may have left it in that moment. And a server that has said more than it
                # was asked is failed already: its SessionFailed, next, answers for what is held.
                if session is not None and self._session is session and not session.closed:
                    held, self._held = self._held, []
                    for command in held:
                        session.say(command)
            case TLSWanted():
                self._encrypt()
            case SessionFailed(reason=FailReason.LOST, reply=None) if reason is not None:
                self._connection_failed(reason)
            case SessionFailed():
                self._tell_failed(event)

    def _connection_failed(self, reason: object) -> None:
        """The connection has ended, and we know of what."""
        if self._encrypting:
            server = self._host, self._port
            if self._access.complaints.is_due(server, self.now()):
                log.warning("no encryption with %s port %d: %s", *server, reason or "it hung up")
            if self._access.tls is TLSPolicy.MAY:
                held = self._held
                self._drop()
                self._in_clear = True
                self._connect()
                self._held = held
            else:
                self._tell_failed(SessionFailed(FailReason.TLS, None))
        else:
            why = FailReason.LOST if self._greeted else FailReason.UNREACHABLE
            self._tell_failed(SessionFailed(why, None))

    def _tell_failed(self, failed: SessionFailed) -> None:
        """The commands that wait were given before the owner could know: it will give them again,
        and a server that got them twice would answer twice."""
        self._drop()
        self.send(failed, "outbox")

    # ---- to the server

    def _obey(self, given: ClientCommand | Sequence[ClientCommand]) -> None:
        """Raises noSpaceInBox while the server does not take what it was sent; ``_let_go_on``
        tells."""
        if self._unsent:
            raise noSpaceInBox(1, 1)
        session = self._session
        obey: Any = session.say if session is not None and session.ready else self._hold
        for command in given if isinstance(given, (list, tuple)) else (given,):
            obey(command)
        session = self._session
        if session is not None and session.out:
            self._collect_output(session)

    def _hold(self, command: ClientCommand) -> None:
        """There is no connection yet, or it is not ready."""
        if self._session is None and isinstance(command, _BEGINNINGS):
            self._connect()
        session = self._session
        if session is None or session.closed:
            return  # for a session that has failed: its owner has been told
        if len(self._held) < HELD_LIMIT:
            self._held.append(command)
            return
        why = "more than %d commands before the greeting of %s port %d: given up"
        log.error(why, HELD_LIMIT, self._host, self._port)
        self._drop(shutdownMicroprocess(self))
        self.send(SessionFailed(FailReason.LOST, None), "outbox")

    def _collect_output(self, session: ClientSession) -> None:
        data, session.out = session.out, b""
        self._push(self._unsent + data if self._unsent else data)
        self._progress()

    def _push(self, data: bytes) -> bool:
        """Send; False if the connection has no room (we are woken when it has)."""
        try:
            self.send(data, "_to_server")
            self._unsent = b""
        except noSpaceInBox:
            self._unsent = data
            return False
        return True

    def _let_go_on(self) -> None:
        """There is room again for those who wait for it."""
        inbox = self.inboxes["inbox"]
        if inbox.waiters:
            inbox.collected()

    # ---- the connection

    def _connect(self) -> None:
        connection = TCPClient(
            self._host,
            self._port,
            connect_timeout=self._times.connect,
            inbox_limit=WINDOW,
            server_hostname=self._access.name,
        )
        self.link((connection, "outbox"), (self, "_received"))
        self.link((connection, "signal"), (self, "_closed"))
        self.link((self, "_to_server"), (connection, "inbox"))
        self.link((self, "_close"), (connection, "control"))
        if self._access.context is not None:
            self.link((self, "_encrypt"), (connection, "makessl"))
            self.link((connection, "sslready"), (self, "_encrypted"))
        self.addChildren(connection)
        connection.call_on_close(lambda: self.removeChild(connection))
        connection.isolate(self._connection_broken)
        connection.activate(Scheduler=self.scheduler)
        self._connection = connection
        self._session = ClientSession(
            self._helo_name,
            lmtp=self._access.lmtp,
            tls=TLSPolicy.OFF if self._in_clear else self._access.tls,
            description=self._description,
            preceded=bool(self._preamble),
        )
        self._in_clear = False
        self._greeted = self._encrypting = False
        if self._preamble:
            self.send(self._preamble, "_to_server")
        self._progress(self._times.connect + self._times.reply)

    def _encrypt(self) -> None:
        context = self._access.context
        if context is None:
            raise RuntimeError(f"{self.name}: encryption is wanted without a context for it")
        self._encrypting = True
        self.send(context(), "_encrypt")

    def _now_encrypted(self, info: object) -> None:
        self._encrypting = False
        session = self._session
        if session is not None:
            session.tls_started()
            if session.out:
                self._collect_output(session)

    def _drop(self, message: object = None) -> None:
        """Forget the session; its connection closes when it has sent what waits, or at once."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self.send(message or producerFinished(self), "_close")
            self.unlink(thecomponent=connection)
        self._session = None
        self._unsent = b""
        self._held = []
        self._encrypting = False
        self._stop_looking()
        self._let_go_on()

    def _connection_broken(self, culprit: microprocess, error: Exception) -> None:
        """Our fault, not the server's; to the owner it is a connection that was lost."""
        log.error("connection to %s failed in %s", self._host, culprit.name, exc_info=error)
        if self._connection is not None:
            self._connection.stop()
            if self._session is not None:
                self._connection_over(producerFinished(culprit, "internal error"))

    def _told_to_abandon(self, _: object) -> None:
        self._drop(shutdownMicroprocess(self))
        self.send(Abandoned(), "outbox")

    def _say_goodbye(self) -> Iterator[object]:
        session = self._session
        if session is None or not session.ready or self._unsent:
            return
        try:
            session.quit()
        except LocalProtocolError:
            return  # it is in the middle of something: hang up, then
        if session.out:
            self._collect_output(session)
        until = self.now() + self._times.quit
        while self._session is session and (left := until - self.now()) > 0:
            self.pause(left)
            yield 1

    # ---- time

    def _progress(self, seconds: float | None = None) -> None:
        """Something moved: what is due next has all of its time."""
        scheduler, session, times = self._axon_scheduler, self._session, self._times
        if scheduler is None:
            return
        if seconds is None:
            seconds = times.data_block if self._unsent else times.reply
            if session is not None and session.after_dot:
                seconds = times.final
        self._deadline = scheduler.clock() + seconds
        if self._timer is None:
            # Not one for each deadline: it looks often enough for the shortest of them, and a
            # command costs no timer.
            self._timer = scheduler.call_later(self._look_every, self._look_at_the_time)

    def _look_at_the_time(self) -> None:
        self._timer = None
        session = self._session
        if session is None or not (self._unsent or session.outstanding or not session.ready):
            return
        left = min(self._deadline - self.now(), self._look_every)
        if left > 0 and self.scheduler:
            self._timer = self.scheduler.call_later(left, self._look_at_the_time)
            return
        self._drop(shutdownMicroprocess(self))
        self.send(SessionFailed(FailReason.TIMEOUT, None), "outbox")

    def _stop_looking(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


__kamaelia_components__ = (SMTPClientSession,)
