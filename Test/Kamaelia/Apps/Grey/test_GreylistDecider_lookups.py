"""GreylistDecider where somebody has to look something up, or a message is to be judged."""

import logging

import pytest

from Axon.AtOnce import act_at_once
from Axon.Component import component
from Axon.Testing import FakeClock, SeededScheduler
from Kamaelia.Apps.Grey.Core.Access.Questions import (
    HostName,
    LookupFailed,
    Question,
    Spf,
    SpfAnswer,
    SpfResult,
)
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Ruling
from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session
from Kamaelia.Apps.Grey.Core.Engine import Engine
from Kamaelia.Apps.Grey.Core.Modes import KeyKind
from Kamaelia.Apps.Grey.Core.Types import (
    Addressee,
    Answer,
    Ask,
    Attempt,
    Decision,
    Found,
    MessageAttempt,
    MessageDecision,
    Policy,
    Query,
    Reason,
    Record,
    Remember,
    Triplet,
    Verdict,
)
from Kamaelia.Apps.Grey.Core.Wants import Deciding, DecidingMessage
from Kamaelia.Apps.Grey.GreylistDecider import ANSWER_SECONDS, GreylistDecider

NOW = 1_740_812_400
POLICY = Policy(
    delay_seconds=60,
    allowed_domains=frozenset({"example.org"}),
    key_order=(KeyKind.SPF, KeyKind.NAME, KeyKind.NETWORK),
)
SPF = Spf("192.0.2.7", "mx", "a@example.net")
NAME = HostName("192.0.2.7")
PASS = SpfAnswer(SpfResult.PASS, "example.net")


class Store(component):
    """In place of the StoreService; `silent`: it never answers."""

    def __init__(self, known: dict[Triplet, Record] | None = None, silent: bool = False) -> None:
        super().__init__()
        self.known = dict(known or {})
        self.silent = silent
        act_at_once(self, "inbox", self._take)

    def _take(self, request: object) -> None:
        if isinstance(request, Remember):
            self.known[request.triplet] = request.record
        elif isinstance(request, Query) and not self.silent:
            addressee, boxname = request.reply_to
            record = self.known.get(request.triplet)
            addressee.inboxes[boxname].deliver(Answer(request.triplet, record))


class LookUps(component):
    """In place of the LookupService: answers at once what it knows, the rest when it is told to."""

    def __init__(self, known: dict[Question, object] | None = None) -> None:
        super().__init__()
        self.known = dict(known or {})
        self.asked: list[Question] = []
        self.open: list[Ask] = []
        act_at_once(self, "inbox", self._take)

    def _take(self, ask: Ask) -> None:
        self.asked.append(ask.question)
        if ask.question in self.known:
            self._answer(ask, self.known[ask.question])
        else:
            self.open.append(ask)

    def answer(self, question: Question, answer: object) -> None:
        for ask in [one for one in self.open if one.question == question]:
            self.open.remove(ask)
            self._answer(ask, answer)

    def _answer(self, ask: Ask, answer: object) -> None:
        addressee, boxname = ask.reply_to
        addressee.inboxes[boxname].deliver(Found(ask.question, answer))


class Asker(component):
    """Somebody with a box for decisions."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Decision | MessageDecision] = []
        act_at_once(self, "inbox", self.heard.append)

    def reply_to(self) -> tuple[Addressee, str]:
        return (self, "inbox")

    @property
    def reasons(self) -> list[Reason]:
        return [one.reason for one in self.heard]

    def attempt(self, name: str = "b") -> Attempt:
        return Attempt(
            *("192.0.2.7", "mx", "a@example.net", f"{name}@example.org", "k3f9", name),
            "example.org",
            reply_to=self.reply_to(),
        )


class Scene:
    """A decider at work, and those around it."""

    def __init__(
        self,
        store: Store | None = None,
        lookups: LookUps | None = None,
        engine: Engine | None = None,
        policy: Policy = POLICY,
        with_lookups: bool = True,
    ) -> None:
        self.clock = FakeClock(1000.0)
        self.runner = SeededScheduler(clock=self.clock)
        self.store = store or Store()
        self.lookups = lookups or LookUps()
        self.decider = GreylistDecider(
            policy,
            self.store,
            lambda: NOW + self.clock() - 1000.0,
            engine,
            self.lookups if with_lookups else None,
            decision_seconds=10.0,
        )
        self.decider.activate(Scheduler=self.runner)
        self.turn()

    def turn(self, seconds: float = 0.0) -> None:
        """Let so much time go by."""
        self.runner.go(seconds=seconds)

    def send(self, attempt: Attempt | MessageAttempt) -> None:
        self.decider.inboxes["inbox"].deliver(attempt)


def test_what_is_known_at_once_costs_no_turn() -> None:
    asker, scene = Asker(), Scene(lookups=LookUps({SPF: PASS, NAME: ""}))
    scene.send(asker.attempt())
    assert asker.reasons == [Reason.NEW]
    assert [one.network for one in scene.store.known] == ["spf:example.net"]


def test_all_questions_go_out_side_by_side_and_the_decision_comes_with_the_last_answer() -> None:
    asker, scene = Asker(), Scene()
    scene.send(asker.attempt())
    assert set(scene.lookups.asked) == {SPF, NAME}
    scene.lookups.answer(NAME, "mx.example.net")
    assert asker.heard == []
    scene.lookups.answer(SPF, SpfAnswer(SpfResult.NONE))
    assert asker.reasons == [Reason.NEW]


def test_two_who_want_to_know_the_same_are_one_question() -> None:
    one, other, scene = Asker(), Asker(), Scene()
    scene.send(one.attempt("b"))
    scene.send(other.attempt("c"))
    assert sorted(map(str, scene.lookups.asked)) == sorted(map(str, (SPF, NAME)))
    scene.lookups.answer(SPF, PASS)
    scene.lookups.answer(NAME, "")
    assert (one.reasons, other.reasons) == ([Reason.NEW], [Reason.NEW])


def test_decisions_for_one_asker_keep_the_order_of_its_attempts() -> None:
    asker, scene = Asker(), Scene()
    scene.send(asker.attempt("b"))
    relay = Attempt(
        *("192.0.2.7", "mx", "a@example.net", "x@example.com", "k3f9", "x", "example.com"),
        reply_to=asker.reply_to(),
    )
    scene.send(relay)
    assert asker.heard == []
    scene.lookups.answer(SPF, PASS)
    scene.lookups.answer(NAME, "")
    assert asker.reasons == [Reason.NEW, Reason.RELAY_DENIED]


def test_look_ups_that_never_end_have_failed_after_their_time() -> None:
    asker, scene = Asker(), Scene()
    scene.send(asker.attempt())
    scene.turn(9.0)
    assert asker.heard == []
    scene.turn(2.0)
    assert asker.reasons == [Reason.NEW]
    assert [one.network for one in scene.store.known] == ["192.0.2.0/24"]
    scene.lookups.answer(SPF, PASS)  # too late, and no harm
    scene.lookups.answer(NAME, "")
    assert len(asker.heard) == 1


def test_without_anybody_who_looks_up_every_look_up_has_failed() -> None:
    asker, scene = Asker(), Scene(with_lookups=False)
    scene.send(asker.attempt())
    assert asker.reasons == [Reason.NEW]


def test_a_failed_look_up_is_an_answer() -> None:
    asker = Asker()
    scene = Scene(lookups=LookUps({SPF: LookupFailed("no"), NAME: LookupFailed("no")}))
    scene.send(asker.attempt())
    assert [one.network for one in scene.store.known] == ["192.0.2.0/24"]
    assert asker.reasons == [Reason.NEW]


def test_a_store_that_is_silent_behind_a_look_up_has_failed() -> None:
    asker, scene = Asker(), Scene(store=Store(silent=True))
    scene.send(asker.attempt())
    scene.lookups.answer(SPF, PASS)
    scene.lookups.answer(NAME, "")
    scene.turn(ANSWER_SECONDS + 0.1)
    assert asker.reasons == [Reason.STORE_FAILED]


class Broken(Engine):
    """An engine with a fault, once it has an answer."""

    __slots__ = ()

    def decide(self, attempt: Attempt, now: int) -> Deciding:
        for wanted in super().decide(attempt, now):
            yield wanted
            raise ZeroDivisionError
        raise AssertionError

    def decide_message(self, attempt: MessageAttempt, now: int) -> DecidingMessage:
        raise ZeroDivisionError
        yield


def test_a_fault_of_the_engine_ends_neither_the_decider_nor_whoever_brought_the_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asker, scene = Asker(), Scene(engine=Broken(POLICY))
    scene.send(asker.attempt())
    with caplog.at_level(logging.CRITICAL):
        scene.lookups.answer(SPF, PASS)
        scene.lookups.answer(NAME, "")
    assert asker.reasons == [Reason.STORE_FAILED]


def test_a_message_without_rules_for_it_goes_on() -> None:
    asker, scene = Asker(), Scene()
    mail = Mail("<a@example.net>", recipients=["<b@example.org>"])
    session = Session("192.0.2.7")
    scene.send(MessageAttempt(session, mail, "k3f9", asker.reply_to()))
    assert asker.heard == [MessageDecision(Verdict.PASS, Ruling(Action.WHITELIST))]


def test_many_that_are_late_are_given_up_in_more_than_one_turn() -> None:
    askers, scene = [Asker() for _ in range(1200)], Scene()
    for number, asker in enumerate(askers):
        scene.send(asker.attempt(f"u{number}"))
    scene.turn(10.5)
    scene.turn(1.0)
    assert [len(asker.heard) for asker in askers] == [1] * 1200
