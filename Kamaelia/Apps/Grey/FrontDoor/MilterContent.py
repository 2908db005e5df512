"""
A message at the door of a mail server, until it may go on
==========================================================
The part of MilterDoor that has to do with the message itself. Without rules of the DATA stage there
is nothing but its end, where headers are added. With them the mail server sends all of it; it is
kept, judged, and what becomes of it is told to the mail server, which has it already::

    headers, body --> kept --its end--> judged --no--> 4xx, 5xx
                       |                  |
                       |                  +--yes--> edits, one after the other, and "go on"
                       +--no room for it, too large, a fault--> 452, 552, 451 at its end

Example Usage
-------------
The door is this, and the side of sessions and recipients::

    class MilterDoor(MilterContent, MilterSession):
        __slots__ = (*MilterContent.SLOTS, *MilterWaiting.SLOTS)

Rules. A body that is replaced goes back piece by piece, and no faster than the mail server takes
it: no more than a piece of it is in memory. What is kept is given up when the message is over,
however that comes about.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from Axon.Timers import Timer
from Kamaelia.Apps.Grey.Core.Access.Subject import Session
from Kamaelia.Apps.Grey.Core.Normalise import network_of
from Kamaelia.Apps.Grey.Core.Types import MessageAttempt, MessageDecision, Verdict
from Kamaelia.Apps.Grey.FrontDoor.DecisionOffice import DecisionOffice
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import MOST_HEADERS, DoorRules
from Kamaelia.Apps.Grey.FrontDoor.KeptMessage import KeptMessage, NoRoomError
from Kamaelia.Apps.Grey.FrontDoor.MessageEdits import Edits, content_of, read_head
from Kamaelia.Apps.Grey.FrontDoor.MilterEdits import edits_of
from Kamaelia.Apps.Grey.FrontDoor.MilterFacts import local_address, meet
from Kamaelia.Apps.Grey.FrontDoor.MilterMail import NO_ADDRESS, Headers, MilterMail
from Kamaelia.Apps.Grey.FrontDoor.MilterMessage import MilterMessage, TooLargeError
from Kamaelia.Apps.Grey.FrontDoor.MilterWaiting import MilterWaiting
from Kamaelia.Apps.Grey.FrontDoor.Words import Words, said
from Kamaelia.Support.Protocol.Milter.Commands import BodyChunk, EndOfMessage, Header
from Kamaelia.Support.Protocol.Milter.Negotiation import Wishes
from Kamaelia.Support.Protocol.Milter.Responses import CONTINUE, reply

log = logging.getLogger(__name__)

NO_ROOM: Words = (452, "4.3.1", "no room to keep this message now, try again later")
NOT_JUDGED: Words = (451, "4.3.0", "this message could not be looked at, try again later")
TOO_LARGE: Words = (552, "5.3.4", "message is too large")
SENT_AT_ONCE = 1 << 20  # bytes of edits; then others have their turn
NEXT_SECONDS = 0.02  # until more is sent to a mail server that has not taken all
STALLED_SECONDS = 300.0  # as long as it waits for us at the end of a message
# Of the door, as those of MilterWaiting.
SLOTS = ("_client", "_helo", "_host", "_mail", "_names", "_next_send", "_sending")


class MilterContent(MilterWaiting):
    """MilterContent(office, wishes, patience, names) -> the part of a MilterDoor that has to do
    with messages; see there. names: macros that the rules are told of session and message."""

    def __init__(
        self,
        office: DecisionOffice,
        wishes: Wishes,
        patience: float,
        names: tuple[str, ...],
        **connection: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(office, wishes, patience, **connection)
        self._names = names
        self._client = self._host = self._helo = ""
        self._mail: MilterMail | None = None
        self._sending: Iterator[bytes] | None = None  # edits, piece by piece
        self._next_send: Timer | None = None

    # ---- what all of it needs

    def _new_id(self) -> str:
        self.session_id = made = self.office.new_id()
        return made

    def _meet(self, mail: MilterMail) -> Session:
        """The client as rules see it; what came with MAIL is in it, too."""
        known = self._known
        if known is None:
            session_id = self.session_id or self._new_id()
            self._known = known = Session(self._client, session_id=session_id)
        if not mail.told:
            mail.told = True
            self._tell(known, self._names)
            meet(known, self._host, self._helo)
        return known

    def _tell(self, known: Session, names: tuple[str, ...]) -> None:
        macros, macro = known.macros, self.session.macro
        for name in names:
            value = macro(name)
            if value:
                macros[name] = value
            else:
                macros.pop(name, None)

    def refuse(self, words: Words) -> None:
        code, ecode, text = words
        tag = self.session_id or self._new_id()
        mail = self._mail
        if mail is not None and mail.kept is not None:  # the next message may be long in coming
            self._forget_message(mail)
        self.answer(reply(code, ecode, f"{text} ({tag})"))
        if self._stopping and (mail is None or (mail.last is None and mail.put_off is None)):
            self.session.closed = True  # nobody has been let in: its client has nothing to lose
            self.unpause()

    # ---- what the mail server tells

    def _header(self, event: Header) -> None:
        kept = self._keeping()
        if kept is not None:
            self._keep(kept.header, event.name, event.value, event.blank)

    def _body(self, event: BodyChunk) -> None:
        kept = self._keeping()
        if kept is not None:
            self._keep(kept.body, event.data)

    def _ends(self, event: EndOfMessage) -> None:
        if event.data:
            self._body(BodyChunk(event.data))
        mail, kept = self._mail, self._keeping()
        if kept is not None:
            self._keep(kept.end)
        if mail is None or (mail.last is None and mail.put_off is None):
            self.refuse(NOT_JUDGED)  # nobody has let anybody have it
        elif mail.put_off is not None:
            self.refuse(mail.put_off)
        elif mail.early is not None:
            self.refuse(mail.early)
        elif mail.kept is not None and self._rules is not None:
            self._judge(self._rules, mail, mail.kept)
        else:
            self._let_out(mail, Edits(self._report(mail), _few(mail.given_headers)))

    # ---- keeping it

    def _keeping(self) -> MilterMessage | None:
        """Where the message is kept, if it is to be judged."""
        mail, rules = self._mail, self._rules
        if mail is None or mail.kept is not None:
            return None if mail is None else mail.kept
        if rules is None or not rules.data_rules or mail.last is None:
            return None
        if mail.put_off is not None or mail.early is not None:
            return None
        owner = network_of(self._client, 32, 64)
        kept = KeptMessage(rules.room, owner=owner)
        mail.kept = MilterMessage(kept, rules.settings.size_limit)
        return mail.kept

    def _keep(self, put: Callable[..., None], *parts: bytes) -> None:
        try:
            put(*parts)
        except NoRoomError as error:
            self._cannot_keep(NO_ROOM, error)
        except TooLargeError as error:
            self._cannot_keep(TOO_LARGE, error)
        except OSError as error:
            self._cannot_keep(NO_ROOM, error)

    def _cannot_keep(self, words: Words, why: object) -> None:
        mail = self._mail
        if mail is not None and mail.early is None:
            log.error("session %s: a message cannot be kept: %s", self.session_id, why)
            mail.early = words
            self._forget_message(mail)

    # ---- judging it

    def _judge(self, rules: DoorRules, mail: MilterMail, message: MilterMessage) -> None:
        last = mail.last
        ruling = last.ruling if last is not None and last is not NO_ADDRESS else None
        mail.message_id = rules.new_message_id()
        try:
            head = read_head(message.kept)
            content = content_of(message.kept, head, mail.message_id, rules.peek(ruling))
        except OSError as error:
            self._cannot_read(mail, error)
            return
        told = mail.mail(self.session.macro("i"))
        told.content = content
        if rules.register is not None:
            rules.register.add(mail.message_id, message.kept)
        known = self._meet(mail)
        reply_to = (self._asker or self, "decisions")
        self.ask(MessageAttempt(known, told, known.session_id, reply_to, ruling))

    def _cannot_read(self, mail: MilterMail, error: OSError) -> None:
        log.error("session %s: a kept message cannot be read: %s", self.session_id, error)
        self._forget_message(mail)
        self.refuse(NOT_JUDGED)

    def _message_decided(self, mail: MilterMail, decision: MessageDecision) -> None:
        if decision.verdict is not Verdict.PASS:
            self._forget_message(mail)
            self.refuse(said(decision))
            return
        ruling = decision.ruling
        # The message may have been made to wait itself, when all of it was there.
        mail.waited = max(mail.waited, decision.waited_seconds)
        headers = _few((*mail.given_headers, *ruling.addheaders))
        edits = Edits(self._report(mail), headers, ruling.subjtag, ruling.addfooter)
        self._let_out(mail, edits)

    # ---- letting it go on

    def _report(self, mail: MilterMail) -> bytes:
        rules, last = self._rules, mail.last
        if rules is None:
            return b""
        if not rules.reports and (last is None or last.ruling is None or not last.ruling.report):
            return b""
        macro = self.session.macro
        address = local_address(macro("if_addr"), macro("daemon_addr"))
        return rules.report_line(mail.waited, last, address, macro("j"))

    def _let_out(self, mail: MilterMail, edits: Edits) -> None:
        """The mail server may have it, edited."""
        agreement, kept = self.session.agreement, mail.kept
        if agreement is None:
            return  # there is no message before that
        packets = edits_of(
            edits,
            agreement.actions,
            subject=kept.subject if kept is not None else None,
            body=kept.body_pieces() if kept is not None else (),
            leading_space=agreement.leading_space,
        )
        if kept is None or not edits.footer or kept.kept.size < SENT_AT_ONCE:
            try:
                wire = b"".join(packets)
            except OSError as error:
                self._cannot_read(mail, error)
                return
            self._forget_message(mail)
            self.answer(wire + CONTINUE)
        else:
            self._sending = packets
            self._since = self.now()
            self._send_edits()

    def _send_edits(self) -> None:
        """Send some more of a body that is to be replaced. What the mail server has not taken yet
        waits in memory: nothing is added to that."""
        self._next_send = None
        mail, packets = self._mail, self._sending
        if mail is None or packets is None or not self.session.waiting:
            return
        sink = self.outboxes["outbox"].sink
        if not sink.q:
            parts: list[bytes] = []
            size = 0
            while size < SENT_AT_ONCE:
                try:
                    packet = next(packets, None)
                except OSError as error:
                    self._sending = None
                    self._cannot_read(mail, error)
                    return
                if packet is None:
                    self._sending = None
                    self._forget_message(mail)
                    self.answer(b"".join(parts) + CONTINUE)
                    return
                parts.append(packet)
                size += len(packet)
            self.send(b"".join(parts), "outbox")
            self._since = self.now()
        elif self.now() >= self._since + STALLED_SECONDS:
            # Who takes nothing is not waited for: others could have the room of its message.
            log.warning("session %s: its mail server does not take the message", self.session_id)
            self.session.closed = True
            self.unpause()
            return
        self._next_send = self.scheduler.call_later(
            NEXT_SECONDS if sink.q else 0.0, self._send_edits
        )

    # ---- the ends of things

    def _forget_message(self, mail: MilterMail) -> None:
        rules = self._rules
        if mail.message_id and rules is not None and rules.register is not None:
            rules.register.remove(mail.message_id)
        mail.message_id = 0
        mail.forget_message()

    def _forget_mail(self) -> None:
        """It is over, or broken off: nothing of it is for the next one."""
        self.forget_question()
        mail, self._mail = self._mail, None
        if self._sending is not None:
            self._sending = None
            if self._next_send is not None:
                self._next_send.cancel()
                self._next_send = None
        if mail is not None:
            self._forget_message(mail)


def _few(headers: Headers) -> Headers:
    """Each once, for recipients of one message mostly have the same."""
    return tuple(dict.fromkeys(headers))[:MOST_HEADERS] if headers else headers
