"""
Attempts in, decisions out
==========================
One decider serves the whole process, and every door of it. It acts on an Attempt in the moment in
which it is sent: what needs no earlier attempt, and what the store has in memory, is decided when
the sender's send() returns. For the rest the store asks its file, or somebody looks up what a rule
wants to know, and the decision comes later. A Decision goes into the box that the Attempt names
(`reply_to`), or out of "outbox". A MessageAttempt, at the end of a message, is answered by a
MessageDecision in the same way.

Decisions for one box come in the order of its attempts, whatever the order of the answers: SMTP
replies have no other way of saying what they belong to. Nobody waits for anybody else's.

Example Usage
-------------
Between all front doors and the store::

    store = StoreService(lambda: SqliteStore(path), policy.lifetimes).activate()
    decider = GreylistDecider(policy, store).activate()
    self.link((self, "attempt"), (decider, "inbox"))
    self.send(Attempt(..., reply_to=(self, "decision")), "attempt")

What it decides is Core.Engine's business: that is a generator which says what it has to know, and
here is who finds it out: records at the store, the answers to questions at a look-up service.

A store that has not answered within two seconds has failed for this attempt: the policy says what
that means (`store_failure`), and the decision's reason says that it was so. A look-up that has not
been answered in `decision_seconds` from the first on has failed, too; what that means is said in
the policy as well (`lookup_failure`).

A decider of one's own (with a policy of its own) may stand beside it and use the same store.

Shutdown: on producerFinished every attempt that came before it is still decided; on
shutdownMicroprocess it ends at once.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from Axon.AtOnce import act_at_once
from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import ipc, shutdownMicroprocess
from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed, Question
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Ruling
from Kamaelia.Apps.Grey.Core.Access.Subject import Answers
from Kamaelia.Apps.Grey.Core.Decide import when_too_many, with_triplet, without_store
from Kamaelia.Apps.Grey.Core.Engine import Engine
from Kamaelia.Apps.Grey.Core.Newcomers import Newcomers
from Kamaelia.Apps.Grey.Core.Types import (
    Addressee,
    Answer,
    Ask,
    Attempt,
    Decided,
    Decision,
    Forget,
    Found,
    MessageAttempt,
    MessageDecision,
    Policy,
    Query,
    Remember,
    Triplet,
    Verdict,
)
from Kamaelia.Apps.Grey.Core.Wants import STORE_FAILED, Deciding, DecidingMessage, Look, Wanted

log = logging.getLogger(__name__)

# A client waits five minutes for a reply (RFC 5321 4.5.3.2), a person does not.
ANSWER_SECONDS = 2.0
PENDING_LIMIT = 100_000  # attempts that wait for the store; those beyond are decided without it
LATE_AT_ONCE = 500  # of these, decided in one turn: all together would hold everybody up
TOO_LATE = LookupFailed("no answer in time for this decision")
NOBODY_LOOKS = LookupFailed("nobody is there to look it up")

_Asker = tuple[Addressee, str] | None  # who is to hear of a decision
_Steps = Deciding | DecidingMessage


class _Case:
    """An attempt that cannot be answered yet: the store has not, or somebody looks something up, or
    an earlier one of the same asker waits for that."""

    __slots__ = (
        *("answers", "attempt", "deadline", "decision", "lookups_until", "steps", "triplet"),
        "wants",
    )

    def __init__(
        self,
        attempt: Attempt | MessageAttempt,
        decision: Decision | MessageDecision | None = None,
        steps: _Steps | None = None,
    ) -> None:
        self.attempt = attempt
        self.decision = decision
        self.steps = steps  # None: only the record is missing
        self.triplet: Triplet | None = None  # that the store has been asked for
        self.wants: set[Question] = set()  # that somebody looks up
        self.answers: Answers = {}  # those of its subject
        self.deadline = 0.0  # for the store
        self.lookups_until = 0.0  # for all look-ups of this decision together


class GreylistDecider(component):
    """GreylistDecider(policy, store, clock=time.time, engine=None, lookups=None,
    decision_seconds=10.0, plain=None) -> a Decision for each Attempt.

    `store` is the StoreService, `clock` gives wall-clock time. `engine` decides, by default one for
    the policy without access rules; `lookups` answers its questions: without it, each look-up
    fails. `plain`: whether the short way will do; None: as the engine says now. A box that gets
    decisions must have no limit; if it acts on them at once, it must not send the next attempt from
    there.
    """

    Inboxes = {
        "inbox": "Attempt or MessageAttempt: one a recipient or message, from anybody; acted on at"
        " once",
        "control": "producerFinished (decide what arrived) or shutdownMicroprocess (stop now)",
        "answers": "Answer: from the store service; acted on at once",
        "found": "Found: from who looks things up; acted on at once",
    }
    Outboxes = {
        "outbox": "Decision: for the attempts without reply_to, in their order",
        "signal": "producerFinished or shutdownMicroprocess: the one that came in",
        "query": "Query, Remember or Forget: to the store service, linked here",
        "ask": "Ask: to who looks things up, linked here if there is one",
        "log": "Decided: each decision with its attempt and time, for the mail log",
    }

    woken_by_collection = False  # it never waits for that

    def __init__(
        self,
        policy: Policy,
        store: component,
        clock: Callable[[], float] = time.time,
        engine: Engine | None = None,
        lookups: component | None = None,
        decision_seconds: float = 10.0,
        plain: bool | None = None,
    ) -> None:
        super().__init__()
        self._policy = policy
        self.engine = engine or Engine(policy, admit=self._admit)
        self._rules = self.engine.ready
        self._plain = self.engine.plain if plain is None else plain
        self._lookups = lookups
        self._decision_seconds = decision_seconds
        self._newcomers = Newcomers(policy.new_per_network)
        self._clock = clock
        self._reply_to = (self, "answers")
        self._found_to = (self, "found")
        self._asked: Triplet | None = None  # while the store has the word
        self._answer: Answer | None = None
        self._starting: _Case | None = None  # while its questions are sent off
        self._open: dict[_Asker, deque[_Case]] = {}  # in the order in which they came
        self._asking: dict[Triplet, deque[_Case]] = {}  # those that the store has been asked for
        self._wondering: dict[Question, list[_Case]] = {}  # those that want to know that
        self._deadlines: deque[_Case] = deque()  # at the store, in the order of their deadlines
        self._lookup_deadlines: deque[_Case] = deque()  # the same of those that wait for look-ups
        self._ending = False
        self.link((self, "query"), (store, "inbox"))  # cut by itself when this one ends
        if lookups is not None:
            self.link((self, "ask"), (lookups, "inbox"))
        act_at_once(self, "answers", self._settle)
        act_at_once(self, "found", self._learn)

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

    def _take(self, attempt: Attempt | MessageAttempt) -> None:
        if not self._plain or isinstance(attempt, MessageAttempt) or attempt.subject is not None:
            # A door gives a subject to a plain decider if it has something to say: that the mail
            # server lets this client in, or has seen its certificate.
            self._take_case(attempt)
            return
        # The greater part of all configurations has no rules: for these the same without a case.
        decision = self._rules.without_record(attempt)
        triplet = None
        if decision is None:
            triplet = self._rules.triplet_of(attempt)
            answer = self._look(triplet)
            if answer is not None:
                decision = self._decide(triplet, answer)
            elif len(self._deadlines) >= PENDING_LIMIT:
                decision = without_store(triplet, self._policy)
        if decision is None or (self._open and attempt.reply_to in self._open):
            case = _Case(attempt, decision)
            self._open.setdefault(attempt.reply_to, deque()).append(case)
            if decision is None and triplet is not None:
                self._wait_for_store(case, triplet)
            return
        self._note(attempt, decision)
        self._hand_out(attempt.reply_to, decision)

    def _look(self, triplet: Triplet) -> Answer | None:
        """What the store knows at once; else the answer comes later."""
        self._asked, self._answer = triplet, None
        try:
            self.send(Query(triplet, self._reply_to), "query")
        finally:
            answer, self._answer, self._asked = self._answer, None, None
        return answer

    def _settle(self, answer: Answer) -> None:
        """Decide the oldest attempt that waits for this triplet. An answer that came too late for
        the attempt that asked is as good for the next one; without one it is let go."""
        if answer.triplet is self._asked:
            self._answer = answer
            return
        waiting = self._asking.get(answer.triplet)
        if waiting is None:
            return
        case = waiting[0]
        self._no_longer_asks(case)
        if case.steps is None:
            try:
                case.decision = self._decide(answer.triplet, answer)
            except Exception:
                # This is the turn of the store, which serves everybody: no fault of its own.
                log.exception("deciding on %s failed", answer.triplet)
                case.decision = without_store(answer.triplet, self._policy)
        else:
            self._go_on(case, STORE_FAILED if answer.failed else answer.record)
        self._decided(case)

    def _decide(self, triplet: Triplet, answer: Answer) -> Decision:
        if answer.failed:
            return without_store(triplet, self._policy)
        record = answer.record
        if record is None and not self._admit(triplet.network):
            return when_too_many(triplet, self._policy)
        return with_triplet(triplet, record, self._rules, int(self._clock()))

    def _admit(self, network: str) -> bool:
        """Whether one more stranger of that network may be remembered."""
        return self._newcomers.admit(network, self.now())

    def _note(
        self, attempt: Attempt | MessageAttempt, decision: Decision | MessageDecision
    ) -> None:
        if decision.flush:
            self.send(Forget(decision.flush), "query")
        if isinstance(decision, MessageDecision):
            also = decision.records
        else:
            if decision.record is not None and decision.triplet is not None:
                self.send(Remember(decision.triplet, decision.record), "query")
            also = decision.also
        for triplet, record in also:
            self.send(Remember(triplet, record), "query")
        self.send(Decided(attempt, decision, self._clock()), "log")

    # --- those that have to be thought about ---

    def _take_case(self, attempt: Attempt | MessageAttempt) -> None:
        now, engine = int(self._clock()), self.engine
        steps: _Steps
        if isinstance(attempt, MessageAttempt):
            steps = engine.decide_message(attempt, now)
        else:
            steps = engine.decide(attempt, now)
        case = _Case(attempt, steps=steps)
        self._go_on(case, None, mine=True)
        if case.decision is None or (self._open and attempt.reply_to in self._open):
            self._open.setdefault(attempt.reply_to, deque()).append(case)
            return
        self._note(attempt, case.decision)
        self._hand_out(attempt.reply_to, case.decision)

    def _go_on(self, case: _Case, brought: object, mine: bool = False) -> None:
        """Take the case as far as it goes. mine: what is raised is for the sender; else it is the
        turn of somebody who serves all."""
        steps = case.steps
        if steps is None:
            return
        try:
            while True:
                wish = steps.send(brought)
                if isinstance(wish, Look):
                    answer = self._look(wish.triplet)
                    if answer is None and len(self._deadlines) < PENDING_LIMIT:
                        self._wait_for_store(case, wish.triplet)
                        return
                    failed = answer is None or answer.failed
                    brought = STORE_FAILED if failed or answer is None else answer.record
                else:
                    self._ask(case, wish)
                    if case.wants:
                        self._wait_for_lookups(case)
                        return
                    brought = None
        except StopIteration as stop:
            case.decision = stop.value
        except Exception:
            if mine:
                raise
            log.exception("deciding on %s failed", case.attempt)
            case.decision = self._when_failed(case.attempt)
        case.steps = None

    def _when_failed(self, attempt: Attempt | MessageAttempt) -> Decision | MessageDecision:
        if isinstance(attempt, Attempt):
            return without_store(self._rules.triplet_of(attempt), self._policy)
        return MessageDecision(
            Verdict.DEFER,
            Ruling(Action.GREYLIST, failed="a fault of ours"),
            ("451", "4.3.0", "internal error, try again later"),
        )

    def _ask(self, case: _Case, wanted: Wanted) -> None:
        case.answers = wanted.subject.answers
        if self._lookups is None or len(self._lookup_deadlines) >= PENDING_LIMIT:
            case.answers.update(dict.fromkeys(wanted.questions, NOBODY_LOOKS))
            return
        self._starting = case
        case.wants = set(wanted.questions)
        try:
            for question in wanted.questions:
                waiting = self._wondering.get(question)
                if waiting is not None:
                    waiting.append(case)
                    continue
                self._wondering[question] = [case]
                self.send(Ask(question, self._found_to), "ask")
        finally:
            self._starting = None

    def _learn(self, found: Found) -> None:
        """An answer is there: whoever wanted only that one more goes on."""
        for case in self._wondering.pop(found.question, ()):
            case.answers[found.question] = found.answer
            case.wants.discard(found.question)
            if not case.wants and case is not self._starting:
                self._go_on(case, None)
                self._decided(case)

    def _wait_for_store(self, case: _Case, triplet: Triplet) -> None:
        case.triplet = triplet
        case.deadline = self.now() + ANSWER_SECONDS
        self._asking.setdefault(triplet, deque()).append(case)
        self._deadlines.append(case)
        if len(self._deadlines) == 1:
            self.unpause()  # to set the alarm

    def _no_longer_asks(self, case: _Case) -> None:
        if case.triplet is not None:
            waiting = self._asking[case.triplet]
            waiting.remove(case)  # the first, but for one that gave up
            if not waiting:
                del self._asking[case.triplet]
            case.triplet = None

    def _wait_for_lookups(self, case: _Case) -> None:
        if not case.lookups_until:
            case.lookups_until = self.now() + self._decision_seconds
        self._lookup_deadlines.append(case)
        if len(self._lookup_deadlines) == 1:
            self.unpause()

    def _decided(self, case: _Case) -> None:
        """The decision of an attempt that had to wait is there, or it waits for the next thing."""
        if case.decision is None:
            return
        asker = case.attempt.reply_to
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

    def _hand_out(self, asker: _Asker, decision: Decision | MessageDecision) -> None:
        if asker is None:
            self.send(decision, "outbox")
            return
        addressee, boxname = asker
        try:
            box = addressee.inboxes[boxname]
        except KeyError:  # goes no further: all other askers need this decider
            words = "a decision for the box %r of %r, which there is not"
            log.error(words, boxname, addressee)  # noqa: TRY400 - what it says is all
            return
        box.deliver(decision)

    # --- those that have waited too long ---

    def _give_up_the_late(self) -> None:
        now = self.now()
        deadlines = self._deadlines
        for _ in range(min(LATE_AT_ONCE, len(deadlines))):
            if deadlines[0].deadline > now and deadlines[0].triplet is not None:
                break
            case = deadlines.popleft()
            triplet = case.triplet
            if triplet is None:
                continue  # its answer came
            self._no_longer_asks(case)
            if case.steps is None:
                case.decision = without_store(triplet, self._policy)
            else:
                self._go_on(case, STORE_FAILED)
            self._decided(case)
        deadlines = self._lookup_deadlines
        for _ in range(min(LATE_AT_ONCE, len(deadlines))):
            if deadlines[0].lookups_until > now and deadlines[0].wants:
                break
            case = deadlines.popleft()
            if not case.wants:
                continue
            for question in case.wants:
                case.answers[question] = TOO_LATE
                waiting = self._wondering.get(question)
                if waiting is not None and case in waiting:
                    waiting.remove(case)
            case.wants = set()
            self._go_on(case, None)
            self._decided(case)

    def _pause_until_deadline(self) -> None:
        firsts = [case.deadline for case in islice(self._deadlines, 1)]
        firsts += [case.lookups_until for case in islice(self._lookup_deadlines, 1)]
        if firsts:
            self.pause(max(0.0, min(firsts) - self.now()))
        else:
            self.pause()


__kamaelia_components__ = (GreylistDecider,)
