"""
Attempts in, decisions out
==========================
One decider serves one connection. What needs no earlier attempt is decided at once; for the rest it
asks the process's one store service. Decisions leave in the order of the attempts, whatever
the order of the answers: SMTP replies have no other way of saying what they belong to.

Example Usage
-------------
Between a front door and the store::

    store = StoreService(lambda: SqliteStore(path), policy.lifetimes).activate()
    decider = GreylistDecider(policy, store)
    self.link((self, "attempt"), (decider, "inbox"))
    self.link((decider, "outbox"), (self, "decision"))
    decider.activate()

A store that has not answered within two seconds has failed for this attempt: the policy says what
that means (`store_failure`), and the decision's reason says that it was so.

Shutdown: on producerFinished every attempt that came before it is still decided; on
shutdownMicroprocess it ends at once.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from Axon.Component import component
from Axon.Ipc import ipc, shutdownMicroprocess
from Kamaelia.Apps.Grey.Core.Decide import when_store_failed, with_record, without_record
from Kamaelia.Apps.Grey.Core.Normalise import triplet_of
from Kamaelia.Apps.Grey.Core.Types import (
    Answer,
    Attempt,
    Decided,
    Decision,
    Policy,
    Query,
    Remember,
    Triplet,
)

ANSWER_SECONDS = (
    2.0  # a client waits five minutes for a reply (RFC 5321 4.5.3.2), a person does not
)


@dataclass(slots=True)
class _Pending:
    """An attempt on its way; `triplet` is set while the store is asked."""

    attempt: Attempt
    deadline: float
    triplet: Triplet | None = None
    decision: Decision | None = None


class GreylistDecider(component):
    """GreylistDecider(policy, store, clock=time.time) -> a Decision for each Attempt.

    `store` is the StoreService, `clock` gives wall-clock time.
    """

    Inboxes = {
        "inbox": "Attempt: one a recipient; the next may come before the last is decided",
        "control": "producerFinished (decide what arrived) or shutdownMicroprocess (stop now)",
        "answers": "Answer: from the store service",
    }
    Outboxes = {
        "outbox": "Decision: one an attempt, in the order of the attempts",
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
        self._store = store
        self._clock = clock
        self._pending: list[_Pending] = []  # hardly ever more than one; an empty deque is 760 bytes

    def main(self) -> Iterator[object]:
        self.link((self, "query"), (self._store, "inbox"))  # cut by itself when this one ends
        stop: ipc | None = None
        while stop is None or self._pending:
            if not self.anyReady():
                self._pause_until_deadline()
            yield 1
            stop = self.told_to_stop()
            if isinstance(stop, shutdownMicroprocess):
                break
            for attempt in self.Inbox("inbox"):
                self._begin(attempt)
            for answer in self.Inbox("answers"):
                self._settle(answer)
                self._send_decided()  # at once: what is settled need not be searched again
            self._give_up_the_late()
            self._send_decided()
        self.send(stop, "signal")

    def _begin(self, attempt: Attempt) -> None:
        pending = _Pending(attempt, self.now() + ANSWER_SECONDS)
        self._pending.append(pending)
        pending.decision = without_record(attempt, self._policy)
        if pending.decision is None:
            pending.triplet = triplet_of(attempt, self._policy)
            self.send(Query(pending.triplet, reply_to=(self, "answers")), "query")

    def _settle(self, answer: Answer) -> None:
        """Decide the oldest attempt that waits for this triplet. An answer that came too late for
        the attempt that asked is as good for the next one; without one it is let go."""
        for pending in self._pending:
            if pending.decision is None and pending.triplet == answer.triplet:
                break
        else:
            return
        if answer.failed:
            pending.decision = when_store_failed(pending.attempt, self._policy)
            return
        now = int(self._clock())
        pending.decision = with_record(pending.attempt, answer.record, self._policy, now)

    def _give_up_the_late(self) -> None:
        now = self.now()
        while (pending := self._first_open()) is not None and pending.deadline <= now:
            pending.decision = when_store_failed(pending.attempt, self._policy)

    def _send_decided(self) -> None:
        while self._pending and (decision := self._pending[0].decision) is not None:
            attempt = self._pending.pop(0).attempt
            self.send(decision, "outbox")
            if decision.triplet is not None and decision.record is not None:
                self.send(Remember(decision.triplet, decision.record), "query")
            self.send(Decided(attempt, decision, self._clock()), "log")

    def _pause_until_deadline(self) -> None:
        pending = self._first_open()
        self.pause(None if pending is None else max(0.0, pending.deadline - self.now()))

    def _first_open(self) -> _Pending | None:
        """The undecided attempt with the nearest deadline: they came in that order."""
        return next((pending for pending in self._pending if pending.decision is None), None)


__kamaelia_components__ = (GreylistDecider,)
