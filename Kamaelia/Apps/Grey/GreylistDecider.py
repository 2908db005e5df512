"""
Attempts in, decisions out
==========================
One decider serves the whole process. It acts on an Attempt in the moment in which it is sent: what
needs no earlier attempt, and what the store has in memory, is decided when the sender's send()
returns. For the rest the store asks its file, and the decision comes later. A Decision goes into
the box that the Attempt names (`reply_to`), or out of "outbox".

Decisions for one box come in the order of its attempts, whatever the order of the answers: SMTP
replies have no other way of saying what they belong to. Nobody waits for anybody else's.

Example Usage
-------------
Between all front doors and the store::

    store = StoreService(lambda: SqliteStore(path), policy.lifetimes).activate()
    decider = GreylistDecider(policy, store).activate()
    self.link((self, "attempt"), (decider, "inbox"))
    self.send(Attempt(..., reply_to=(self, "decision")), "attempt")

A store that has not answered within two seconds has failed for this attempt: the policy says what
that means (`store_failure`), and the decision's reason says that it was so.

A decider of one's own (with a policy of its own) may stand beside it and use the same store.

Shutdown: on producerFinished every attempt that came before it is still decided; on
shutdownMicroprocess it ends at once.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator

from Axon.AtOnce import act_at_once
from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import ipc, shutdownMicroprocess
from Kamaelia.Apps.Grey.Core.Decide import when_too_many, with_triplet, without_store
from Kamaelia.Apps.Grey.Core.Newcomers import Newcomers
from Kamaelia.Apps.Grey.Core.Rules import Rules
from Kamaelia.Apps.Grey.Core.Types import (
    Addressee,
    Answer,
    Attempt,
    Decided,
    Decision,
    Policy,
    Query,
    Remember,
    Triplet,
)

log = logging.getLogger(__name__)

# A client waits five minutes for a reply (RFC 5321 4.5.3.2), a person does not.
ANSWER_SECONDS = 2.0
PENDING_LIMIT = 100_000  # attempts that wait for the store; those beyond are decided without it
LATE_AT_ONCE = 500  # of these, decided in one turn: all together would hold everybody up

_Asker = tuple[Addressee, str] | None  # who is to hear of a decision


class _Pending:
    """An attempt that cannot be answered yet: the store has not, or has not for an earlier one of
    the same asker."""

    __slots__ = ("attempt", "box", "deadline", "decision", "triplet")

    def __init__(self, attempt: Attempt, decision: Decision | None) -> None:
        self.attempt = attempt
        self.decision = decision
        self.triplet: Triplet | None = None
        self.deadline = 0.0


class GreylistDecider(component):
    """GreylistDecider(policy, store, clock=time.time) -> a Decision for each Attempt.

    `store` is the StoreService, `clock` gives wall-clock time. A box that gets decisions must have
    no limit; if it acts on them at once, it must not send the next attempt from there.
    """

    Inboxes = {
        "inbox": "Attempt: one a recipient, from anybody; acted on at once",
        "control": "producerFinished (decide what arrived) or shutdownMicroprocess (stop now)",
        "answers": "Answer: from the store service; acted on at once",
    }
    Outboxes = {
        "outbox": "Decision: for the attempts without reply_to, in their order",
        "signal": "producerFinished or shutdownMicroprocess: the one that came in",
        "query": "Query or Remember: to the store service, linked here",
        "log": "Decided: each decision with its attempt and time, for the mail log",
    }

    woken_by_collection = False  # it never waits for that

    def __init__(
        self, policy: Policy, store: component, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__()
        self._policy = policy
        self._rules = Rules(policy)
        self._newcomers = Newcomers(policy.new_per_network)
        self._clock = clock
        self._reply_to = (self, "answers")
        self._asked: Triplet | None = None  # while the store has the word
        self._answer: Answer | None = None
        self._open: dict[_Asker, deque[_Pending]] = {}  # in the order in which they came
        self._asking: dict[Triplet, deque[_Pending]] = {}  # those that the store has been asked for
        self._deadlines: deque[_Pending] = deque()  # the same in the order of their deadlines
        self._ending = False
        self.link((self, "query"), (store, "inbox"))  # cut by itself when this one ends
        act_at_once(self, "answers", self._settle)

    def main(self) -> Iterator[object]:
        # Not before, for what came earlier has to be measured with this scheduler's clock.
        # One session's odd attempt is that session's end, and nobody else's.
        act_at_once(self, "inbox", self._take, blame_sender=True)
        stop: ipc | None = None
        while stop is None or self._open:
            if not self.anyReady():
                self._pause_until_deadline()
            yield 1
            stop = self.told_to_stop()
            if isinstance(stop, shutdownMicroprocess):
                break
            self._ending = stop is not None
            self._give_up_the_late()
        self.send(stop, "signal")

    # --- in the turn of whoever sends ---

    def _take(self, attempt: Attempt) -> None:
        decision = self._rules.without_record(attempt)
        triplet = None
        if decision is None:
            triplet = self._rules.triplet_of(attempt)
            self._asked, self._answer = triplet, None
            try:
                self.send(Query(triplet, self._reply_to), "query")
            finally:
                answer, self._answer, self._asked = self._answer, None, None
            if answer is not None:
                decision = self._decide(triplet, answer)
            elif len(self._deadlines) >= PENDING_LIMIT:
                decision = without_store(triplet, self._policy)
        if decision is None or (self._open and attempt.reply_to in self._open):
            self._queue(attempt, triplet, decision)
            return
        self._note(attempt, decision)
        self._hand_out(attempt.reply_to, decision)

    def _settle(self, answer: Answer) -> None:
        """Decide the oldest attempt that waits for this triplet. An answer that came too late for
        the attempt that asked is as good for the next one; without one it is let go."""
        if answer.triplet is self._asked:
            self._answer = answer
            return
        waiting = self._asking.get(answer.triplet)
        if waiting is None:
            return
        pending = waiting[0]
        try:
            pending.decision = self._decide(answer.triplet, answer)
        except Exception:
            # This is the turn of the store, which serves everybody: it is no fault of its own.
            log.exception("deciding on %s failed", answer.triplet)
            pending.decision = without_store(answer.triplet, self._policy)
        self._decided(pending)

    def _decide(self, triplet: Triplet, answer: Answer) -> Decision:
        if answer.failed:
            return without_store(triplet, self._policy)
        record = answer.record
        if record is None and not self._newcomers.admit(triplet.network, self.now()):
            return when_too_many(triplet, self._policy)
        return with_triplet(triplet, record, self._rules, int(self._clock()))

    def _note(self, attempt: Attempt, decision: Decision) -> None:
        if decision.record is not None and decision.triplet is not None:
            self.send(Remember(decision.triplet, decision.record), "query")
        self.send(Decided(attempt, decision, self._clock()), "log")

    # --- those that take longer ---

    def _queue(self, attempt: Attempt, triplet: Triplet | None, decision: Decision | None) -> None:
        pending = _Pending(attempt, decision)
        self._open.setdefault(attempt.reply_to, deque()).append(pending)
        if decision is None and triplet is not None:
            pending.triplet = triplet
            pending.deadline = self.now() + ANSWER_SECONDS
            self._asking.setdefault(triplet, deque()).append(pending)
            self._deadlines.append(pending)
            if len(self._deadlines) == 1:
                self.unpause()  # to set the alarm

    def _decided(self, pending: _Pending) -> None:
        """The decision of an attempt that waited for the store is there."""
        if pending.triplet is not None:
            waiting = self._asking[pending.triplet]
            waiting.remove(pending)  # the first, but for one that gave up
            if not waiting:
                del self._asking[pending.triplet]
        asker = pending.attempt.reply_to
        queue = self._open[asker]
        while queue and (decision := queue[0].decision) is not None:
            first = queue.popleft()
            self._note(first.attempt, decision)
            try:
                self._hand_out(asker, decision)
            except noSpaceInBox:  # told to who sends; but this is the turn of the store
                log.warning("a decision was dropped: the box of %r is full", asker)
        if not queue:
            self._open.pop(asker, None)
        if self._ending and not self._open:
            self.unpause()

    def _hand_out(self, asker: _Asker, decision: Decision) -> None:
        if asker is None:
            self.send(decision, "outbox")
            return
        addressee, boxname = asker
        box = addressee.inboxes.get(boxname)
        if box is None:  # no exception: all other askers need this decider
            log.error("a decision for the box %r of %r, which there is not", boxname, addressee)
        else:
            box.deliver(decision)

    def _give_up_the_late(self) -> None:
        now = self.now()
        deadlines = self._deadlines
        for _ in range(min(LATE_AT_ONCE, len(deadlines))):
            if deadlines[0].decision is None and deadlines[0].deadline > now:
                return
            pending = deadlines.popleft()
            if pending.decision is None and pending.triplet is not None:
                pending.decision = without_store(pending.triplet, self._policy)
                self._decided(pending)

    def _pause_until_deadline(self) -> None:
        if self._deadlines:
            self.pause(max(0.0, self._deadlines[0].deadline - self.now()))
        else:
            self.pause()


__kamaelia_components__ = (GreylistDecider,)
