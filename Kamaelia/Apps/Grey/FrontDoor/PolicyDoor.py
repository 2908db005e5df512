"""
The door at which Postfix asks
==============================
One connection of a Postfix (`check_policy_service`): each recipient that it asks about becomes an
Attempt, and the decision on it becomes an answer in Postfix's words. Port 25 stays Postfix's, and
so does the message: what a rule has to see of its text needs the milter door or the proxy.

Example Usage
-------------
By the server, for each connection::

    memory = PolicyMemory()
    ServerCore(
        protocol=lambda **peer: PolicyDoor(office, memory=memory, **peer), sock=listener
    )

Rules
-----
Answered is what Postfix asks about a recipient (protocol_state RCPT), all else hears DUNNO: "no
opinion". So does what has no address on the internet. One message's recipients belong together by
their `instance`, see PolicyMemory: it has one header, given to the first recipient that gets in,
for which Postfix has room for one line in each answer; a header that a rule gives goes before
X-Greylist, and what finds no room with the first recipient goes with the next.

A tarpit keeps the answer back for TARPIT_SECONDS at the most: Postfix gives up after 100. If it has
given up before (smtpd_policy_service_timeout), the client counts as one that hung up: it has
not been let in, and would not be next time, either. X-Greylist names no longer wait than there was.

Of a value that is longer than 512 characters the rest counts for nothing, in what is decided as in
what is kept. The milter door reads addresses and HELO in the same way; the proxy takes none that
are so long.

A decider that fails ends the connection, and nothing is answered: Postfix asks once more, and then
does what smtpd_policy_service_default_action says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from Axon.AtOnce import act_at_once
from Axon.Box import Inbox, Outbox
from Axon.Timers import Timer
from Kamaelia.Apps.Grey.Core.Networks import ipv4_number, parsed
from Kamaelia.Apps.Grey.Core.Types import Attempt, Decision, Verdict
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import DoorRules, endured, is_for_waiting
from Kamaelia.Apps.Grey.FrontDoor.PolicyAnswers import later, let_in, refusal
from Kamaelia.Apps.Grey.FrontDoor.PolicyMemory import VALUE_CHARACTERS, Letter, PolicyMemory
from Kamaelia.Apps.Grey.FrontDoor.PolicySubject import subject_of
from Kamaelia.Apps.Grey.FrontDoor.WayToDecider import WayToDecider
from Kamaelia.Protocol.PostfixPolicy import DUNNO, PolicySession
from Kamaelia.Support.Protocol.PostfixPolicy import PolicyRequest
from Kamaelia.Support.Protocol.SMTP.Mailbox import sides, unquoted

if TYPE_CHECKING:
    from Kamaelia.Apps.Grey.FrontDoor.DecisionOffice import DecisionOffice

DECISION_SECONDS = 120.0  # the decider has limits of its own: this is for a fault before it
TARPIT_SECONDS = 80.0  # Postfix waits for 100, smtpd_policy_service_timeout
OF_ITS_OWN = 100  # messages that a door without a shared memory remembers
_PASS = Verdict.PASS  # a look into the Enum costs as much as a message


class _Case:
    """The recipient that is being decided on."""

    __slots__ = ("attempt", "endured", "letter", "local", "rules", "since", "timer")

    def __init__(
        self, letter: Letter, attempt: Attempt, local: str, rules: DoorRules | None
    ) -> None:
        self.letter = letter
        self.attempt = attempt
        self.local = local  # the address that the client came to
        self.rules = rules
        self.timer: Timer | None = None  # of its tarpit
        self.since = 0.0
        self.endured: Decision | None = None


class PolicyDoor(PolicySession):
    """PolicyDoor(office, peer="", peerport=0, localip="", localport=0, memory=None) -> one
    connection of a Postfix.

    memory: of the messages, shared by all connections of a door; None: one of its own. A component
    of `office.before_decider` is made with the first recipient. A connection may last for as long
    as Postfix runs: when the settings change, give it another `office`; it holds from the next
    question on."""

    ExtraInboxes = {"decisions": "Decision: one an Attempt, acted on at once"}
    ExtraOutboxes = {"attempts": "Attempt: to the decider"}

    __slots__ = ("_case", "_last_call", "_memory", "_way", "office", "when_turned")

    def __init__(
        self,
        office: DecisionOffice,
        peer: str = "",
        peerport: int = 0,
        localip: str = "",
        localport: int = 0,
        memory: PolicyMemory | None = None,
    ) -> None:
        super().__init__(peer, peerport, localip, localport)
        self.office = office
        # Called with this component when it asks the decider of `office` for the first time.
        self.when_turned: Callable[[PolicyDoor], object] | None = None
        self._memory = memory if memory is not None else PolicyMemory(OF_ITS_OWN)
        self._case: _Case | None = None
        self._last_call: Timer | None = None  # for a decision that Postfix does not wait for
        self._way: WayToDecider | None = None  # to the decider that gets our attempts

    def axon_box_made(self, box: Inbox | Outbox) -> None:
        """It is there from the first recipient on."""
        if box.name == "decisions":
            act_at_once(self, "decisions", self._decided)

    # ---- questions

    @property
    def is_asking(self) -> bool:
        """Whether a decision is due: of the office that there was when it was asked for."""
        return self._case is not None

    def asked(self, request: PolicyRequest) -> bytes | None:
        """The answer, if it is known at once."""
        given = request.attributes
        get = given.get
        if get("protocol_state") != "RCPT":
            return DUNNO
        client, recipient = get("client_address", ""), get("recipient", "")
        if not recipient or (ipv4_number(client) is None and parsed(client) is None):
            return DUNNO  # a client without an address is one of this machine's
        # Postfix has taken the quotes off; with them they are what they are at the other doors.
        sender, recipient = unquoted(get("sender", "")), unquoted(recipient)
        office = self.office
        rules = office.rules
        letter = self._memory.letter(get("instance", ""), client, sender, office.new_id)
        local, domain = sides(recipient)
        vouched_for = bool(get("sasl_username"))
        subject = None
        if rules is not None and (rules.tells_names or get("ccert_subject")):
            subject = subject_of(rules, letter, given, recipient)
        elif get("ccert_subject"):
            vouched_for = True  # without rules there is no other way to say it
        attempt = Attempt(
            client,
            get("helo_name", "")[:VALUE_CHARACTERS],
            sender,
            recipient,
            letter.session_id,
            local,
            domain,
            vouched_for,
            True,  # mta: what it relays it decides itself
            (self, "decisions"),
            subject,
        )
        self._case = _Case(letter, attempt, get("server_address", ""), rules)
        if self._way is None or self._way.office is not office:
            self._turn_to(office)
        self.send(attempt, "attempts")
        return None  # it may have been answered by now

    # ---- answers

    def _decided(self, decision: Decision) -> None:
        case = self._case
        if case is None or case.timer is not None:
            return
        rules = case.rules
        if decision.verdict is not _PASS:
            if rules is not None and self._keeps_waiting(rules, case, decision):
                return
            answer = refusal(decision, case.letter.session_id)
        elif rules is None:
            answer = DUNNO
        elif decision.ruling is not None and self._keeps_waiting(rules, case, decision):
            return
        else:
            self._memory.let_in(case.letter, case.attempt.recipient)
            answer = let_in(rules, case.letter, case.local, decision)
        self._case = None
        self.answer(answer)

    # ---- tarpit

    def _keeps_waiting(self, rules: DoorRules, case: _Case, decision: Decision) -> bool:
        """Whether the answer has to wait, or has been given; `_decided` is told again."""
        ruling = decision.ruling
        if ruling is None or ruling.tarpit <= 0 or decision is case.endured:
            return False
        if not rules.enter_tarpit():
            if decision.verdict is not _PASS or not is_for_waiting(ruling):
                return False
            self._give_up("4.3.2", "too many clients are kept waiting, try again later")
            return True
        case.since = self.now()
        seconds = min(ruling.tarpit, TARPIT_SECONDS)
        case.endured = endured(decision, seconds)
        # A method of ours, so that a fault in it is ours, and not that of all.
        case.timer = self.scheduler.call_later(seconds, self._endured)
        return True

    def _endured(self) -> None:
        case = self._leave_tarpit()
        if case is None or case.endured is None:
            return
        if case.letter.session is not None:
            case.letter.session.tarpitted += self.now() - case.since
        self._decided(case.endured)

    def _leave_tarpit(self) -> _Case | None:
        """Whoever was in it."""
        case = self._case
        if case is None or case.timer is None or case.rules is None:
            return None
        case.timer.cancel()
        case.timer = None
        case.rules.leave_tarpit()
        return case

    def left(self) -> None:
        """Postfix has no patience any more, or ends."""
        case = self._leave_tarpit()
        if case is not None and case.rules is not None:
            case.rules.tarpit_left(case.attempt, self.now() - case.since)
            self._give_up("4.4.2", "you have not waited for the reply, try again later")
        elif self._case is not None:
            # It may be a fault, and the decision never come.
            self._last_call = self.scheduler.call_later(DECISION_SECONDS, self.hang_up)

    def draining(self) -> None:
        """Who is in a tarpit is not waited for; any other decision is."""
        if self._leave_tarpit() is not None:
            self._give_up("4.3.2", "service is shutting down, try again later")

    def _give_up(self, ecode: str, words: str) -> None:
        case, self._case = self._case, None
        if case is not None:
            self.answer(later(ecode, words, case.letter.session_id))

    # ---- the decider

    def _turn_to(self, office: DecisionOffice) -> None:
        if self._way is not None:
            self._way.end()
        if self.when_turned is not None:
            self.when_turned(self)
        self._way = WayToDecider(self.outboxes["attempts"], office, self)

    def _closeDownMicroprocess(self) -> object:
        self._leave_tarpit()
        self._case = None
        if self._last_call is not None:
            self._last_call.cancel()
        if self._way is not None:
            self._way.end()
        return super()._closeDownMicroprocess()


__kamaelia_components__ = (PolicyDoor,)
