"""
SMTP sessions as components
===========================
Two thin components over the two state machines in Kamaelia.Support.Protocol.SMTP. All that SMTP
says is said there; what is here is boxes, flow control and time.

SMTPServerSession speaks with a client: bytes in and out, events to whoever decides, replies from
there. SMTPClientSession speaks with a server: commands in, events out. It connects at the first
MAIL, and again when a session has ended and another MAIL comes, so that an owner need not care for
connections.

Example Usage
-------------
A mail server that takes everything and keeps nothing::

    # ends: ctrl-c
    from Axon.Component import component
    from Kamaelia.Chassis.ConnectedServer import ServerCore
    from Kamaelia.Chassis.Graphline import Graphline
    from Kamaelia.Protocol.SMTP import SMTPServerSession
    from Kamaelia.Support.Protocol.SMTP import Events
    from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
    from Kamaelia.Support.Protocol.SMTP.Replies import Reply
    from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerSession

    class Agreeable(component):
        def main(self):
            while True:
                for event in self.Inbox("inbox"):
                    match event:
                        case Events.RecipientGiven() | Events.MessageComplete():
                            self.send(Reply.of(250, "2.0.0", "fine"), "outbox")
                        case Events.DataRequested():
                            self.send(Reply.of(354, "", "go on"), "outbox")
                        case Events.SessionEnded():
                            return
                if not self.anyReady():
                    self.pause()
                yield 1


    def protocol(**peer):
        session = ServerSession("mx.example.org", capabilities=Capabilities)
        return Graphline(
            SESSION=SMTPServerSession(session),
            OWNER=Agreeable(),
            linkages={
                ("self", "inbox"): ("SESSION", "inbox"),
                ("self", "control"): ("SESSION", "control"),
                ("SESSION", "outbox"): ("self", "outbox"),
                ("SESSION", "signal"): ("self", "signal"),
                ("SESSION", "events"): ("OWNER", "inbox"),
                ("OWNER", "outbox"): ("SESSION", "replies"),
            },
        )


    ServerCore(protocol=protocol, port=2525).run()
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Microprocess import microprocess
from Kamaelia.Internet.TCPClient import TCPClient
from Kamaelia.Support.Protocol.SMTP.ClientCommands import (
    Abandoned,
    ClientCommand,
    ClientTimes,
    EndData,
    GiveRecipient,
    GiveSender,
    ResetTransaction,
    StartData,
)
from Kamaelia.Support.Protocol.SMTP.ClientSession import ClientSession
from Kamaelia.Support.Protocol.SMTP.Events import (
    ClientEvent,
    DataReceived,
    EndReason,
    FailReason,
    Ready,
    SessionEnded,
    SessionFailed,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerSession

log = logging.getLogger(__name__)

# Messages that may wait between two neighbours: enough to keep both busy, few enough that memory
# for each session stays at a few reads of 64 KiB.
WINDOW = 4

# What a client must send of a message within its time-out, or all that is left of it.
PROGRESS_BYTES = 4_096

SMALL_PIECE = 8_192  # bytes

TIMED_OUT = Reply.of(421, "4.4.2", "time-out, closing the connection")
SHUTTING_DOWN = Reply.of(421, "4.3.2", "service is shutting down, try again later")


class SMTPServerSession(component):
    """SMTPServerSession(session, greeting="ESMTP", refusal=None, timeout=300.0) -> one client's
    session.

    session: a ServerSession, not yet greeted. refusal: a Reply to give instead of a greeting.
    timeout: seconds for one command, or for one piece of a message, to arrive completely (RFC 5321,
    section 4.5.3.2.7, wants 300)."""

    Inboxes = {
        "inbox": "bytes: from the client, sliced anywhere",
        "control": "producerFinished (the client sends no more) or shutdownMicroprocess (finish the"
        " transaction, then close with 421)",
        "replies": "Reply: to the event that needs one",
    }
    Outboxes = {
        "outbox": "bytes: to the client",
        "events": "ServerEvent: in order, the last is a SessionEnded",
        "signal": "producerFinished: the session is over, close the connection",
    }

    woken_by_collection = False  # it asks isFull(), or puts

    def __init__(
        self,
        session: ServerSession,
        greeting: str = "ESMTP",
        refusal: Reply | None = None,
        timeout: float = 300.0,
        **attributes: object,
    ) -> None:
        super().__init__(**attributes)
        self._session = session
        self._greeting = greeting
        self._refusal = refusal
        self._timeout = timeout
        self._deadline = 0.0
        self._since_progress = 0
        self._shutting_down = False
        self._ended = False

    def main(self) -> Iterator[object]:
        session = self._session
        if self._refusal is not None:
            session.refuse(self._refusal)
        else:
            session.greet(self._greeting)
        self._progress()
        while True:
            for reply in self.Inbox("replies"):
                session.reply(reply)
                self._progress()  # the client's time begins again
            for message in self.Inbox("control"):
                self._handle_control(message)
            yield from self._pump()
            self._flush()
            if self._shutting_down and not session.waiting and not session.in_transaction:
                session.close(SHUTTING_DOWN.tagged(session.tag))
            elif not session.waiting and self.now() >= self._deadline:
                session.close(TIMED_OUT.tagged(session.tag))
            if session.closed:
                self._flush()
                break
            # While an event waits for its reply the client's time stands still.
            if not self.anyReady() or (session.waiting and not self._something_for_us()):
                self.pause(None if session.waiting else self._deadline - self.now())
            yield 1
        if not self._ended:
            yield from self.put(SessionEnded(EndReason.CLOSED, in_data=False), "events")
        self.send(producerFinished(self), "signal")

    def _pump(self) -> Iterator[object]:
        """Hand on every event that there is, and feed the session while it asks for more."""
        session = self._session
        while True:
            event = session.next_event()
            if event is None:
                if session.waiting or session.closed or not self.dataReady("inbox"):
                    return
                data = self.recv("inbox")
                session.receive_data(data)
                if session.in_data:
                    self._data_came(len(data))
                # Else only a whole command counts: a client that sends its bytes one by one would
                # stay for ever.
                continue
            if not isinstance(event, DataReceived):
                self._progress()
            try:
                self.send(event, "events")
            except noSpaceInBox:
                self._flush()  # what was answered before should not wait with us
                yield from self.put(event, "events")
                self._progress()
            if isinstance(event, SessionEnded):
                self._ended = True

    def _handle_control(self, message: object) -> None:
        if isinstance(message, producerFinished):
            for data in self.Inbox("inbox"):
                self._session.receive_data(data)
            self._session.receive_eof()
        elif isinstance(message, shutdownMicroprocess):
            self._shutting_down = True

    def _something_for_us(self) -> int:
        return self.dataReady("replies") or self.dataReady("control")

    def _flush(self) -> None:
        data = self._session.data_to_send()
        if data:
            self.send(data, "outbox")
            self._progress()

    def _data_came(self, size: int) -> None:
        """Inside a message time begins again for each so many bytes, not for each piece: that must
        not take for ever either, one byte at a time."""
        self._since_progress += size
        if self._since_progress >= PROGRESS_BYTES:
            self._progress()

    def _progress(self) -> None:
        self._since_progress = 0
        self._deadline = self.now() + self._timeout


class SMTPClientSession(component):
    """SMTPClientSession(host, port, helo_name, times=ClientTimes()) -> a server to which mail can
    be given.

    Nothing is connected before the first GiveSender. After a SessionFailed, or an early refusal of
    a message, the next GiveSender connects anew; commands that came before a SessionFailed was
    heard are forgotten."""

    Inboxes = {
        "inbox": "ClientCommand: GiveSender, GiveRecipient, StartData, DataReceived, EndData or"
        " ResetTransaction",
        "abandon": "object: drop the connection at once, a message without its dot is not mail",
        "control": "producerFinished (QUIT, then end) or shutdownMicroprocess (end)",
        "_received": "bytes: from the server",
        "_closed": "producerFinished: the connection is over",
    }
    Outboxes = {
        "outbox": "ClientEvent: Ready, ReplyReceived or SessionFailed; Abandoned after abandon",
        "signal": "the shutdown that came in",
        "_to_server": "bytes: to the server",
        "_close": "producerFinished or shutdownMicroprocess: to the connection",
    }

    woken_by_collection = False  # it asks isFull(), or puts

    def __init__(
        self,
        host: str,
        port: int,
        helo_name: str,
        times: ClientTimes | None = None,
        **attributes: object,
    ) -> None:
        super().__init__(**attributes)
        self._host = host
        self._port = port
        self._helo_name = helo_name
        self._times = times or ClientTimes()
        self._session: ClientSession | None = None
        self._connection: TCPClient | None = None
        self._unsent = b""  # what the connection had no room for
        self._held: list[ClientCommand] = []  # what was asked before the server was ready
        self._greeted = False
        self._after_dot = False
        self._deadline = 0.0
        self.inboxes["inbox"].setSize(WINDOW)

    def main(self) -> Iterator[object]:
        stop: object = None
        while stop is None:
            stop = self.told_to_stop()
            for _ in self.Inbox("abandon"):
                self._abandon()
                self.send(Abandoned(), "outbox")
            self._listen()
            if self._push():
                self._obey_all()
            self._watch_the_time()
            if stop is None and not self._can_go_on():
                self.pause(self._time_left())
            yield 1
        if isinstance(stop, producerFinished):
            yield from self._say_goodbye()
        self._abandon()
        self.send(stop, "signal")

    def stop(self) -> None:
        if self._connection is not None:
            self._connection.stop()
        super().stop()

    # ---- from the server

    def _listen(self) -> None:
        session = self._session
        if session is None:
            return
        for data in self.Inbox("_received"):
            session.receive_data(data)
            self._progress()
        reason: object = None
        for message in self.Inbox("_closed"):
            reason = message.message
            session.receive_eof()
        while (event := session.next_event()) is not None:
            self._tell(event, reason)
        self._collect_output(session)
        if session.closed and self._session is session:
            self._drop()

    def _tell(self, event: ClientEvent, reason: object) -> None:
        match event:
            case Ready():
                self._greeted = True
                self.send(event, "outbox")
                held, self._held = self._held, []
                for command in held:
                    self._say(command)
            case SessionFailed(reason=FailReason.LOST, reply=None) if reason is not None:
                why = FailReason.LOST if self._greeted else FailReason.UNREACHABLE
                self._tell_failed(SessionFailed(why, None))
            case SessionFailed():
                self._tell_failed(event)
            case _:
                self.send(event, "outbox")

    def _tell_failed(self, failed: SessionFailed) -> None:
        """The commands that wait were given before the owner could know: it will give them again,
        and a server that got them twice would answer twice."""
        for _ in self.Inbox("inbox"):
            pass
        self.send(failed, "outbox")

    # ---- to the server

    def _obey_all(self) -> None:
        """Carry out commands for as long as the connection has room."""
        while self.dataReady("inbox") and not self._unsent:
            command = self.recv("inbox")
            if isinstance(command, GiveSender) and self._session is None:
                self._connect()
            session = self._session
            if session is None or session.closed:
                continue  # for a session that has failed: its owner has been told
            if not session.ready:
                if len(self._held) < WINDOW * 4:
                    self._held.append(command)
                continue
            self._say(command)
            # What belongs together goes out together, but pieces of a message are not copied only
            # to be one.
            if isinstance(command, DataReceived) and len(command.data) > SMALL_PIECE:
                self._collect_output(session)
        if self._session is not None:
            self._collect_output(self._session)

    def _say(self, command: ClientCommand) -> None:
        session = self._session
        if session is None:
            return
        match command:
            case DataReceived(data=data):
                session.send_data(data)
            case GiveRecipient(path=path, parameters=parameters):
                session.rcpt(path, parameters)
            case GiveSender(path=path, parameters=parameters):
                self._after_dot = False  # of the message before
                session.mail(path, parameters)
            case StartData():
                session.data()
            case EndData():
                session.end_data()
                self._after_dot = True
            case ResetTransaction():
                session.reset()

    def _collect_output(self, session: ClientSession) -> None:
        data = session.data_to_send()
        if data:
            self._unsent += data
            self._progress()
            self._push()

    def _push(self) -> bool:
        """Send what is unsent; False if the connection has no room (we are woken when it has)."""
        if self._unsent:
            try:
                self.send(self._unsent, "_to_server")
            except noSpaceInBox:
                return False
            self._unsent = b""
            self._progress()
        return True

    # ---- the connection

    def _connect(self) -> None:
        connection = TCPClient(
            self._host, self._port, connect_timeout=self._times.connect, inbox_limit=WINDOW
        )
        self.link((connection, "outbox"), (self, "_received"))
        self.link((connection, "signal"), (self, "_closed"))
        self.link((self, "_to_server"), (connection, "inbox"))
        self.link((self, "_close"), (connection, "control"))
        self.addChildren(connection)
        connection.call_on_close(lambda: self.removeChild(connection))
        connection.isolate(self._connection_failed)
        connection.activate(Scheduler=self.scheduler)
        self._connection = connection
        self._session = ClientSession(self._helo_name)
        self._greeted = self._after_dot = False
        self._progress(self._times.connect + self._times.reply)

    def _drop(self, message: object = None) -> None:
        """Forget the session; its connection closes when it has sent what waits, or at once."""
        if self._connection is not None:
            self.send(message or producerFinished(self), "_close")
            self.unlink(thecomponent=self._connection)
            self._connection = None
        for box in ("_received", "_closed"):
            for _ in self.Inbox(box):
                pass  # of the session that was
        self._session = None
        self._unsent = b""
        self._held = []
        self._after_dot = False

    def _connection_failed(self, culprit: microprocess, error: Exception) -> None:
        """Our fault, not the server's; to the owner it is a connection that was lost."""
        log.error("connection to %s failed in %s", self._host, culprit.name, exc_info=error)
        if self._connection is not None:
            self._connection.stop()
            self.inboxes["_closed"].deliver(producerFinished(culprit, "internal error"))

    def _abandon(self) -> None:
        self._drop(shutdownMicroprocess(self))

    def _say_goodbye(self) -> Iterator[object]:
        session = self._session
        if session is None or not session.ready or session.in_data or self._unsent:
            return
        session.quit()
        self._collect_output(session)
        self._progress(self._times.quit)
        while self._session is session and self.now() < self._deadline:
            self._listen()
            self._push()
            if self._session is session:
                self.pause(self._deadline - self.now())
                yield 1

    # ---- time

    def _can_go_on(self) -> bool:
        if self.dataReady("control") or self.dataReady("abandon"):
            return True
        if self._session is None or not self._unsent:
            return bool(self.anyReady())
        return bool(self.dataReady("_received") or self.dataReady("_closed"))

    def _watch_the_time(self) -> None:
        session = self._session
        if session is not None and self._owes_us(session) and self.now() >= self._deadline:
            self._tell_failed(SessionFailed(FailReason.TIMEOUT, None))
            self._abandon()

    def _owes_us(self, session: ClientSession) -> bool:
        return bool(self._unsent or session.outstanding or not session.ready)

    def _time_left(self) -> float | None:
        session = self._session
        if session is None or not self._owes_us(session):
            return None
        return max(0.0, self._deadline - self.now())

    def _progress(self, seconds: float | None = None) -> None:
        if seconds is None:
            if self._after_dot:
                seconds = self._times.final
            else:
                seconds = self._times.data_block if self._unsent else self._times.reply
        self._deadline = self.now() + seconds


__kamaelia_components__ = (SMTPServerSession, SMTPClientSession)
