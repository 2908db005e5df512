"""
A mail server's connection that waits for a decision
====================================================
The part of MilterDoor that has to do with time. Most decisions are there when the attempt has been
sent; for the others, and for clients in a tarpit, there is a timer, and for the mail server a sign
of life now and then.

    asked --decision--> answered
      |                    ^
      +--tarpit------------+ its time is over
      |                    |
      +--no decision for so long, or longer than the mail server waits: 451
      +--the mail server wants no answer any more: forgotten; what is decided later is nobody's

Example Usage
-------------
The door is a session and this::

    class MilterDoor(MilterWaiting, MilterSession):
        __slots__ = SLOTS
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from Axon.Timers import Timer
from Kamaelia.Apps.Grey.Core.Access.Rule import Ruling
from Kamaelia.Apps.Grey.Core.Access.Subject import Session
from Kamaelia.Apps.Grey.Core.Types import (
    Attempt,
    Decision,
    MessageAttempt,
    MessageDecision,
    Verdict,
)
from Kamaelia.Apps.Grey.FrontDoor.DecisionOffice import DecisionOffice
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import LONGEST_TARPIT, endured, is_for_waiting
from Kamaelia.Apps.Grey.FrontDoor.MilterFacts import takes_progress
from Kamaelia.Apps.Grey.FrontDoor.Words import Words
from Kamaelia.Support.Protocol.Milter.Negotiation import Wishes

if TYPE_CHECKING:
    from Kamaelia.Protocol.Milter import MilterSession as Whole  # what this is a part of
else:
    Whole = object

log = logging.getLogger(__name__)

# Sendmail waits ten seconds for each answer, if nobody has told it more (R: of its filter). Whoever
# has says so by `milter_patience`.
PATIENCE_SECONDS = 8.0
PROGRESS_SECONDS = 4.0
DECISION_SECONDS = 120.0  # the decider has limits of its own: this is for a fault in it

NOT_DECIDED: Words = (451, "4.3.0", "this could not be decided, try again later")
NO_TARPIT: Words = (451, "4.3.2", "too many clients are kept waiting, try again later")
STOPPING: Words = (451, "4.3.2", "service is shutting down, try again later")


# Of the door: there may be thousands of them.
SLOTS = (
    *("office", "session_id", "_asked", "_asker", "_asks", "_known", "_patience", "_rules"),
    *("_since", "_tarpit", "_timer", "_until"),
)


class _Later:
    """Who asks after an answer that was given up: what comes for the one before goes nowhere."""

    __slots__ = ("door",)

    def __init__(self, door: MilterWaiting) -> None:
        self.door = door

    @property
    def inboxes(self) -> Mapping[str, _Later]:
        return {"decisions": self}

    def deliver(self, decision: object) -> None:
        self.door.inboxes["decisions"].deliver((self, decision))


class MilterWaiting(Whole):
    """MilterWaiting(office, wishes, patience) -> the part of a MilterDoor that waits; see there."""

    def __init__(
        self,
        office: DecisionOffice,
        wishes: Wishes,
        patience: float,
        **connection: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(wishes, **connection)
        self.office = office
        self.session_id = ""
        self._rules = office.rules
        self._patience = patience
        self._known: Session | None = None  # what the rules are told of the client
        self._asks = False  # there is a way to the decider
        self._asked: Attempt | MessageAttempt | None = None  # what a decision is due on
        self._asker: _Later | None = None  # who asks; None: we do
        self._tarpit: Decision | None = None  # after which this is said
        self._since = self._until = 0.0
        self._timer: Timer | None = None

    # ---- for MilterDoor

    def decided(self, asked: Attempt | MessageAttempt, decision: Any) -> None:  # noqa: ANN401
        """The decision, and the time to say it."""
        raise NotImplementedError

    def refuse(self, words: Words) -> None:
        """Say that to the event that waits."""
        raise NotImplementedError

    def begin_asking(self) -> None:
        """Lead "attempts" to the decider: most of those who only connect never ask."""
        raise NotImplementedError

    # ---- asking

    def ask(self, attempt: Attempt | MessageAttempt) -> None:
        """Have it decided; `decided` is told, if it is not given up before."""
        if not self._asks:
            self._asks = True
            self.begin_asking()
        self._asked = attempt
        self.send(attempt, "attempts")
        if self._asked is attempt and self._timer is None:
            self._since = self.now()
            self._until = self._since + DECISION_SECONDS
            self._sleep()

    def hear(self, answer: Decision | MessageDecision | tuple[_Later, Any]) -> None:
        """A decision has come."""
        asker: _Later | None = None
        decision: Any = answer
        if type(answer) is tuple:
            asker, decision = answer
        asked = self._asked
        if asked is None or self._tarpit is not None or asker is not self._asker:
            return  # it was given up, or is there already
        ruling = decision.ruling
        if ruling is not None and ruling.tarpit > 0 and self._keep_waiting(decision, ruling):
            return
        self._done(asked, decision)

    def _done(self, asked: Attempt | MessageAttempt, decision: Any) -> None:  # noqa: ANN401
        self._asked = self._tarpit = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.session.waiting:  # else it has just been left, for what it said
            self.decided(asked, decision)

    # ---- tarpit

    def _keep_waiting(self, decision: Decision, ruling: Ruling) -> bool:
        """Whether the answer has to wait, or has been given. Nobody waits behind a message."""
        rules, seconds = self._rules, min(ruling.tarpit, LONGEST_TARPIT)
        if rules is None or isinstance(self._asked, MessageAttempt):
            return False
        now = self.now()
        already = now - self._since if self._timer is not None else 0.0
        can = self._may_progress() or already + seconds <= self._patience
        if not can:
            log.warning(
                "session %s: a tarpit of %d s, and its mail server waits for %d s only"
                " (milter_patience)",
                *(self.session_id, seconds, self._patience),
            )
        if not can or not rules.enter_tarpit():
            if decision.verdict is not Verdict.PASS or not is_for_waiting(ruling):
                return False
            self._give_up(NO_TARPIT)
            return True
        if self._timer is not None:
            self._timer.cancel()
        self._tarpit = endured(decision, seconds)
        self._until = now + seconds
        self._since = now
        self._sleep()
        return True

    def _leave_tarpit(self) -> float:
        """Seconds that have been waited in it."""
        waited = self.now() - self._since
        self._tarpit = None
        if self._rules is not None:
            self._rules.leave_tarpit()
        return waited

    # ---- time

    def _sleep(self) -> None:
        until = self._until
        if self._tarpit is None and not self._may_progress():
            until = min(until, self._since + self._patience)
        left = until - self.now()
        if self._may_progress():
            left = min(left, PROGRESS_SECONDS)
        self._timer = self.scheduler.call_later(max(0.0, left), self._woken)

    def _may_progress(self) -> bool:
        """Whether the mail server may be told now that it has to wait some more."""
        return isinstance(self._asked, MessageAttempt) or takes_progress(self.session.macro("v"))

    def _woken(self) -> None:
        self._timer = None
        asked, decision = self._asked, self._tarpit
        if asked is None:
            return
        now = self.now()
        if decision is not None and now >= self._until:
            waited = self._leave_tarpit()
            if self._known is not None:
                self._known.tarpitted += waited
            self._done(asked, decision)
        elif decision is None and (
            now >= self._until or (not self._may_progress() and now >= self._since + self._patience)
        ):
            log.warning("session %s: no decision in %d s", self.session_id, now - self._since)
            self._give_up(NOT_DECIDED)
        else:
            if self._may_progress():
                self.progress()
            self._sleep()

    def _give_up(self, words: Words) -> None:
        """Nobody waits for the decision any more; this is said instead."""
        self.forget_question()
        if self.session.waiting:
            self.refuse(words)

    def forget_question(self, *, left: bool = False) -> None:
        """What is asked is not wanted any more. left: the client has gone, perhaps out of its
        tarpit."""
        asked = self._asked
        if asked is None:
            return
        self._asked = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._tarpit is not None:
            waited = self._leave_tarpit()
            if left and self._rules is not None and isinstance(asked, Attempt):
                self._rules.tarpit_left(asked, waited)
        else:
            self._asker = _Later(self)

    def leave_tarpit_now(self) -> None:
        """Our program wants to end: who is in a tarpit is not waited for."""
        if self._tarpit is not None:
            self._give_up(STOPPING)
