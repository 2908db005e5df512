"""
The proxy: one client's way through the greylister
==================================================
What ServerCore makes for each client. The whole picture::

    client's      +-----------+ events  +------+ attempts +---------+  queries   +--------------+
    socket  <---> | SMTPProxy | ------> | DESK | -------> | DECIDER | <--------> | StoreService |
                  |           | <------ |      | <------- | (one)   |            | (one)        |
                  +-----------+ replies +------+ decisions+---------+            +--------------+
                                         |    ^
                                commands v    | replies
                                        +-------+
                                        | RELAY | <---> TCPClient <---> the real mail server
                                        +-------+

A client that has not given a sender yet is an SMTPProxy alone, and a socket: most of those who only
hold a connection open cost no more. The desk comes with the first MAIL; the relay, lent by the
RelayPool, with the first recipient that passes. Decider and store are shared by all. All of
them act inside the send() that brings them a message (see Axon.AtOnce), so neither a command nor a
reply of the server costs a turn. What does not come with every command is left to the turns.

A component of one's own goes between any two: what passes there is in the box texts of both.

Example Usage
-------------
Server.py does this for every client::

    proxy = SMTPProxy(office, peer="192.0.2.7", peerport=40000, localip="192.0.2.1", localport=25)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from Axon.AxonExceptions import noSpaceInBox
from Axon.Box import Inbox, Outbox, join, part
from Axon.Ipc import producerFinished
from Kamaelia.Apps.Grey.FrontDoor.FrontOffice import FrontOffice
from Kamaelia.Apps.Grey.FrontDoor.ProxyDesk import ProxyDesk, WholeMessage
from Kamaelia.Apps.Grey.FrontDoor.RelayPool import ClientFacts
from Kamaelia.Apps.Grey.FrontDoor.WayToDecider import WayToDecider
from Kamaelia.Internet.TLS import TLSRequest
from Kamaelia.Protocol.SMTP import SMTPServerSession
from Kamaelia.Support.Protocol.ProxyHeader import ProxyHeaderError, ProxyHeaderParser
from Kamaelia.Support.Protocol.SMTP.Events import (
    ClientDescribed,
    DataReceived,
    EndReason,
    HelloReceived,
    MessageComplete,
    SessionEnded,
    TransactionReset,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerSession

log = logging.getLogger(__name__)

UNKNOWN = ("0.0.0.0", 0)  # noqa: S104 - nobody's address
HEADER_SECONDS = 5.0  # for a front to say who its client is
BROKEN = Reply.of(421, "4.3.0", "internal error, try again later")

# Those that no message needs, and without a desk nobody.
_SELDOM = frozenset({HelloReceived, ClientDescribed, TransactionReset})


class SMTPProxy(SMTPServerSession):
    """SMTPProxy(office, peer, peerport, localip, localport, full=None, encrypted=False) -> one
    client's session.

    full: a Reply for a client that there is no room for. encrypted: the connection begins with TLS.
    A client that says by the PROXY protocol or XCLIENT, and may, who it speaks for, is treated as
    that."""

    lazy_boxes = True  # who only holds a connection open needs four of them
    announces_end = False  # it says so itself; if it fails, after its last words

    __slots__ = (
        *("office", "session_id", "when_over", "may_encrypt", "_client", "_server", "_is_front"),
        *("_encrypted_first", "_received", "_admitted", "_hello", "_desk", "_client_name"),
    )

    def __init__(
        self,
        office: FrontOffice,
        peer: str,
        peerport: int = 0,
        localip: str = "",
        localport: int = 0,
        full: Reply | None = None,
        encrypted: bool = False,
    ) -> None:
        settings = office.settings
        self.office = office
        self.session_id = office.new_id()
        self._client = (peer, peerport)
        self._client_name: str | None = None
        self._server = office.local_address(localip, localport)
        # Called with this component when it has ended, however it did.
        self.when_over: Callable[[SMTPProxy], object] | None = None
        self._is_front = bool(settings.xclient_from) and peer in settings.xclient_from
        self._encrypted_first = encrypted
        self._received = b""  # of its beginning, behind a PROXY header
        self._admitted = ""
        self._hello: HelloReceived | None = None
        self._desk: ProxyDesk | None = None
        session = ServerSession(
            settings.hostname,
            capabilities=office.offered_to_front if self._is_front else office.offered_to_client,
            limits=settings.limits,
            tag=self.session_id,
            xclient_allowed=self._is_front,
            tls=encrypted,
        )
        super().__init__(session, settings.greeting, full, settings.timeout, office.context_now)
        self.may_encrypt = encrypted or office.may_encrypt  # see ConnectedServer

    def await_replies(self) -> None:
        """Not before there is a desk."""

    def stop(self) -> None:
        """Ended from outside. If a part of ours has failed in the middle of our turn, the client
        has heard its last words, and must not hear another."""
        self._hang_up()
        super().stop()

    def last_words(self) -> bytes:
        """What the client hears when one of our components fails."""
        return BROKEN.tagged(self.session_id).to_wire()

    @property
    def client(self) -> str:
        """Whose mail it is."""
        return self._client[0]

    # ---- before the greeting

    def prepare(self) -> Iterator[object]:
        settings = self.office.settings
        if self._refusal is None and self.client in settings.proxy_protocol_from:
            yield from self._read_header()
        if self._session.closed or self._gone():
            return
        if self._refusal is None:
            self._refusal = self._ask_for_admission()
        if self._refusal is None and self._encrypted_first:
            yield from self._encrypt_first()
        if self._refusal is None and settings.greet_pause:
            yield from self._keep_waiting(settings.greet_pause)
        if not self._session.closed:
            yield from super().prepare()

    def _hang_up(self) -> None:
        """End it without a word."""
        self._session.close(BROKEN)
        self._session.data_to_send()

    def _gone(self) -> bool:
        return self._has("control")

    def _read_header(self) -> Iterator[object]:
        """Who a load balancer connects for. Without that we would take it for its own client, so
        whoever does not say it properly is left without a word."""
        parser = ProxyHeaderParser()
        until = self.now() + HEADER_SECONDS
        try:
            while parser.header is None:
                for data in self.Inbox("inbox"):
                    parser.receive_data(data)
                if parser.header is None:
                    self.pause(self._left_for_header(until))
                    yield 1
        except ProxyHeaderError as error:
            log.warning("connection from front %s closed: PROXY header: %s", self.client, error)
            self._hang_up()
            return
        header = parser.header
        if not header.local:  # what the balancer says for itself is a health check
            # Somebody of whom nothing is known has nobody's rights, and not the balancer's.
            self._client = UNKNOWN if header.source is None else header.source
            self._is_front = False
            self._session.forbid_xclient()
        if header.destination is not None:
            self._server = header.destination
        if parser.rest and self._encrypted_first:
            self._received = parser.rest
        elif parser.rest:
            self._session.receive_data(parser.rest)

    def _left_for_header(self, until: float) -> float:
        left = until - self.now()
        if left <= 0 or self._gone():
            raise ProxyHeaderError("it did not come in time")
        return left

    def _ask_for_admission(self) -> Reply | None:
        admission = self.office.admission
        if admission is None:
            return None
        refusal = admission.admit(self.client, self.now())
        if refusal is None:
            self._admitted = self.client
            return None
        self.office.refused(refusal, self.client, self.now())
        return refusal.reply.tagged(self.session_id)

    def _encrypt_first(self) -> Iterator[object]:
        context = self.office.context()
        if context is None:
            self._hang_up()
            return
        self._encrypting = True
        if self._received:
            received = self._received + b"".join(self.Inbox("inbox"))
            self._received = b""
            self.send(TLSRequest(context, received), "makessl")
        else:
            self.send(context, "makessl")
        while not self._has("sslready"):
            if self._gone():
                self._hang_up()
                return
            self.pause()
            yield 1
        self._encrypting = False
        for info in self.Inbox("sslready"):
            self.tls_info = info

    def _keep_waiting(self, seconds: float) -> Iterator[object]:
        """Who speaks before the greeting follows no protocol that we know."""
        until = self.now() + seconds
        while (left := until - self.now()) > 0 and not self._gone():
            if self._has("inbox"):
                self._session.receive_data(self.recv("inbox"))
                return  # the session has a word for that
            self.pause(left)
            yield 1

    # ---- the session

    def take(self, event: object) -> Iterator[object] | None:
        kind = type(event)
        if kind is DataReceived:
            if self._session.has_event:
                return self._take_whole(event)  # type: ignore[arg-type]
        elif kind is SessionEnded:
            return self._take_end(event)  # type: ignore[arg-type]
        elif kind in _SELDOM and not self._concerns_desk(event):
            return None
        if self._desk is None:
            self._seat_desk()
        try:
            self.send(event, "events")
        except noSpaceInBox:
            return self._wait_to_hand_on(event)
        return None

    def _concerns_desk(self, event: object) -> bool:
        if isinstance(event, ClientDescribed):
            self._described(event)
            return False
        if isinstance(event, HelloReceived):
            self._hello = event
        return self._desk is not None

    def client_left(self, stopping: bool) -> None:
        if self._desk is not None:
            self._desk.client_left(stopping)

    def encrypted(self) -> None:
        before = self.tls_info
        super().encrypted()
        if self._desk is not None and self.tls_info is not before and self.tls_info is not None:
            self._desk.told_of_tls(self.tls_info)

    def _take_end(self, event: SessionEnded) -> Iterator[object] | None:
        """A client that has said QUIT closes as soon as it has its answer. So do we, here: a turn
        later there would be that to read, too."""
        blocked = super().take(event) if self._desk is not None else None
        if blocked is None and event.reason is EndReason.QUIT:
            self._flush()
            self.unpause()  # before the socket's component is woken: it need not tell us of its end
            self.send(producerFinished(self), "signal")
        return blocked

    def _has(self, boxname: str) -> bool:
        box = dict.get(self.inboxes, boxname)
        return box is not None and bool(box.q)  # one that was not made yet is empty

    def _take_whole(self, event: DataReceived) -> Iterator[object] | None:
        """Most messages come in one piece with their end. They go on so, too: one message to each
        of the neighbours, and one write to the real server."""
        following = self._session.next_event()
        if isinstance(following, MessageComplete):
            return super().take(WholeMessage(event.data, following.size))
        return self._take_both(event, following)

    def _take_both(self, *events: object) -> Iterator[object]:
        for each in events:
            if each is not None:
                self._ended = self._ended or type(each) is SessionEnded
                blocked = super().take(each)
                if blocked is not None:
                    yield from blocked

    def owed(self) -> bool:
        """The real server has yet to say what became of the client's message."""
        return self._desk is not None

    def _described(self, event: ClientDescribed) -> None:
        """A front says whose mail comes next: from now on it is somebody else's session."""
        attributes = event.attributes
        address, port = attributes.get("ADDR"), attributes.get("PORT")
        if address is not None:
            self._client = (address, int(port or 0))
            self._client_name = attributes.get("NAME")
        elif "ADDR" in attributes:
            self._client = UNKNOWN  # it does not know, either: a stranger, and not the front
            self._client_name = None
        if self._desk is not None:
            super().take(SessionEnded(EndReason.CLOSED, in_data=False))
            # Not the others: who hangs on it must hear of its end.
            part(self.outboxes["events"], self._desk.inboxes["inbox"])
            part(self._desk.outboxes["outbox"], self.inboxes["replies"])
            self._desk = None
        self._hello = None

    def _seat_desk(self) -> None:
        office = self.office
        desk = ProxyDesk(
            self.client,
            self.session_id,
            None,
            office.clock,
            office.pool,
            office.verifier,
            ClientFacts(self._client, self._server),
            office.rules,
        )
        self._desk = desk
        if office.rules is not None:
            desk.client_name = self._client_name
            if self.tls_info is not None:
                desk.told_of_tls(self.tls_info)
        if type(self.inboxes["replies"].q) is tuple:
            super().await_replies()
        join(self.outboxes["events"], desk.inboxes["inbox"])
        join(desk.outboxes["outbox"], self.inboxes["replies"])
        desk.outboxes.wiring = self  # type: ignore[attr-defined]  # it has lazy_boxes
        self.addChildren(desk)
        desk.call_on_close(partial(self._desk_left, desk))
        desk.activate_asleep(self.scheduler)
        if self._hello is not None:
            self.send(self._hello, "events")

    def box_made(self, outbox: Outbox) -> None:
        """An outbox of a desk is made with its first message; see Axon.BoxTables."""
        if outbox.name == "outcomes":
            join(outbox, self.office.mail_log.inboxes["inbox"])
        elif outbox.name == "attempts":
            desk: Any = outbox.owner
            desk.way = WayToDecider(outbox, self.office, self)

    def _desk_left(self, desk: ProxyDesk) -> None:
        desk.outboxes.wiring = None  # type: ignore[attr-defined]
        part(self.outboxes["events"], desk.inboxes["inbox"])
        for outbox in dict.values(desk.outboxes):
            sink = outbox.target
            if isinstance(sink, Inbox):
                part(outbox, sink)
        self.removeChild(desk)
        if self._desk is desk:
            self._desk = None
            self.unpause()

    def _closeDownMicroprocess(self) -> object:
        # However it ends: what was counted is counted back.
        if self._admitted and self.office.admission is not None:
            self.office.admission.left(self._admitted)
            self._admitted = ""
        if self.when_over is not None:
            self.when_over(self)
            self.when_over = None
        return super()._closeDownMicroprocess()


__kamaelia_components__ = (SMTPProxy,)
