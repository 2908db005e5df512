"""
The milter protocol as a component: asked by a mail server what to do with its mail
===================================================================================
A thin component over Kamaelia.Support.Protocol.Milter.FilterSession: one connection of an MTA
(Sendmail, Postfix) that tells what its client does and waits for what a filter says to that. All
that the protocol says is said there; what is here is boxes and time.

What the MTA sends is worked on inside the send() that brings it, and so is an answer (see
Axon.AtOnce): a command costs no turn, while main sleeps.

Example Usage
-------------
A milter that adds a header to each message. Postfix asks it if its main.cf says
``smtpd_milters = inet:127.0.0.1:8891``::

    # ends: ctrl-c
    from Kamaelia.Chassis.ConnectedServer import ServerCore
    from Kamaelia.Protocol.Milter import MilterSession
    from Kamaelia.Support.Protocol.Milter.Commands import EndOfMessage
    from Kamaelia.Support.Protocol.Milter.Negotiation import Action, Wishes
    from Kamaelia.Support.Protocol.Milter.Responses import CONTINUE, add_header

    WISHES = Wishes(Action.ADD_HEADERS)

    class Stamp(MilterSession):
        def take(self, event):
            if isinstance(event, EndOfMessage):
                client = self.session.macro("j") or "unknown"
                self.answer(add_header("X-Seen-By", f"Kamaelia at {client}") + CONTINUE)

    def protocol(**peer):
        return Stamp(WISHES, **peer)

    ServerCore(protocol=protocol, port=8891, host="127.0.0.1").run()

Rules. The last event is a Quit, however the connection ends. Each event for which
`Wishes.replies` asks, and EndOfMessage, is to be answered once; the MTA waits for that. If Abort,
Quit or QuitNewConnection comes meanwhile nobody waits any more: an answer that comes at "answers"
all the same is thrown away, and one that is given to `answer` raises LocalProtocolError. An MTA
that breaks the protocol, or says nothing for two hours, is left, with a line in the log. When the
component fails while an answer is due, the MTA hears "try again later".
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from Axon.AtOnce import act_at_once
from Axon.AxonExceptions import noSpaceInBox
from Axon.Box import Inbox, Outbox
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Support.Protocol.Milter.Commands import Command, Quit
from Kamaelia.Support.Protocol.Milter.FilterSession import FilterSession
from Kamaelia.Support.Protocol.Milter.Negotiation import Wishes
from Kamaelia.Support.Protocol.Milter.Packets import MilterProtocolError
from Kamaelia.Support.Protocol.Milter.Responses import TEMPFAIL

log = logging.getLogger(__name__)

IDLE_SECONDS = (
    7_210.0  # as long as filters wait for Sendmail, which may wait two hours for a client
)
UNREAD_BYTES = 65_536  # that lie here while those who take the events have no room


class MilterSession(component):
    """MilterSession(wishes, timeout=7210.0, peer="", peerport=0, localip="", localport=0) -> one
    MTA's connection.

    wishes: what it is to be told of, see Negotiation.Wishes: one for all connections. timeout:
    seconds in which the MTA has to say something, a whole command. session: the FilterSession; its
    `macro`, `agreement` and `in_message` are for subclasses, too."""

    Inboxes = {
        "inbox": "bytes: from the MTA, sliced anywhere",
        "control": "producerFinished (the MTA sends no more) or shutdownMicroprocess (finish the"
        " message, then close)",
        "answers": "bytes: one for each event that waits for it, in order, see Responses",
    }
    Outboxes = {
        "outbox": "bytes: to the MTA",
        "events": "Command: what the MTA's client does; the last is a Quit",
        "signal": "producerFinished: the connection is over, close it",
    }

    # There may be thousands of them.
    __slots__ = (
        *("session", "peer", "peerport", "localip", "localport", "_timeout", "_heard_at"),
        *("_held", "_pumping", "_stopping", "_quit_told", "_stale"),
    )

    lazy_boxes = True  # a subclass that takes the events itself needs three of them
    announces_end = False  # it says so itself; if it fails, after its last words
    woken_by_collection = False  # it uses put where it waits for room

    def __init__(
        self,
        wishes: Wishes,
        timeout: float = IDLE_SECONDS,
        peer: str = "",
        peerport: int = 0,
        localip: str = "",
        localport: int = 0,
    ) -> None:
        super().__init__()
        self.session = FilterSession(wishes)
        self.peer = peer
        self.peerport = peerport
        self.localip = localip
        self.localport = localport
        self._timeout = timeout
        self._heard_at = 0.0
        self._held: Command | None = None  # for which there was no room
        self._pumping = False
        self._stopping = False
        self._quit_told = False
        self._stale = 0  # answers that nobody waits for any more, and that are still to come

    def axon_box_made(self, box: Inbox | Outbox) -> None:
        """Data and answers are acted on as they come."""
        if box.name == "inbox":
            act_at_once(self, "inbox", self._fed)
        elif box.name == "answers":
            act_at_once(self, "answers", self._answered)

    def main(self) -> Iterator[object]:
        session = self.session
        self._heard_at = self.now()
        while True:
            if self._held is not None:
                yield from self._hand_on()
            for message in self.Inbox("control"):
                self._hear(message)
            if self._held is not None:
                continue
            if session.closed or (self._stopping and not (session.waiting or session.in_message)):
                break
            left = self._heard_at + self._timeout - self.now()
            if left <= 0 and session.waiting:  # whose answer takes long is not the MTA
                self._heard_at = self.now()
            elif left <= 0:
                log.info("milter connection%s closed: nothing came for long", self._from)
                break
            else:
                self.pause(left)
                yield 1
        session.closed = True
        if not self._quit_told:
            self._take(Quit())
            if self._held is not None:
                yield from self._hand_on()
        self.send(producerFinished(self), "signal")

    # ---- for subclasses

    def take(self, event: Command) -> None:
        """An event of the session, in order: goes to "events". Put your own in its place; it may
        call `answer`, now or later."""
        self.send(event, "events")

    def answer(self, wire: bytes) -> None:
        """Answer the event that waits: edits (at the end of a message only) and one final response.
        Raises LocalProtocolError if none waits, see `session.waiting`."""
        self.session.answer(wire)
        if not self._pumping:
            self._heard_at = self.now()  # the MTA's time begins again
            self._pump()

    def progress(self) -> None:
        """Tell the MTA that the answer is being worked on, so that it goes on waiting. At the end
        of a message only, unless it is Postfix: Sendmail takes it for "go on" elsewhere."""
        self.session.progress()
        if not self._pumping:
            self._flush()

    def last_words(self) -> bytes:
        """What the MTA hears when this component fails: never silence, and no message accepted that
        nobody has decided on."""
        session = self.session
        return session.data_to_send() + (TEMPFAIL if session.waiting else b"")

    # ---- the session

    def _fed(self, data: bytes) -> None:
        session = self.session
        if self._held is not None and session.unread > UNREAD_BYTES:
            raise noSpaceInBox(session.unread, UNREAD_BYTES)
        try:
            session.receive_data(data)
        except MilterProtocolError as error:
            self._failed(error)
        else:
            self._pump()

    def _answered(self, wire: bytes) -> None:
        if self._stale:
            self._stale -= 1
        elif self.session.waiting:
            self.answer(wire)

    def _pump(self) -> None:
        """Hand on every event that there is, and send what there is to say."""
        session = self.session
        if self._held is None:
            self._pumping = True
            heard = False
            try:
                waited = session.waiting
                while (event := session.next_event()) is not None:
                    heard = True
                    if waited:
                        self._stale += 1
                    self._take(event)
                    if self._held is not None:
                        break
                    waited = session.waiting
            except MilterProtocolError as error:
                self._failed(error)
            finally:
                self._pumping = False
            # Whole commands count, and no pieces of them: a byte now and then is no mail server.
            scheduler = self._axon_scheduler
            if (heard or session.out) and scheduler is not None:
                self._heard_at = scheduler.clock()  # as now(), with a call less for each command
        if session.out:
            self._flush()
        if session.closed or self._stopping:
            self.unpause()

    def _take(self, event: Command) -> None:
        if type(event) is Quit:
            self._quit_told = True
        try:
            self.take(event)
        except noSpaceInBox:
            self._held = event
            self.unpause()

    def _hand_on(self) -> Iterator[object]:
        """Wait until there is room for the event that could not be handed on."""
        yield from self.put(self._held, "events")
        self._held = None
        self._pump()
        box = dict.get(self.inboxes, "inbox")
        if box is not None and box.waiters:
            box.collected()

    def _hear(self, message: object) -> None:
        if isinstance(message, producerFinished):
            self.session.receive_eof()
            self._pump()
        elif isinstance(message, shutdownMicroprocess):
            self._stopping = True

    def _failed(self, error: MilterProtocolError) -> None:
        log.warning("milter connection%s closed: %s", self._from, error)
        self.unpause()

    def _flush(self) -> None:
        session = self.session
        data = session.out
        if data:
            session.out = b""
            self.send(data, "outbox")

    @property
    def _from(self) -> str:
        return f" from {self.peer}" if self.peer else ""


__kamaelia_components__ = (MilterSession,)
