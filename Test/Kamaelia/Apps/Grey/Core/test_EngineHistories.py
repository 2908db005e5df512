"""
Engine: random histories against a reference that a person can check.

The reference keeps the moments in a plain dict, knows no generations, merging or rows that are not
written, and is told the rule: in from first try + delay on, forgotten a window later; a pass lives
from the latest mail on, give or take the hundredth by which it need not be renewed.
"""

from dataclasses import dataclass, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from Kamaelia.Apps.Grey.Core.Engine import Engine
from Kamaelia.Apps.Grey.Core.Types import Attempt, FailMode, Policy, Reason, Triplet, Verdict
from Test.Kamaelia.Apps.Grey.Core.engines import POLICY, STRANGER, T0, Driver

DELAYS = st.sampled_from([0, 60, 240, 1800, 7200])
WINDOWS = st.sampled_from([60, 3600, 432_000])
LIVES = st.sampled_from([0, 50, 3600, 86_400, 3_110_400])
GAPS = st.sampled_from([0, 1, 30, 59, 60, 61, 239, 240, 1800, 3599, 3660, 7200, 86_400, 500_000])
WHO = st.sampled_from([f"a{number}@example.net" for number in range(3)])


@dataclass
class Known:
    """first: of the try that counts; due; until: None before any pass."""

    first: int
    due: int
    until: int | None = None
    passed: int = 0  # when it passed last


class Histories(RuleBasedStateMachine):
    """Mail comes in, time goes by, the policy changes, machines lose their store."""

    def __init__(self) -> None:
        super().__init__()
        self.now = T0
        self.known: dict[str, Known] = {}
        self.policy = POLICY
        self.driver = Driver(Engine(POLICY))

    @initialize(delay=DELAYS, window=WINDOWS, life=LIVES)
    def begin(self, delay: int, window: int, life: int) -> None:
        self._use(replace(POLICY, delay_seconds=delay, window_seconds=window, pass_seconds=life))

    def _use(self, policy: Policy) -> None:
        self.policy = policy
        self.driver.engine = Engine(policy)

    @rule(delay=DELAYS, life=LIVES)
    def reload(self, delay: int, life: int) -> None:
        self._use(replace(self.policy, delay_seconds=delay, pass_seconds=life))

    @rule(gap=GAPS)
    def wait(self, gap: int) -> None:
        self.now += gap

    @rule(sender=WHO)
    def mail(self, sender: str) -> None:
        verdict, reason = self._expected(sender)
        decision = self.driver.decide(self._attempt(sender), self.now)
        assert (decision.verdict, decision.reason) == (verdict, reason)
        if verdict is Verdict.DEFER:
            assert decision.wait_seconds == self.known[sender].due - self.now

    @rule(sender=WHO)
    def comes_regularly(self, sender: str) -> None:
        """Each time before its pass ends, in the end long after the first one would have."""
        self.now += self.policy.delay_seconds
        for _ in range(4):
            self.mail(sender)
            self.now += self.policy.pass_seconds * 3 // 4
        self.mail(sender)

    @rule(sender=WHO, mode=st.sampled_from(FailMode))
    def mail_without_store(self, sender: str, mode: FailMode) -> None:
        before = dict(self.driver.records)
        self.driver.engine = Engine(replace(self.policy, store_failure=mode))
        self.driver.store_fails = True
        decision = self.driver.decide(self._attempt(sender), self.now)
        self.driver.store_fails = False
        self._use(self.policy)
        assert decision.reason is Reason.STORE_FAILED
        assert self.driver.records == before

    @rule(sender=WHO)
    def sweep(self, sender: str) -> None:
        """What is over may be gone, and nobody can tell; but it is as if it had never been."""
        triplet = Triplet("192.0.2.0/24", sender, "b@example.org")
        record = self.driver.records.get(triplet)
        if record is not None and self.policy.lifetimes.is_over(record, self.now):
            del self.driver.records[triplet]
            del self.known[sender]

    @invariant()
    def a_record_is_of_one_piece(self) -> None:
        for record in self.driver.records.values():
            assert record.first_seen <= record.last_seen <= self.now
            assert (record.passed_at is None) == (record.until == 0) == (record.passed == 0)

    def _attempt(self, sender: str) -> Attempt:
        return replace(STRANGER, sender=sender)

    def _expected(self, sender: str) -> tuple[Verdict, Reason]:
        known, now, life = self.known.get(sender), self.now, self.policy.pass_seconds
        if known is None:
            return self._begin(sender, Reason.NEW)
        if known.until is None:
            if now > known.due + self.policy.window_seconds:
                return self._begin(sender, Reason.EXPIRED_WINDOW)
            if now < known.due:
                return Verdict.DEFER, Reason.TOO_EARLY
            known.until, known.passed = now + life, now
            return Verdict.PASS, Reason.RETRIED
        if now > known.until or (life == 0 and now > known.passed):
            return self._begin(sender, Reason.EXPIRED_PASS)
        if now + life >= known.until + min(3600, life // 100):
            known.until, known.passed = max(known.until, now + life), now
        return Verdict.PASS, Reason.KNOWN

    def _begin(self, sender: str, reason: Reason) -> tuple[Verdict, Reason]:
        delay = self.policy.delay_seconds
        self.known[sender] = Known(self.now, self.now + delay)
        return Verdict.DEFER if delay else Verdict.PASS, reason


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
