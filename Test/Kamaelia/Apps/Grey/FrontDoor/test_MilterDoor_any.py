"""Whatever a mail server and a decider do, in whatever order: no mail gets in undecided, each
question has one answer, and nothing is left behind."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Ipc import shutdownMicroprocess
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Ruling
from Kamaelia.Apps.Grey.Core.Modes import Report
from Kamaelia.Apps.Grey.Core.Types import (
    Attempt,
    Decision,
    MessageAttempt,
    MessageDecision,
    Reason,
    Verdict,
)
from Kamaelia.Apps.Grey.FrontDoor.KeptMessage import MessageRoom
from Test.Kamaelia.Apps.Grey.FrontDoor.milters import WAIT, Asking
from Test.Kamaelia.Apps.Grey.FrontDoor.ruled import PASS, PASSED, door_rules, tarpit

FOOTER = MessageDecision(Verdict.PASS, Ruling(Action.WHITELIST, addfooter="end"))
NO = MessageDecision(Verdict.REJECT, Ruling(Action.BLACKLIST))
REFUSED = Decision(Verdict.REJECT, Reason.RULE)
RCPT = [PASS, WAIT, REFUSED, tarpit(6.0), tarpit(60.0), None]
DATA = [PASSED, FOOTER, NO, None]

_steps = st.lists(
    st.sampled_from(
        ["helo", "mail", "null", "rcpt", "rcpt", "content", "abort", "next", "late", "wait"]
    ),
    max_size=25,
)


class Chaos:
    """A mail server that asks in any order that makes sense, and keeps account."""

    def __init__(self, version: str, rcpt: list[Any], data: list[Any]) -> None:
        self.room = MessageRoom()
        self.full = self.room.total
        self.rules = door_rules(
            data_rules=True, delayedreject=True, report=Report.ALL, room=self.room
        )
        self.rcpt, self.data = rcpt, data
        self.asking = Asking(self.rules, rcpt=self.decide, data=self.judge)
        self.asking.connect(macros={"v": version})
        self.open: list[Attempt | MessageAttempt] = []
        self.passed = 0  # of this message's recipients
        self.in_message = False

    def decide(self, attempt: Attempt) -> Any:  # noqa: ANN401
        return self.answer(attempt, self.rcpt)

    def judge(self, attempt: MessageAttempt) -> Any:  # noqa: ANN401
        assert self.passed
        return self.answer(attempt, self.data)

    def answer(self, attempt: Attempt | MessageAttempt, answers: list[Any]) -> Any:  # noqa: ANN401
        decision = answers.pop(0) if answers else None
        if decision is None:
            self.open.append(attempt)
        return decision

    def settle(self, said: list[Any]) -> bytes:
        """The answer to the question that is open, however long it takes."""
        finals = [each.kind for each in said if each.final]
        while self.asking.mta.waiting:
            finals += [each.kind for each in self.asking.run(10.0) if each.final]
        (final,) = finals  # one, and no more
        return bytes(final)

    def do(self, step: str) -> None:
        asking, mta = self.asking, self.asking.mta
        if step == "late" and self.open:
            attempt = self.open.pop(0)
            late = PASSED if isinstance(attempt, MessageAttempt) else PASS
            asking.decider.answer(attempt, late)
            assert asking.run() == []  # it was given up before
        elif step == "wait":
            assert asking.run(7.0) == []
        elif step in ("mail", "null"):
            asking.mail("<>" if step == "null" else "<a@b>")
            self.passed, self.in_message = 0, True
        elif step == "rcpt" and self.in_message:
            self.passed += self.settle(asking.rcpt()) == b"c"
        elif step == "content" and self.in_message:
            final = self.settle(asking.content())
            assert final != b"c" or self.passed
            self.in_message = False
        elif step == "helo":
            asking.write(mta.helo("again"))
            self.in_message = False
        elif step == "abort":
            asking.write(mta.abort())
            self.in_message = False
        elif step == "next":
            asking.write(mta.quit_new_connection())
            asking.connect()
            self.in_message = False


@settings(max_examples=50, deadline=None)
@given(
    version=st.sampled_from(["Postfix 3.7.11", "8.17.1.9"]),
    steps=_steps,
    rcpt=st.lists(st.sampled_from(RCPT), max_size=20),
    data=st.lists(st.sampled_from(DATA), max_size=5),
)
def test_whatever_happens(version: str, steps: list[str], rcpt: list[Any], data: list[Any]) -> None:
    chaos = Chaos(version, rcpt, data)
    for step in steps:
        chaos.do(step)
    chaos.asking.tell(shutdownMicroprocess())
    chaos.asking.write(chaos.asking.mta.quit())
    assert chaos.asking.ended
    assert chaos.room.total == chaos.full
    assert chaos.rules.tarpitted == 0
    assert chaos.asking.run(1_000.0) == []
