"""
The desk's third side: what the access rules want
=================================================
The part of ProxyDesk that is there for the rules: it tells them who the client is, and does what
they say beside "yes" and "no": replies in their words, tarpits, headers, and messages that are kept
until their own rules have been asked. A desk without `DoorRules` never comes here.

A message that has to be judged (rules of the DATA stage) goes this way::

    server's 354 --> kept --client's dot--> judged --no--> dropped without the dot, 4xx or 5xx
                      |                       |
                      |                       +--yes--> sent, edited --dot--> the server's reply
                      +--no room, a fault, the server or the client is gone--> dropped, 451

Example Usage
-------------
The desk is a component and this::

    class ProxyDesk(RuleSide, component):
        ...

Rules. Until the server has been sent the dot, a message is nobody's: when the client is gone by
then, nothing more of it is sent. A tarpit is the client's to endure: who hangs up inside it has not
been let in. The null sender's deferral (delayedreject) waits until after its message, of which the
server gets nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from Axon.Timers import Timer
from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session, Subject
from Kamaelia.Apps.Grey.Core.Normalise import milter_recipient, milter_sender, network_of
from Kamaelia.Apps.Grey.Core.Outcome import Fate
from Kamaelia.Apps.Grey.Core.Types import (
    Attempt,
    Decision,
    MessageAttempt,
    MessageDecision,
    Reason,
    Verdict,
)
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import (
    LONGEST_TARPIT,
    MOST_HEADERS,
    DoorRules,
    endured,
    is_for_waiting,
)
from Kamaelia.Apps.Grey.FrontDoor.KeptMessage import KeptMessage, NoRoomError
from Kamaelia.Apps.Grey.FrontDoor.LoginName import LoginName
from Kamaelia.Apps.Grey.FrontDoor.MessageEdits import Edits, content_of, edited, read_head
from Kamaelia.Apps.Grey.FrontDoor.ServerSide import START, ServerSide
from Kamaelia.Apps.Grey.FrontDoor.Transaction import Transaction
from Kamaelia.Apps.Grey.FrontDoor.Words import USUAL, words_of
from Kamaelia.Support.Protocol.SMTP.ClientCommands import EndData, ResetTransaction
from Kamaelia.Support.Protocol.SMTP.Events import DataReceived, Parameters
from Kamaelia.Support.Protocol.SMTP.Replies import Reply

if TYPE_CHECKING:
    from Kamaelia.Internet.TLSSocket import TLSInfo

log = logging.getLogger(__name__)

NO_ROOM = Reply.of(452, "4.3.1", "no room to keep this message now, try again later")
NOT_JUDGED = Reply.of(451, "4.3.0", "this message could not be looked at, try again later")
IMPATIENT = Reply.of(451, "4.4.2", "you have not waited for the reply, try again later")
NO_TARPIT = Reply.of(451, "4.3.2", "too many clients are kept waiting, try again later")
STOPPING = Reply.of(421, "4.3.2", "service is shutting down, try again later")
JUDGED_SECONDS = 120.0  # the decider has limits of its own: this is for a fault in it
PIECES_AT_ONCE = 16  # of 64 KiB at the most, then others have their turn
_DOT = EndData()
_BLANKS = (b" ", b"\t")


class Judged:
    """A message that is kept: where the decision on it is to be delivered, and how far it is."""

    __slots__ = ("asked", "desk", "message", "message_id", "sending", "timer")

    def __init__(self, desk: RuleSide, message: KeptMessage, message_id: int) -> None:
        self.desk = desk
        self.message = message
        self.message_id = message_id
        self.asked = False
        self.timer: Timer | None = None
        self.sending: Iterator[bytes] | None = None

    @property
    def inboxes(self) -> Mapping[str, Judged]:
        return {"decision": self}

    def deliver(self, decision: object) -> None:
        """For this message and no other: one that was given up may have left its own behind."""
        self.desk.inboxes["judged"].deliver((self, decision))


class RuleSide(ServerSide):
    """The part of a ProxyDesk that is there for the rules; see the module."""

    def __init__(self) -> None:
        super().__init__()
        self._known: Session | None = None  # what the rules are told of the client
        self._mail: Mail | None = None
        self._login: LoginName | None = None
        self._tls: TLSInfo | None = None
        self._endured: Decision | None = None  # whose tarpit is over
        self.client_name: str | None = None  # as a front has said
        self._client_gone = False  # it sends no more, and most likely reads no more
        self._tarpit: tuple[Timer, Decision, float, Attempt] | None = None
        self._attempt: Attempt | None = None  # what a decision is due on, while there are rules

    # ---- what the rules are told

    def _subject(self, rules: DoorRules, recipient: str) -> Subject:
        now = rules.clock()
        return Subject(
            self._known or self._meet(rules),
            self._mail or self._new_mail(),
            milter_recipient(f"<{recipient}>"),
            now,
            rules.local(now),
        )

    def _meet(self, rules: DoorRules) -> Session:
        facts = self._facts
        local = facts.server[0] if facts is not None else ""
        self._known = known = Session(
            self._client,
            self.client_name,
            self._helo,
            local_address=local,
            session_id=self._id,
            macros={"j": rules.settings.hostname, "client_addr": self._client, "if_addr": local},
        )
        if self._tls is not None:
            self._tell_tls(known, self._tls)
        return known

    def _new_mail(self) -> Mail:
        sender = f"<{self._transaction.sender_text}>"
        self._mail = mail = Mail(milter_sender(sender), raw_sender=sender)
        return mail

    def told_of_tls(self, info: TLSInfo) -> None:
        """The client's connection is encrypted; all that it said before does not count."""
        self._tls = info
        if self._known is not None:
            self._tell_tls(self._known, info)

    def _tell_tls(self, known: Session, info: TLSInfo) -> None:
        known.tls_version = info.version
        known.macros |= {"tls_version": info.version, "cipher": info.cipher}

    def _logged_in(self) -> None:
        login, rules = self._login, self._rules
        if login is not None and rules is not None:
            known = self._known or self._meet(rules)
            known.auth_user = known.macros["auth_authen"] = login.text

    # ---- tarpit

    def _keep_waiting(self, rules: DoorRules, decision: Decision) -> bool:
        """Whether the decision's reply has to wait; when it is due `_decided` is told again."""
        ruling, attempt = decision.ruling, self._attempt
        self._attempt = None  # it has us in it
        if ruling is None or attempt is None:
            return False
        seconds = min(ruling.tarpit, LONGEST_TARPIT)
        if seconds <= 0:
            return False
        if not rules.enter_tarpit():
            if decision.verdict is not Verdict.PASS or not is_for_waiting(ruling):
                return False
            self._answer_recipient(NO_TARPIT.tagged(self._id))
            return True
        timer = self.scheduler.call_later(seconds, self._tarpit_over)
        self._tarpit = timer, endured(decision, seconds), self.now(), attempt
        if self._client_gone:
            self._leave_tarpit(IMPATIENT)
        return True

    def _tarpit_over(self) -> None:
        if self._tarpit is None or self._rules is None:
            return
        decision, since = self._tarpit[1], self._tarpit[2]
        self._tarpit = None
        self._rules.leave_tarpit()
        if self._known is not None:
            self._known.tarpitted += self.now() - since
        self._endured = decision
        self._decided(decision)

    def _leave_tarpit(self, reply: Reply | None) -> None:
        """It has not been endured; the client hears this, if it still hears anything."""
        if self._tarpit is None or self._rules is None:
            return
        timer, _, since, attempt = self._tarpit
        self._tarpit = None
        timer.cancel()
        self._rules.leave_tarpit()
        if reply is not STOPPING:
            self._rules.tarpit_left(attempt, self.now() - since)
        if reply is not None:
            self._answer_recipient(reply.tagged(self._id))

    def _decided(self, decision: Decision) -> None:
        raise NotImplementedError  # see ProxyDesk

    # ---- replies

    def _said_by(self, verdict: Verdict, said: tuple[str, str, str]) -> Reply:
        return reply_of(verdict, said, self._id)

    def _put_off(self, decision: Decision) -> bool:
        """Whether the null sender may hear of its deferral after the message: then its recipient
        is for the server to take or refuse."""
        transaction = self._transaction
        if transaction.sender_text:
            return False
        said = decision.reply
        if said is not None:
            transaction.putting_off = self._said_by(Verdict.DEFER, said)
        else:
            transaction.putting_off = self._greylisted(decision.wait_seconds)
        self._offer_recipient()
        return True

    def _greylisted(self, seconds: int) -> Reply:
        raise NotImplementedError  # see ProxyDesk

    def _note_accepted(self, transaction: Transaction) -> None:
        """The server has taken a recipient, whom we have let pass."""
        decision = transaction.decision
        if transaction.putting_off is not None:
            transaction.put_off, transaction.putting_off = transaction.putting_off, None
        if self._mail is not None:
            self._mail.recipients.append(milter_recipient(f"<{transaction.recipient_text}>"))
        if decision is None:
            return
        transaction.last_decision = decision
        if decision.reason is Reason.RETRIED and decision.waited_seconds > transaction.waited:
            transaction.waited = decision.waited_seconds
        if decision.ruling is not None and decision.ruling.addheaders:
            transaction.given_headers += decision.ruling.addheaders

    def _with_room(self, rules: DoorRules, parameters: Parameters) -> Parameters:
        """The server is told of the size that the message may have when we are done with it."""
        size = parameters.get("SIZE")
        if not size or not rules.added_bytes:
            return parameters
        return {**parameters, "SIZE": b"%d" % (int(size) + rules.added_bytes)}

    # ---- the message

    def _swallow(self, reply: Reply) -> None:
        """Take a message that nobody gets, to answer it with that."""
        transaction = self._transaction
        transaction.in_data = True
        transaction.early = reply
        transaction.sender_given = False
        if self._connected:
            self._say(ResetTransaction())
        self.send(START, "outbox")

    def _message_begins(self, rules: DoorRules) -> None:
        """The server wants to have the message."""
        transaction = self._transaction
        if rules.data_rules:
            message_id = rules.new_message_id()
            # The same that counts as one client where connections are limited (Admission).
            owner = network_of(self._client, 32, 64)
            message = KeptMessage(rules.room, owner=owner)
            transaction.judged = Judged(self, message, message_id)
            return
        front = self._report(rules, transaction)
        if transaction.given_headers:
            texts = [text for text, _ in transaction.given_headers]
            front += b"".join(rules.given_lines(texts))
        transaction.front = front

    def _report(self, rules: DoorRules, transaction: Transaction) -> bytes:
        last = transaction.last_decision
        if not rules.reports and (last is None or last.ruling is None or not last.ruling.report):
            return b""
        address = self._facts.server[0] if self._facts is not None else ""
        return rules.report_line(transaction.waited, last, address)

    def _behind_front(self, data: bytes) -> bytes:
        """The first piece of a message, with what stands in front of it."""
        transaction = self._transaction
        front, transaction.front = transaction.front, b""
        # No line of the message may continue one of ours.
        return front + b"\r\n" + data if data[:1] in _BLANKS else front + data

    def _keep(self, judged: Judged, data: bytes) -> None:
        try:
            judged.message.add(data)
        except NoRoomError:
            self._cannot_keep(NO_ROOM, "no room")
        except OSError as error:
            self._cannot_keep(NO_ROOM, error)

    def _cannot_keep(self, reply: Reply, why: object) -> None:
        log.error("session %s: a message cannot be kept: %s", self._id, why)
        self._transaction.early = reply.tagged(self._id)
        self._forget_judged()
        self._abandon()

    def _forget_judged(self) -> None:
        """Nothing more becomes of the message that is kept."""
        judged, self._transaction.judged = self._transaction.judged, None
        if judged is None:
            return
        if judged.timer is not None:
            judged.timer.cancel()
        if judged.asked and self._rules is not None and self._rules.register is not None:
            self._rules.register.remove(judged.message_id)
        judged.sending = None
        judged.message.close()
        if self._mail is not None:
            self._mail.content = None

    def _judge(self, rules: DoorRules, judged: Judged) -> None:
        """The client's dot came."""
        if self._client_gone:
            self._give_up_judged("client went away after its message", IMPATIENT)
            return
        last = self._transaction.last_decision
        ruling = last.ruling if last is not None else None
        try:
            head = read_head(judged.message)
            content = content_of(judged.message, head, judged.message_id, rules.peek(ruling))
        except OSError as error:
            self._cannot_read(error)
            return
        mail = self._mail or self._new_mail()
        mail.content = content
        judged.asked = True
        judged.timer = self.scheduler.call_later(JUDGED_SECONDS, self._judged_late)
        if rules.register is not None:
            rules.register.add(judged.message_id, judged.message)
        known = self._known or self._meet(rules)
        self.send(MessageAttempt(known, mail, self._id, (judged, "decision"), ruling), "attempts")

    def _cannot_read(self, error: OSError) -> None:
        log.error("session %s: a kept message cannot be read: %s", self._id, error)
        self._give_up_judged("it could not be read", NOT_JUDGED)

    def _judged_late(self) -> None:
        log.error("session %s: no decision on a message in %d s", self._id, JUDGED_SECONDS)
        self._give_up_judged("it was not judged", NOT_JUDGED)

    def _give_up_judged(self, why: str, reply: Reply) -> None:
        """Not judged, or not sent to its end: the server must not take it, the client hears why."""
        self._log_outcome(self._transaction, Fate.ABANDONED, why)
        self._forget_judged()
        self._abandon()
        self._end_message(reply.tagged(self._id))

    def _message_decided(self, answer: tuple[Judged, MessageDecision]) -> None:
        judged, decision = answer
        rules, transaction = self._rules, self._transaction
        if rules is None or transaction.judged is not judged or judged.sending is not None:
            return  # it has been given up, or decided on
        if judged.timer is not None:
            judged.timer.cancel()
            judged.timer = None
        if decision.verdict is Verdict.PASS:
            self._let_out(rules, judged, decision)
            return
        reply = self._said_by(decision.verdict, decision.reply or USUAL[decision.verdict])
        fate = Fate.REFUSED if reply.code >= 500 else Fate.DEFERRED
        self._log_outcome(transaction, fate, f"{reply.code} {reply.text}")
        self._forget_judged()
        self._abandon()
        self._end_message(reply)

    def _let_out(self, rules: DoorRules, judged: Judged, decision: MessageDecision) -> None:
        transaction, ruling = self._transaction, decision.ruling
        # The message may have been made to wait itself, when all of it was there.
        transaction.waited = max(transaction.waited, decision.waited_seconds)
        edits = Edits(
            self._report(rules, transaction),
            tuple(dict.fromkeys((*transaction.given_headers, *ruling.addheaders)))[:MOST_HEADERS],
            ruling.subjtag,
            ruling.addfooter,
        )
        try:
            judged.sending = edited(judged.message, read_head(judged.message), edits)
        except OSError as error:
            self._cannot_read(error)
            return
        self._send_kept(judged)

    def _send_kept(self, judged: Judged) -> None:
        """Send some more of a message that was kept; `main` goes on with it."""
        transaction = self._transaction
        for _ in range(PIECES_AT_ONCE):
            if self._kept or transaction.judged is not judged or judged.sending is None:
                return  # there is no room for more, or nothing to send any more
            try:
                piece = next(judged.sending, None)
            except OSError as error:
                self._cannot_read(error)
                return
            if piece is None:
                transaction.after_dot = True
                self._forget_judged()
                self._say(_DOT)
                return
            if piece:
                self._say(DataReceived(piece))
        self.unpause()

    @property
    def _has_more(self) -> bool:
        """Whether there is more of a kept message to be sent, and room for it."""
        judged = self._transaction.judged
        return judged is not None and judged.sending is not None and not self._kept

    # ---- the client

    def client_left(self, stopping: bool = False) -> None:
        """The client has closed its side, or (`stopping`) our program wants to end. Who is inside a
        tarpit, or waits for its message to be judged, is not waited for."""
        if stopping:
            self._leave_tarpit(STOPPING)
            return
        self._client_gone = True
        self._leave_tarpit(IMPATIENT)
        judged, transaction = self._transaction.judged, self._transaction
        if judged is not None and transaction.complete and not transaction.after_dot:
            self._give_up_judged("client went away after its message", IMPATIENT)


def reply_of(verdict: Verdict, said: tuple[str, str, str], tag: str) -> Reply:
    """A reply in the words of a decision; see `words_of`."""
    code, ecode, words = words_of(verdict, said)
    return Reply.of(code, ecode, f"{words} ({tag})" if tag else words)


__all__ = ["Judged", "RuleSide", "reply_of"]
