"""What the tests of the engine share: a driver with a store and answers; ways to rules."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import TypeVar

from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
from Kamaelia.Apps.Grey.Core.Access.Questions import Question
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Clause, Extras, Rule, Stage
from Kamaelia.Apps.Grey.Core.Access.RuleSet import RuleSet
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject
from Kamaelia.Apps.Grey.Core.Engine import STORE_FAILED, Engine, Look, Wanted
from Kamaelia.Apps.Grey.Core.Merge import merge
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.Core.Types import (
    Attempt,
    Decision,
    MessageAttempt,
    MessageDecision,
    Policy,
    Record,
    Triplet,
)

CLIENT = "192.0.2.7"
POLICY = Policy(
    delay_seconds=60,
    window_seconds=3600,
    pass_seconds=86_400,
    allowed_domains=frozenset({"example.org"}),
)
STRANGER = Attempt(
    client=CLIENT,
    helo="mx.example.net",
    sender="a@example.net",
    recipient="b@example.org",
    session="k3f9",
    recipient_local="b",
    recipient_domain="example.org",
)
T0 = 1_000_000
T = TypeVar("T", Decision, MessageDecision)


def networks(*texts: str) -> Networks:
    return Networks(ip_network(text) for text in texts)


def to(recipient: str, attempt: Attempt = STRANGER) -> Attempt:
    local, _, domain = recipient.rpartition("@")
    return replace(attempt, recipient=recipient, recipient_local=local, recipient_domain=domain)


def rule(
    action: Action,
    *clauses: Clause,
    extras: Extras | None = None,
    stage: Stage = Stage.RCPT,
    is_default: bool = False,
) -> Rule:
    said = Extras() if extras is None else extras
    return Rule(stage, action, clauses, said, "greylist.conf", 7, "7", is_default=is_default)


def rule_set(*rules: Rule, on_failure: str = "ignore") -> RuleSet:
    return RuleSet(rules, Definitions(), on_failure=on_failure)


@dataclass
class Driver:
    """Does what the generator wants. wanted: what it wanted, round by round; looked: at what."""

    engine: Engine
    answers: Mapping[Question, object] = field(default_factory=dict)
    records: dict[Triplet, Record] = field(default_factory=dict)
    store_fails: bool = False
    wanted: list[tuple[Question, ...]] = field(default_factory=list)
    looked: list[Triplet] = field(default_factory=list)

    def decide(self, attempt: Attempt = STRANGER, now: int = T0) -> Decision:
        decision = self._drive(self.engine.decide(attempt, now))
        if decision.flush:
            self.records = {t: r for t, r in self.records.items() if t.network != decision.flush}
        if decision.triplet is not None and decision.record is not None:
            self._merge(decision.triplet, decision.record)
        for triplet, record in decision.also:
            self._merge(triplet, record)
        return decision

    def decide_message(self, attempt: MessageAttempt, now: int = T0) -> MessageDecision:
        decision = self._drive(self.engine.decide_message(attempt, now))
        for triplet, record in decision.records:
            self._merge(triplet, record)
        return decision

    def _merge(self, triplet: Triplet, record: Record) -> None:
        known = self.records.get(triplet)
        self.records[triplet] = record if known is None else merge(known, record)

    def _drive(self, deciding: Generator[Wanted | Look, object, T]) -> T:
        sent: object = None
        while True:
            try:
                asked = deciding.send(sent)
            except StopIteration as done:
                decision: T = done.value
                return decision
            sent = self._found(asked)

    def _found(self, asked: Wanted | Look) -> object:
        if isinstance(asked, Look):
            self.looked.append(asked.triplet)
            return STORE_FAILED if self.store_fails else self.records.get(asked.triplet)
        self.wanted.append(asked.questions)
        self._answer(asked.subject, asked.questions)
        return None

    def _answer(self, subject: Subject, questions: tuple[Question, ...]) -> None:
        for question in questions:
            if question in self.answers:
                subject.answers[question] = self.answers[question]
