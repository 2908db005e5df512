"""What tests of the front door's rules share: a desk, decisions, a decider that does as told."""

from collections.abc import Callable, Iterator
from typing import Any

from Axon.AtOnce import act_at_once
from Axon.Component import component
from Axon.Scheduler import scheduler
from Axon.Testing import FakeClock, VirtualWaiter, collect
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Extras, Rule, Ruling, Stage
from Kamaelia.Apps.Grey.Core.Modes import Report
from Kamaelia.Apps.Grey.Core.Types import (
    Attempt,
    Decision,
    MessageAttempt,
    MessageDecision,
    Reason,
    Verdict,
)
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import DoorRules, DoorSettings
from Kamaelia.Apps.Grey.FrontDoor.KeptMessage import MessageRoom
from Kamaelia.Apps.Grey.FrontDoor.ProxyDesk import ProxyDesk
from Kamaelia.Apps.Grey.FrontDoor.RelayPool import ClientFacts
from Kamaelia.Support.Protocol.SMTP.Address import Path
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.ClientCommands import StartData
from Kamaelia.Support.Protocol.SMTP.Events import (
    DataRequested,
    EndReason,
    HelloReceived,
    Ready,
    ReplyReceived,
    SenderGiven,
    SessionEnded,
)
from Kamaelia.Support.Protocol.SMTP.Events import RecipientGiven as Rcpt
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Test.Kamaelia.Apps.Grey.support import Grey

NOW = 1_800_000_000.0
SENDER, RECIPIENT = Path(b"a@b", b"a", b"b"), Path(b"c@d", b"c", b"d")
OK = Reply.of(250, "2.0.0", "ok")
GO_ON = Reply.of(354, "", "go on")
PASS = Decision(Verdict.PASS, Reason.KNOWN)
ENDED = SessionEnded(EndReason.EOF)
ALL = Capabilities(1000, True, True, True, True, True, True)
PASSED = MessageDecision(Verdict.PASS, Ruling(Action.WHITELIST))


def rule(name: str = "12") -> Rule:
    return Rule(Stage.RCPT, Action.WHITELIST, (), Extras(), "greylist.conf", 12, name)


def tarpit(seconds: float, verdict: Verdict = Verdict.PASS) -> Decision:
    ruling = Ruling(Action.WHITELIST, rule(), tarpit=seconds)
    return Decision(verdict, Reason.RULE, ruling=ruling)


def door_rules(
    *,
    data_rules: bool = False,
    needs_subject: bool = True,
    delayedreject: bool = False,
    report: Report = Report.NONE,
    peek: int | None = None,
    left: Callable[[Attempt, float], object] | None = None,
    room: MessageRoom | None = None,
    clock: Callable[[], float] = lambda: NOW,
) -> DoorRules:
    return DoorRules(
        DoorSettings(
            "mx.example.org",
            needs_subject=needs_subject,
            data_rules=data_rules,
            delayedreject=delayedreject,
            report=report,
            product="kamaelia-grey-1.0",
        ),
        clock,
        peek_bytes=lambda _: peek,
        tarpit_left=left,
        room=room,
    )


class ToldDecider(component):
    """Answers at once, or when the test says so (an answer of None)."""

    Inboxes = {"inbox": "Attempt or MessageAttempt: acted on at once", "control": "the shutdown"}
    woken_by_collection = False

    def __init__(
        self,
        rcpt: Callable[[Attempt], Decision],
        data: Callable[[MessageAttempt], MessageDecision | None] = lambda _: PASSED,
    ) -> None:
        super().__init__()
        self.rcpt, self.data = rcpt, data
        self.attempts: list[Attempt] = []
        self.messages: list[MessageAttempt] = []
        act_at_once(self, "inbox", self._take)

    def _take(self, attempt: Attempt | MessageAttempt) -> None:
        answer: Decision | MessageDecision | None
        if isinstance(attempt, MessageAttempt):
            self.messages.append(attempt)
            answer = self.data(attempt)
        else:
            self.attempts.append(attempt)
            answer = self.rcpt(attempt)
        if answer is not None:
            self.answer(attempt, answer)

    def answer(self, attempt: Attempt | MessageAttempt, answer: Decision | MessageDecision) -> None:
        assert attempt.reply_to is not None
        addressee, box = attempt.reply_to
        addressee.inboxes[box].deliver(answer)

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            self.pause()
            yield 1


def ruled(grey: Grey, rules: DoorRules, decider: ToldDecider) -> None:
    """Have all that comes from now on decided so."""

    def change() -> None:
        office = grey.server._era.office
        decider.activate(Scheduler=grey.scheduler)
        office.decider.call_on_close(decider.stop)
        office.decider, office.rules = decider, rules

    grey.call(change)


class RuledDesk:
    """A desk with rules, whose neighbours are the test."""

    def __init__(self, rules: DoorRules) -> None:
        self.clock = FakeClock(0.0)
        self.waiter = VirtualWaiter(self.clock)
        self.scheduler = scheduler(clock=self.clock, waiter=self.waiter)
        facts = ClientFacts(("192.0.2.7", 4000), ("192.0.2.1", 25))
        self.desk = ProxyDesk(
            "192.0.2.7", "k3f9", Backend("192.0.2.9", 25), lambda: NOW, facts=facts, rules=rules
        )
        self.rules = rules
        self.sent = collect(self.desk)
        self.desk.activate(Scheduler=self.scheduler)
        self.put("inbox", HelloReceived("EHLO", b"mx.example.net"))

    def put(self, box: str, *messages: object) -> dict[str, list[Any]]:
        for each in self.sent.values():
            each.clear()
        for message in messages:
            self.desk.inboxes[box].deliver(message)
        return self.run()

    def run(self, seconds: float = 0.0) -> dict[str, list[Any]]:
        self.waiter.deadline = self.clock() + seconds
        self.scheduler.runThreads()
        self.clock.advance(self.waiter.deadline - self.clock())
        return {
            name: [
                each for one in said for each in (one if isinstance(one, (list, tuple)) else [one])
            ]
            for name, said in self.sent.items()
            if said
        }

    def wait(self, seconds: float) -> dict[str, list[Any]]:
        for each in self.sent.values():
            each.clear()
        return self.run(seconds)

    def ask(self, sender: Path = SENDER, recipient: Path = RECIPIENT) -> Attempt:
        said = self.put("inbox", SenderGiven(sender, {}), Rcpt(recipient, {}))
        (attempt,) = said["attempts"]
        assert isinstance(attempt, Attempt)
        return attempt

    def decided(self, decision: Decision, sender: Path = SENDER) -> dict[str, list[Any]]:
        self.ask(sender)
        return self.put("decisions", decision)

    def accepted(self, *decisions: Decision, sender: Path = SENDER) -> "RuledDesk":
        self.put("inbox", SenderGiven(sender, {}))
        for place, decision in enumerate(decisions or (PASS,)):
            self.put("inbox", Rcpt(RECIPIENT, {}))
            self.put("decisions", decision)
            if not place:
                self.put("backend", Ready(ALL), ReplyReceived("MAIL", OK))
            assert self.put("backend", ReplyReceived("RCPT", OK)) == {"outbox": [OK]}
        return self

    def in_data(self, *decisions: Decision) -> "RuledDesk":
        assert self.accepted(*decisions).put("inbox", DataRequested()) == {
            "to_backend": [StartData()]
        }
        said = self.put("backend", ReplyReceived("DATA", GO_ON))
        assert [reply.code for reply in said["outbox"]] == [354]
        return self


class Office:
    """The least that a DecisionOffice has. Identifiers count up, so that a test can say them."""

    def __init__(
        self,
        decider: component,
        rules: DoorRules | None = None,
        before_decider: Callable[[], component] | None = None,
    ) -> None:
        self.decider = decider
        self.rules = rules
        self.before_decider = before_decider
        self.clock = lambda: NOW
        self._ids = 0

    def new_id(self) -> str:
        self._ids += 1
        return f"id{self._ids}"
