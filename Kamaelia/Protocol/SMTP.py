"""
One client's SMTP session as a component
========================================
A thin component over the state machine in Kamaelia.Support.Protocol.SMTP.ServerSession. All that
SMTP says is said there; what is here is boxes, encryption, flow control and time. It speaks with a
client: bytes in and out, events to whoever decides, replies from there. (The other side of SMTP is
Kamaelia.Protocol.SMTPClient.)

How does it work?
-----------------
What the client sends, and each reply, is worked on inside the send() that brings it (see
Axon.AtOnce), while main sleeps: a command costs no turn. main greets, and has all that does not
come with every command: time, encryption, shutdown, an owner without room, slowness. While it is at
one of these nothing else is done, and what comes lies in its box.

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

import ssl
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from Axon.AtOnce import act_at_once, act_when_idle
from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Timers import Timer
from Kamaelia.Support.Protocol.SMTP.Events import (
    EndReason,
    MessageFailed,
    SessionEnded,
    TLSRequested,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerSession

if TYPE_CHECKING:
    from Kamaelia.Internet.TLSSocket import TLSInfo

# What a client must send of a message within its time-out, or all that is left of it.
PROGRESS_BYTES = 4_096
SOFT_ERRORS = 10  # after so many, each further one is answered slowly
SLOW_SECONDS = 1.0
LATE_SECONDS = 0.5  # that a reply may be kept back, to go with the next one

TIMED_OUT = Reply.of(421, "4.4.2", "time-out, closing the connection")
SHUTTING_DOWN = Reply.of(421, "4.3.2", "service is shutting down, try again later")


class SMTPServerSession(component):
    """SMTPServerSession(session, greeting="ESMTP", refusal=None, timeout=300.0, tls=None) -> one
    client's session.

    session: a ServerSession, not yet greeted. refusal: a Reply to give instead of a greeting.
    timeout: seconds for one command, or for one piece of a message, to arrive completely (RFC 5321,
    section 4.5.3.2.7, wants 300). tls: called for the ssl.SSLContext when the client asks for
    STARTTLS, which the session must offer for that."""

    Inboxes = {
        "inbox": "bytes: from the client, sliced anywhere",
        "control": "producerFinished (the client sends no more) or shutdownMicroprocess (finish the"
        " transaction, then close with 421)",
        "replies": "Reply: to the event that needs one",
        "sslready": "TLSInfo: from now on all is encrypted",
    }
    Outboxes = {
        "outbox": "bytes: to the client",
        "events": "ServerEvent: in order, the last is a SessionEnded",
        "signal": "producerFinished: the session is over, close the connection",
        "makessl": "ssl.SSLContext or TLSRequest: go on in TLS",
    }

    # There may be ten thousand of them.
    __slots__ = (
        *("_session", "_greeting", "_refusal", "_timeout", "_tls", "_deadline", "_since_progress"),
        *("_errors_seen", "_shutting_down", "_encrypting", "_ended", "_for_main", "_at_rest"),
        *("_armed", "_blocked", "_from_client", "_late", "tls_info"),
    )

    woken_by_collection = False  # it asks isFull(), or puts

    handles_secrets = True  # passwords pass: what is said of a fault shows no variables

    def __init__(
        self,
        session: ServerSession,
        greeting: str = "ESMTP",
        refusal: Reply | None = None,
        timeout: float = 300.0,
        tls: Callable[[], ssl.SSLContext | None] | None = None,
        **attributes: object,
    ) -> None:
        super().__init__(**attributes)
        self._session = session
        self._greeting = greeting
        self._refusal = refusal
        self._timeout = timeout
        self._tls = tls
        self._deadline = 0.0
        self._since_progress = 0
        self._errors_seen = 0
        self._shutting_down = False
        self._encrypting = False
        self._ended = False
        self.tls_info: TLSInfo | None = None  # what the two ends have agreed on
        self._late: Timer | None = None  # when what was withheld has to go
        self._for_main = False  # something is going on that does not with every command
        self._at_rest = False  # main sleeps, and has nothing to go on with
        self._armed = False  # and is woken when the client's time is over
        self._blocked: Iterator[object] | None = None  # what main has to wait for first
        self._from_client = act_when_idle(self, "inbox", self._fed)
        self.await_replies()

    def main(self) -> Iterator[object]:
        session = self._session
        yield from self.prepare()
        self._progress()
        said = False
        while True:
            self._at_rest = self._from_client.idle = False
            self.encrypted()
            if self._has("control"):
                self._handle_control()
            blocked, self._blocked = self._blocked, None
            while blocked is not None or (blocked := self._pump()) is not None:
                yield from blocked
                blocked = None
            self._flush()
            if self._shutting_down and not session.waiting and not session.in_transaction:
                session.close(SHUTTING_DOWN.tagged(session.tag))
                self._flush()
            elif not session.waiting and self.now() >= self._deadline:
                session.close(TIMED_OUT.tagged(session.tag))
                self._flush()
            if session.closed:
                if not self._ended:
                    self._ended = True
                    blocked = self.take(SessionEnded(EndReason.CLOSED, in_data=False))
                    if blocked is not None:
                        yield from blocked
                if not said:
                    said = True
                    # In the middle of a handshake nothing can be said any more.
                    over = shutdownMicroprocess if self._encrypting else producerFinished
                    self.send(over(self), "signal")
                if not self.owed():
                    return
            if not self._more_to_do():
                self._rest()
            yield 1

    def _rest(self) -> None:
        """Sleep: from now on all is done inside the send() that brings it, see `_act`."""
        session = self._session
        # While an event waits for its reply the client's time stands still.
        self._armed = not (session.waiting or session.closed)
        self._for_main = self._encrypting or self._shutting_down
        self.pause(self._deadline - self.now() if self._armed else None)
        self._at_rest = True
        self._from_client.idle = self._armed and not self._encrypting

    # ---- for those who put something in the place of these

    def await_replies(self) -> None:
        """From now on replies are acted on as they come; called when it is made."""
        act_at_once(self, "replies", self._replied)

    def prepare(self) -> Iterator[object]:
        """Do what has to be done before the client can say anything: greet it."""
        if self._refusal is not None:
            self._session.refuse(self._refusal)
        else:
            self._session.greet(self._greeting)
        yield from ()

    def take(self, event: object) -> Iterator[object] | None:
        """An event of the session, in order: goes to "events". What it returns is waited for."""
        try:
            self.send(event, "events")
        except noSpaceInBox:
            return self._wait_to_hand_on(event)
        return None

    def owed(self) -> bool:
        """Whether something is still to be waited for when the client's session is over."""
        return False

    def client_left(self, stopping: bool) -> None:
        """The client has closed its side, perhaps while it was waiting for a reply; or, stopping,
        this program wants to end. For an owner that lets clients wait."""

    # ---- the session

    def _fed(self, data: bytes) -> None:
        """Something came from the client while we were at rest."""
        session = self._session
        session.receive_data(data)
        if not (self._act() or session.waiting) and session.in_data:
            self._data_came(len(data))

    def _replied(self, reply: Reply) -> None:
        """Answer the event that waits for it; the client's time begins again."""
        self._session.reply(reply)
        # If not at rest this is the turn in which the event was taken, and goes on there.
        if not (self._at_rest and self._act()):
            self._progress()

    def _act(self) -> bool:
        """Do all that can be done now, in the turn of whoever sent something; main does the rest.
        True: the client has been sent something."""
        session, from_client = self._session, self._from_client
        self._at_rest = from_client.idle = False
        more = session.unread or session.events or session.eof or from_client
        if more or session.errors != self._errors_seen:  # else it is a reply and no more
            blocked = self._blocked = self._pump()
            if blocked is not None:
                self.unpause()
                return False
        waiting = session.waiting
        flushed = False
        if session.out and not (waiting and session.unread and self._withhold()):
            flushed = self._flush()
        if session.closed or self._for_main or not (self._armed or waiting):
            self.unpause()
        else:
            self._at_rest = True
            from_client.idle = not waiting
        return flushed

    def _withhold(self) -> bool:
        """Whether what is to be said can go with the reply that is waited for: the client, who has
        sent more commands, listens for all of them (RFC 2920, section 3.2). A slow reply does not
        hold the others up."""
        if not self._session.in_transaction:
            return False
        if self._late is None:  # not a timer for each: it looks once a second
            self._late = self.scheduler.call_later(LATE_SECONDS, self._flush_late)
        return True

    def _flush_late(self) -> None:
        self._late = None
        self._flush()

    def _pump(self) -> Iterator[object] | None:
        """Hand on every event that there is, and feed the session while it asks for more; what is
        returned has to be waited for before there can be more."""
        session, waiting_data = self._session, self._from_client
        while True:
            # Asked in vain it would be for every second time: what there is to do is seen here.
            more = session.events or session.unread or session.eof
            event = session.next_event() if more else None
            if event is None:
                if session.errors != self._errors_seen and self._count_errors(session.errors):
                    return self._be_slow(None)
                if not waiting_data or session.waiting or self._encrypting:
                    return None
                data = waiting_data.popleft()
                session.receive_data(data)
                if session.in_data:
                    self._data_came(len(data))
                # Else only a whole command counts: a client that sends its bytes one by one would
                # stay for ever.
                continue
            kind = type(event)
            if kind is TLSRequested:
                return self._start_tls()
            if kind is MessageFailed:
                self._progress()  # the other events come with a reply
            elif kind is SessionEnded:
                self._ended = True
            blocked = self.take(event)
            if session.errors != self._errors_seen and self._count_errors(session.errors):
                return self._be_slow(blocked)
            if blocked is not None:
                return blocked

    def _wait_to_hand_on(self, event: object) -> Iterator[object]:
        self._flush()  # what was answered before should not wait with us
        yield from self.put(event, "events")
        self._progress()

    def _handle_control(self) -> None:
        for message in self.Inbox("control"):
            if isinstance(message, producerFinished):
                for data in self.Inbox("inbox"):
                    self._session.receive_data(data)
                self._session.receive_eof()
                self._encrypting = False  # that will not come about
                self.client_left(stopping=False)
            elif isinstance(message, shutdownMicroprocess):
                self._shutting_down = True
                self.client_left(stopping=True)

    def _has(self, boxname: str) -> bool:
        return bool(self.inboxes[boxname].q)

    def _more_to_do(self) -> bool:
        """Whether something has come that can be worked on now. What the client sends cannot, while
        it has to wait for a reply or for encryption."""
        if not (self._session.waiting or self._session.closed or self._encrypting):
            return bool(self.anyReady())
        made = dict.values(self.inboxes)
        return any(box.q for box in made if box.name != "inbox")

    def _flush(self) -> bool:
        """Send what the session has said; whether there was something."""
        session = self._session
        data = session.out
        if not data:
            return False
        session.out = b""
        self.send(data, "outbox")
        self._since_progress = 0
        scheduler = self._axon_scheduler
        if scheduler is not None:  # as in _progress, with a call less for each reply
            self._deadline = scheduler.clock() + self._timeout
        return True

    # ---- encryption

    def _start_tls(self) -> Iterator[object]:
        """For main, and not at once: what the client sent before it was told to begin, perhaps in
        a piece of its own, is no part of what is encrypted: nobody knows who wrote it
        (CVE-2011-0411). It ends the session."""
        for data in self.Inbox("inbox"):
            self._session.receive_data(data)
        self._flush()
        context = self._tls() if self._tls is not None else None
        if context is None:
            self._session.close(SHUTTING_DOWN.tagged(self._session.tag))
            self._session.data_to_send()  # it would be plain text where TLS is due
        elif not self._session.closed:
            self._encrypting = True
            self.send(context, "makessl")
        yield from ()

    def encrypted(self) -> None:
        """What comes from now on is encrypted."""
        box = dict.get(self.inboxes, "sslready")
        if box is None or not box.q:
            return  # nearly always; and looked at so, the box need not be made
        for info in self.Inbox("sslready"):
            if self._encrypting:
                self.tls_info = info
                self._encrypting = False
                self._session.tls_started()
                self._progress()

    def _axon_forget(self) -> None:
        super()._axon_forget()
        del self._from_client  # a reference cycle, otherwise

    # ---- time

    def _count_errors(self, errors: int) -> bool:
        """Whether the client has made more mistakes than are answered at once."""
        more, self._errors_seen = errors - max(self._errors_seen, SOFT_ERRORS), errors
        return more > 0

    def _be_slow(self, first: Iterator[object] | None) -> Iterator[object]:
        """Who makes one mistake after the other may as well wait before making the next."""
        self._flush()
        if first is not None:
            yield from first
        until = self.now() + SLOW_SECONDS
        while (left := until - self.now()) > 0 and not self._has("control"):
            self.pause(left)
            yield 1

    def _data_came(self, size: int) -> None:
        """Inside a message time begins again for each so many bytes, not for each piece: that must
        not take for ever either, one byte at a time."""
        self._since_progress += size
        if self._since_progress >= PROGRESS_BYTES:
            self._progress()

    def _progress(self) -> None:
        self._since_progress = 0
        self._deadline = self.now() + self._timeout


__kamaelia_components__ = (SMTPServerSession,)
