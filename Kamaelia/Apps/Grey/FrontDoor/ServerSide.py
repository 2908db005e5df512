"""
The desk's other side: one client's mail, and the real server
=============================================================
The half of ProxyDesk that deals with the server: which one, what it is told, what it says, and what
becomes of a recipient or a message when it fails. What the client does and what the decider says
stands in ProxyDesk.py, with the rules of both.

What is known of one message on its way stands in a `Transaction`.

Example Usage
-------------
The desk is a component and this::

    class ProxyDesk(ServerSide, component):
        ...

Rules. Until the server has taken a recipient nothing was promised to anybody, so a connection that
turns out dead is made anew, once, and other servers are tried. After that the client hears at each
step what is lost. Between the dot and its reply nobody but the server knows what became of the
message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from Axon.AxonExceptions import noSpaceInBox
from Axon.Ipc import producerFinished
from Kamaelia.Apps.Grey.Core.Outcome import Fate, Outcome
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Apps.Grey.FrontDoor.RelayPool import ClientFacts, RelayPool
from Kamaelia.Apps.Grey.FrontDoor.Transaction import Transaction
from Kamaelia.Support.Protocol.SMTP.Address import NULL_PATH
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.ClientCommands import (
    Abandoned,
    ClientCommand,
    GiveRecipient,
    GiveSender,
)
from Kamaelia.Support.Protocol.SMTP.Events import (
    FailReason,
    Parameters,
    Ready,
    RecipientGiven,
    ReplyReceived,
    SessionFailed,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply

if TYPE_CHECKING:
    from Axon.Component import component as Whole  # what this is a part of
    from Kamaelia.Apps.Grey.FrontDoor.DoorRules import DoorRules
    from Kamaelia.Apps.Grey.FrontDoor.Verifier import Verifier
else:
    Whole = object

log = logging.getLogger(__name__)

AWAY = Reply.of(451, "4.4.1", "the mail server cannot be reached, try again later")
LOST = Reply.of(451, "4.4.2", "connection to the mail server lost, try again later")
NOT_NOW = Reply.of(451, "4.3.2", "the mail server is not taking mail now, try again later")
CHANGED = Reply.of(451, "4.3.0", "the mail server no longer offers what was asked, try again later")
ELSEWHERE = Reply.of(452, "4.5.3", "this recipient needs a message of its own, send it again")
NO_AUTH = Reply.of(454, "4.7.0", "logging in does not work now, try again later")
LOGGED_OUT = Reply.of(421, "4.4.2", "connection to the mail server lost, log in again")
RELAY_DENIED = Reply.of(550, "5.7.1", "relaying denied")
START = Reply.of(354, "", "end data with <CR><LF>.<CR><LF>")

_FATES = {2: Fate.DELIVERED, 4: Fate.DEFERRED, 5: Fate.REFUSED}


class ServerSide(Whole):
    """The half of a ProxyDesk that deals with the real server; see the module."""

    _client: str
    _id: str
    _backend: Backend | None
    _clock: Callable[[], float]
    _relays: RelayPool | None
    _verifier: Verifier | None
    _facts: ClientFacts | None
    _helo: str
    _esmtp: bool
    _over: bool
    _rules: DoorRules | None

    def __init__(self) -> None:
        super().__init__()
        self._transaction = Transaction(NULL_PATH, {})
        self._domain: bytes | None = None  # for which the server that we have was chosen
        self._connected = False  # as far as we know, the server's session stands
        self._authenticating = False
        self._clients_turn = False  # in that: the server has asked it for something
        self._logged_out = False  # the server that knew the client is gone
        self._pinned = False  # to the server that has authenticated the client
        self._tried: set[Backend] = set()  # servers that could not be used for this recipient
        self._abandoning = 0
        self._kept: list[ClientCommand] = []  # what the server's session had no room for

    # ---- which server

    def _server_for(self, domain: bytes, fresh: bool = False) -> bool:
        """Whether there is a server for this domain, to which commands can be given."""
        relays = self._relays
        if relays is None:
            return True
        if self._backend is not None:
            if self._is_served_there(domain):
                return True
            self._leave_server()
        name = domain.decode("utf-8", "backslashreplace")
        lent = relays.take(self, name, self._facts_now(), self._tried, fresh)
        if lent is None:
            return False
        self._backend, self._connected, self._domain = lent.backend, lent.ready, domain
        return True

    def _facts_now(self) -> ClientFacts | None:
        facts = self._facts
        if facts is not None and (facts.helo, facts.esmtp) != (self._helo, self._esmtp):
            facts = self._facts = replace(facts, helo=self._helo, esmtp=self._esmtp)
        return facts

    def _leave_server(self, drop: bool = False) -> None:
        """Give the relay back. What still speaks of our client's mail is not for the next one."""
        if self._relays is None or self._backend is None:
            return
        self._relays.give_back(self, keep=not self._pinned, drop=drop)
        self._backend = None
        self._connected = False
        self._transaction.sender_given = False
        self._transaction.sender_refusal = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing of ours goes over the relay that we have, and another one will do."""
        busy = self._transaction.sender_given or self._kept or self._authenticating or self._pinned
        return not busy

    def leave_server(self) -> None:
        """The pool wants to have the relay back: our client has had no mail for a while."""
        self._leave_server()

    # ---- what the real server says

    def _offer_recipient(self) -> None:
        transaction = self._transaction
        pending = transaction.pending
        if pending is None:
            return
        transaction.offered = True
        if transaction.sender_refusal is not None and self._is_served_there(pending.path.domain):
            self._answer_recipient(transaction.sender_refusal)
        elif self._logged_out:
            self._answer_recipient(LOGGED_OUT.tagged(self._id))
        elif transaction.accepted and not self._connected:
            # Those who were taken before are lost with the connection: say so at each step.
            self._answer_recipient(LOST.tagged(self._id))
        elif transaction.accepted and not self._goes_with_others(pending.path.domain):
            self._answer_recipient(ELSEWHERE.tagged(self._id))
        elif not self._server_for(pending.path.domain):
            self._answer_recipient(AWAY.tagged(self._id))
        elif (
            (pending.parameters or transaction.parameters)
            and self._connected
            and not self._still_offered(pending)
        ):
            self._answer_recipient(CHANGED.tagged(self._id))
        else:
            given = GiveRecipient(pending.path, pending.parameters)
            if transaction.sender_given:
                self._say(given)
            else:
                transaction.sender_given = True
                parameters = transaction.parameters
                if parameters and self._rules is not None:
                    parameters = self._with_room(self._rules, parameters)
                self._say((GiveSender(transaction.sender, parameters), given))

    def _goes_with_others(self, domain: bytes) -> bool:
        """Whether this message may have another recipient, of this domain."""
        relays = self._relays
        if relays is None or self._backend is None:
            return True
        if relays.settings.access.lmtp:
            return False  # there each recipient has its own reply to the message: we have but one
        return self._is_served_there(domain)

    def _is_served_there(self, domain: bytes) -> bool:
        """Whether mail to this domain goes to the server that we have."""
        relays = self._relays
        if relays is None or self._backend is None:
            return True
        if self._pinned or domain == self._domain:
            return True
        return relays.same(self._backend, domain.decode("utf-8", "backslashreplace"))

    def _still_offered(self, pending: RecipientGiven) -> bool:
        """The server may offer another set than it did when the client chose its parameters.
        Leaving out DSN or SMTPUTF8 would change the mail, so the client has to ask anew."""
        asked = [*self._transaction.parameters, *pending.parameters]
        return not asked or self._backend is None or self._backend.takes(asked)

    def _hear(self, answer: object) -> None:
        if type(answer) is Abandoned:
            self._abandoning -= 1
        if self._abandoning:
            return  # about a session that we have left
        if type(answer) is ReplyReceived:  # nearly always
            _ANSWERED[answer.command](self, answer.reply)
            return
        match answer:
            case Ready(capabilities=capabilities):
                self._server_ready(capabilities)
            case SessionFailed(reason=reason, reply=reply):
                self._connected = False
                self._kept.clear()
                self._let_go_on()
                self._server_failed(reason, reply)

    def _server_ready(self, capabilities: Capabilities) -> None:
        self._connected = True
        if self._backend is not None:
            self._backend.learn(capabilities)
            if self._relays is not None:
                self._relays.succeeded(self._backend)
        pending = self._transaction.pending
        if pending is not None and not self._still_offered(pending):
            self._abandon()
            self._transaction.sender_given = False
            self._answer_recipient(CHANGED.tagged(self._id))

    def _nothing_answered(self, _: Reply) -> None:
        """RSET and QUIT: nobody waits for that."""

    def _sender_answered(self, reply: Reply) -> None:
        if reply.code >= 300:
            self._transaction.sender_refusal = reply

    def _recipient_answered(self, reply: Reply) -> None:
        transaction = self._transaction
        pending = transaction.pending
        if pending is None:
            return
        if transaction.sender_refusal is not None:
            reply = transaction.sender_refusal
        else:
            if self._backend is not None:
                if self._relays is not None and self._relays.backends.failing:
                    self._relays.succeeded(self._backend)  # a kept connection was not greeted anew
                if self._verifier is not None:
                    self._verifier.learn(pending.path, reply, self._backend)
            if reply.code < 300:
                transaction.accepted.append(transaction.recipient_text)
                if self._rules is not None:
                    self._note_accepted(transaction)
        self._answer_recipient(reply)

    def _data_answered(self, reply: Reply) -> None:
        self._transaction.data_asked = False
        if reply.code == 354:
            self._transaction.in_data = True
            reply = START
            if self._rules is not None:
                self._message_begins(self._rules)
        self.send(reply, "outbox")

    def _dot_answered(self, reply: Reply) -> None:
        transaction = self._transaction
        if transaction.complete and transaction.judged is None:
            self._message_answered(reply)
        elif transaction.in_data:
            # Refused in the middle. The client hears of it after its own dot; what it sends till
            # then goes nowhere. The server's session is over (see ClientSession).
            transaction.early = reply
            self._connected = False
            self._kept.clear()
            self._let_go_on()
            if transaction.complete:
                self._message_answered(reply)

    def _message_answered(self, reply: Reply) -> None:
        fate = _FATES.get(reply.code // 100, Fate.UNKNOWN)
        self._log_outcome(self._transaction, fate, f"{reply.code} {reply.text}")
        self._end_message(reply)

    def _end_message(self, reply: Reply) -> None:
        if self._transaction.judged is not None:
            self._forget_judged()
        self._transaction = Transaction(NULL_PATH, {})
        if self._over:
            self.unpause()  # nothing is owed any more
        else:
            self.send(reply, "outbox")

    def _server_failed(self, reason: FailReason, reply: Reply | None) -> None:
        transaction = self._transaction
        transaction.sender_given = False  # the next session knows nothing of it
        answer = self._failure_reply(reason, reply)
        busy = transaction.pending or transaction.data_asked or transaction.in_data
        log.log(
            logging.WARNING if busy else logging.DEBUG,  # a server may close an idle connection
            "session %s: mail server %s: %s%s",
            self._id,
            self._backend,
            reason.name.lower().replace("_", " "),
            # A server may repeat what it was told while somebody logs in: that is a password.
            f": {reply.code} {reply.text}"
            if reply is not None and not self._authenticating
            else "",
        )
        self._logged_out, self._pinned = self._logged_out or self._pinned, False
        if self._authenticating:
            if not self._clients_turn:  # else it hears of it when it has said what it was asked for
                self._auth_over(NO_AUTH.tagged(self._id))
        elif transaction.after_dot:
            # A 421 is an answer, too: it has not taken the message. Anything else says nothing.
            fate = Fate.DEFERRED if reply is not None and reply.code == 421 else Fate.UNKNOWN
            self._log_outcome(transaction, fate, reason.name.lower())
            self._end_message(answer)
        elif transaction.in_data:
            transaction.early = transaction.early or answer
            if transaction.complete:  # the client waits for it: its message was being judged
                self._message_answered(answer)
        elif transaction.pending is not None and transaction.offered:
            # One that still waits for its decision must not go to the server without, and who
            # answers it now would have the decision answer the next one.
            self._recipient_failed(reason, answer)
        elif transaction.data_asked:
            transaction.data_asked = False
            self.send(answer, "outbox")

    def _recipient_failed(self, reason: FailReason, answer: Reply) -> None:
        """Nothing has been promised to anybody yet, unless another recipient was taken: so try once
        more with a new connection, which is most likely enough where an old one was closed while it
        was idle; else with the next server."""
        transaction, backend = self._transaction, self._backend
        stale = reason in (FailReason.LOST, FailReason.SHUTTING_DOWN) and not transaction.retried
        if backend is not None and self._relays is not None and not stale:
            self._relays.failed(backend)
        if transaction.sender_refusal is not None:
            self._answer_recipient(transaction.sender_refusal)
        elif transaction.accepted or self._logged_out:
            self._answer_recipient(answer)
        elif stale:
            transaction.retried = True
            self._offer_recipient()
        elif self._relays is None or backend is None:
            self._answer_recipient(answer)
        else:
            self._tried.add(backend)
            self._leave_server()
            pending = transaction.pending
            if pending is not None and self._server_for(pending.path.domain):
                self._offer_recipient()
            else:
                self._answer_recipient(answer)

    def _failure_reply(self, reason: FailReason, reply: Reply | None) -> Reply:
        match reason:
            case FailReason.SHUTTING_DOWN if reply is not None:
                return reply
            case FailReason.UNREACHABLE:
                return AWAY.tagged(self._id)
            case FailReason.BANNER | FailReason.HELLO | FailReason.TLS | FailReason.XCLIENT:
                return NOT_NOW.tagged(self._id)
            case _:
                return LOST.tagged(self._id)

    def _auth_answered(self, reply: Reply) -> None:
        if reply.code == 334:
            self._clients_turn = True
            self.send(reply, "outbox")
        else:
            self._pinned = reply.code == 235
            if self._pinned:
                self._logged_in()
            self._auth_over(reply)

    def _auth_over(self, reply: Reply) -> None:
        self._authenticating = self._clients_turn = False
        self.send(reply, "outbox")

    # ---- for the rules, see RuleSide

    def _note_accepted(self, transaction: Transaction) -> None:
        raise NotImplementedError

    def _with_room(self, rules: DoorRules, parameters: Parameters) -> Parameters:
        raise NotImplementedError

    def _message_begins(self, rules: DoorRules) -> None:
        raise NotImplementedError

    def _forget_judged(self) -> None:
        raise NotImplementedError

    def _logged_in(self) -> None:
        raise NotImplementedError

    # ---- small things

    def _answer_recipient(self, reply: Reply) -> None:
        self._transaction.pending = None
        self.send(reply, "outbox")

    def _say(self, given: ClientCommand | tuple[ClientCommand, ...]) -> None:
        """Give commands to the server's session, in one go; keep them while it has no room."""
        if not self._kept:
            try:
                self.send(given, "to_backend")
            except noSpaceInBox:  # the send has arranged that we are woken
                pass
            else:
                return
        self._kept += given if isinstance(given, tuple) else (given,)

    def _let_go_on(self) -> None:
        """There is room again for what the client sends."""
        inbox = self.inboxes["inbox"]
        if inbox.waiters:
            inbox.collected()

    def _abandon(self) -> None:
        self._abandoning += 1
        self._connected = False
        self._kept.clear()
        self._let_go_on()
        self.send(producerFinished(self), "abandon")

    def _log_outcome(self, transaction: Transaction, fate: Fate, reply: str) -> None:
        self.send(
            Outcome(
                self._id,
                self._client,
                transaction.sender_text,
                tuple(transaction.accepted),
                transaction.size,
                fate,
                reply,
                self._clock(),
            ),
            "outcomes",
        )


_ANSWERED: dict[str, Callable[[ServerSide, Reply], None]] = {
    "MAIL": ServerSide._sender_answered,
    "RCPT": ServerSide._recipient_answered,
    "DATA": ServerSide._data_answered,
    ".": ServerSide._dot_answered,
    "RSET": ServerSide._nothing_answered,
    "QUIT": ServerSide._nothing_answered,
    "AUTH": ServerSide._auth_answered,
}
