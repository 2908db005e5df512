"""
The door at which a mail server asks: milter
============================================
Sendmail and Postfix ask a filter about each step of a client's session. This is one such
connection: the decision on a recipient is the answer to its RCPT, and at the end of the message its
headers are added, or the rules of the DATA stage have their say::

    mail server --RCPT--> MilterDoor --Attempt--> decider
                <-yes, 451, 551---- <--Decision--
                --end of message--> --MessageAttempt (only with rules of the DATA stage)-->
                <-edits, yes or no-- <--MessageDecision--

Example Usage
-------------
By the server, for each connection of a mail server::

    ServerCore(protocol=lambda **peer: MilterDoor(office, **peer), sock=listener)

Rules. Nothing is let in that was not decided: a fault is a 4xx, and so is a connection that breaks.
Never is a client refused before its recipients are known. What is known of a message is gone with
it (see MilterMail), also of one that is broken off.

Who waits: for a look-up, or in a tarpit, the mail server is told every few seconds that it goes on,
for else it would give up. At a recipient only Postfix may be told so: Sendmail takes that for
"yes". There a wait ends with a 451 before the mail server's patience does (`patience` seconds), and
a longer tarpit cannot be had. A client that hangs up inside its tarpit the mail server notices only
when it is over, unless it closes our connection.

A mail server may use the connection for the sessions of many clients, one after the other
(QUIT_NC): each is served by the settings of the time when it begins. Where these ask for other
things than the mail server was asked for in the negotiation, the connection is closed between two
sessions, and the mail server makes another one.

Shutdown: on shutdownMicroprocess the message under way is finished, and who is in a tarpit is sent
away with a 451; then the connection is closed. The mail server closing it (producerFinished) ends
everything at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from Axon.AtOnce import act_at_once
from Axon.Box import Inbox, Outbox
from Axon.Ipc import shutdownMicroprocess
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject
from Kamaelia.Apps.Grey.Core.Normalise import milter_recipient
from Kamaelia.Apps.Grey.Core.Types import Attempt, MessageAttempt, Verdict
from Kamaelia.Apps.Grey.FrontDoor import MilterContent as Content
from Kamaelia.Apps.Grey.FrontDoor import MilterWaiting as Waiting
from Kamaelia.Apps.Grey.FrontDoor.DecisionOffice import DecisionOffice
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import DoorRules
from Kamaelia.Apps.Grey.FrontDoor.MilterContent import MilterContent
from Kamaelia.Apps.Grey.FrontDoor.MilterFacts import bare, macros_to_ask_for, tls_subject
from Kamaelia.Apps.Grey.FrontDoor.MilterMail import NO_ADDRESS, MilterMail
from Kamaelia.Apps.Grey.FrontDoor.MilterWaiting import PATIENCE_SECONDS
from Kamaelia.Apps.Grey.FrontDoor.WayToDecider import WayToDecider
from Kamaelia.Apps.Grey.FrontDoor.Words import Words, said
from Kamaelia.Protocol.Milter import MilterSession
from Kamaelia.Support.Protocol.Milter import Commands
from Kamaelia.Support.Protocol.Milter.Negotiation import Action, Stage, Wishes
from Kamaelia.Support.Protocol.Milter.Responses import CONTINUE
from Kamaelia.Support.Protocol.SMTP.Mailbox import LONGEST, sides

TOO_MANY: Words = (452, "4.5.3", "too many recipients, send to the others in another message")
_PASS, _DEFER = Verdict.PASS, Verdict.DEFER  # a look into the Enum costs as much as a message


@lru_cache(maxsize=32)
def wishes_for(
    *, for_rules: bool, data_rules: bool, macros: tuple[str, ...] = ()
) -> tuple[Wishes, tuple[str, ...], tuple[str, ...]]:
    """What the mail server is to tell and to allow; one for all connections of a configuration.
    With it the macros that rules see: of session and message, and of a recipient."""
    asked = macros_to_ask_for(for_rules=for_rules, more=macros)
    actions = Action.ADD_HEADERS
    if for_rules:
        actions |= Action.CHANGE_HEADERS
    if data_rules:
        actions |= Action.CHANGE_BODY
    wishes = Wishes(
        actions,
        headers=data_rules,
        body=data_rules,
        replies=b"R",
        macros=asked,
        exact_headers=data_rules,
    )
    before = (asked[stage] for stage in (Stage.CONNECT, Stage.HELO, Stage.MAIL))
    return wishes, tuple(name for names in before for name in names), asked[Stage.RCPT]


def _wished(
    rules: DoorRules | None, macros: tuple[str, ...]
) -> tuple[Wishes, tuple[str, ...], tuple[str, ...]]:
    return wishes_for(
        for_rules=rules is not None and rules.needs_subject,
        data_rules=rules is not None and rules.data_rules,
        macros=macros,
    )


class MilterDoor(MilterContent, MilterSession):
    """MilterDoor(office, peer="", peerport=0, localip="", localport=0, macros=(), patience=8.0) ->
    one connection of a mail server.

    macros: what the access rules look at beside the usual. patience: seconds that a mail server
    which may not be told that it goes on waits for the answer to a recipient. When the settings
    change, `turn_to` the new ones."""

    Inboxes = {
        "inbox": "bytes: from the mail server, sliced anywhere",
        "control": "producerFinished (the mail server sends no more) or shutdownMicroprocess"
        " (finish the message, then close)",
        "decisions": "Decision or MessageDecision: on what was asked last; or a tuple of who asked"
        " and one of these",
    }
    Outboxes = {
        "outbox": "bytes: to the mail server",
        "attempts": "Attempt or MessageAttempt: to the decider",
        "signal": "producerFinished: the connection is over, close it",
    }

    __slots__ = (
        *(*Waiting.SLOTS, *Content.SLOTS),
        *("when_turned", "_between", "_certified", "_next", "_recipient_names", "_way", "_wishes"),
    )

    def __init__(
        self,
        office: DecisionOffice,
        peer: str = "",
        peerport: int = 0,
        localip: str = "",
        localport: int = 0,
        macros: tuple[str, ...] = (),
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        rules = office.rules
        self._wishes, names, self._recipient_names = _wished(rules, macros)
        connection = {"peer": peer, "peerport": peerport, "localip": localip}
        super().__init__(office, self._wishes, patience, names, **connection, localport=localport)
        # Called with this component when it has another office than it had.
        self.when_turned: Callable[[MilterDoor], object] | None = None
        self._next: tuple[DecisionOffice, tuple[str, ...], float] | None = None
        self._between = False  # one session is over, and no other has begun
        self._way: WayToDecider | None = None
        self._certified: bool | None = None  # its client has a certificate; None: not looked yet

    def axon_box_made(self, box: Inbox | Outbox) -> None:
        if box.name == "decisions":
            act_at_once(self, "decisions", self.hear)
        else:
            super().axon_box_made(box)

    # ---- what the mail server tells

    def take(self, event: Commands.Command) -> None:
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)

    def _connected(self, event: Commands.Connect) -> None:
        self._between = False
        self._client = event.address
        self._host = event.host

    def _hello(self, event: Commands.Helo) -> None:
        self._forget_mail()
        self._helo = event.name[:LONGEST]
        self._certified = None

    def _begins(self, event: Commands.MailFrom) -> None:
        self._forget_mail()
        if self._is_ending():
            return
        self._mail = MilterMail(
            event.address, authenticated=bool(self.session.macro("auth_authen"))
        )

    def _recipient(self, event: Commands.Recipient) -> None:
        mail = self._mail
        if mail is None:
            raise RuntimeError("a recipient without a message")  # the session does not let it be
        if mail.is_full:
            self.refuse(TOO_MANY)
            return
        text = bare(event.address)
        if not self._client:
            mail.let_pass(text, NO_ADDRESS)
            self.answer(CONTINUE)
            return
        local, domain = sides(text)
        self.ask(
            Attempt(
                self._client,
                self._helo,
                mail.sender,
                text,
                self.session_id or self._new_id(),
                local,
                domain,
                authenticated=mail.authenticated,
                mta=True,
                reply_to=(self._asker or self, "decisions"),
                subject=self._subject(mail, text),
            )
        )

    def _broken_off(self, _: object) -> None:
        self.forget_question(left=True)
        self._forget_mail()
        self._is_ending()

    def _is_ending(self) -> bool:
        """Between two messages: whether there is no other to come. Postfix says that one is over in
        the same breath as that another begins."""
        if self._stopping:
            self.session.closed = True
        return self._stopping

    def _new_session(self, event: object) -> None:
        self._broken_off(event)
        self._known = self._certified = None
        self._client = self._host = self._helo = self.session_id = ""
        self._between = True
        self._turn()

    # ---- other settings

    def turn_to(self, office: DecisionOffice, macros: tuple[str, ...], patience: float) -> None:
        """The settings have changed: these hold from the mail server's next session on. Its client
        of now began with the others, and keeps them."""
        self._next = (office, macros, patience)
        if self._between:
            self._turn()

    def _turn(self) -> None:
        """Between two sessions."""
        if self._next is None:
            return
        (office, macros, self._patience), self._next = self._next, None
        wishes, _, _ = _wished(office.rules, macros)
        if wishes is not self._wishes:
            # What we are told was agreed on, once for the connection: messages that are to be
            # looked at from now on would not even be sent. The mail server has to make another one.
            self.session.closed = True
            self.unpause()
            return
        if self._way is not None:
            self._way.end()
            self._way = None
        self._asks = False
        self.office = office
        self._rules = office.rules
        if self.when_turned is not None:
            self.when_turned(self)

    # ---- what the rules are told

    def _subject(self, mail: MilterMail, recipient: str) -> Subject | None:
        """What is known; None: nobody would look at it."""
        rules = self._rules
        if rules is None or not (rules.tells_names or self._vouched_for()):
            return None
        known = self._meet(mail)
        self._tell(known, self._recipient_names)
        now = rules.clock()
        return Subject(
            known,
            mail.mail(self.session.macro("i")),
            milter_recipient(f"<{recipient}>"),
            now,
            rules.local(now),
        )

    def _vouched_for(self) -> bool:
        """Whether the mail server says something for the client, beside that it has logged in."""
        macro = self.session.macro
        if self._certified is None:  # it comes with HELO, and not with each recipient
            subject = tls_subject(macro("verify"), macro("cert_subject"), macro("v"))
            self._certified = bool(subject)
        return self._certified or bool(macro("greylist"))

    # ---- what was decided

    def decided(self, asked: Attempt | MessageAttempt, decision: Any) -> None:  # noqa: ANN401
        mail = self._mail
        if mail is None:
            return
        if isinstance(asked, MessageAttempt):
            self._message_decided(mail, decision)
            return
        verdict = decision.verdict
        if verdict is _PASS:
            mail.let_pass(asked.recipient, decision)
            self.answer(CONTINUE)
        elif verdict is _DEFER and self._may_put_off(mail):
            mail.put_off = said(decision)
            self.answer(CONTINUE)
        else:
            self.refuse(said(decision))

    def _may_put_off(self, mail: MilterMail) -> bool:
        """Whether it is a bounce, which may hear of its deferral after the message."""
        return self._rules is not None and self._rules.delayedreject and not mail.sender

    def _hear(self, message: object) -> None:
        super()._hear(message)
        if not isinstance(message, shutdownMicroprocess):
            return
        self.leave_tarpit_now()
        mail = self._mail
        if mail is None or self.session.waiting or mail.last or mail.put_off:
            return
        self.session.closed = True  # nobody has been let in: its client has nothing to lose

    # ---- the first question, and the end

    def begin_asking(self) -> None:
        self._way = WayToDecider(self.outboxes["attempts"], self.office, self)

    def _closeDownMicroprocess(self) -> object:
        # However it ends: what was taken is given back.
        if self._mail is not None:
            self._forget_mail()
        if self._way is not None:
            self._way.end()
        return super()._closeDownMicroprocess()


_HANDLERS: dict[type, Callable[[MilterDoor, Any], None]] = {
    Commands.Connect: MilterDoor._connected,
    Commands.Helo: MilterDoor._hello,
    Commands.MailFrom: MilterDoor._begins,
    Commands.Recipient: MilterDoor._recipient,
    Commands.Header: MilterDoor._header,
    Commands.BodyChunk: MilterDoor._body,
    Commands.EndOfMessage: MilterDoor._ends,
    Commands.Abort: MilterDoor._broken_off,
    Commands.Quit: MilterDoor._broken_off,
    Commands.QuitNewConnection: MilterDoor._new_session,
}
__kamaelia_components__ = (MilterDoor,)
