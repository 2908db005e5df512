"""
The decision
============
Everything that lets a recipient pass, defers or refuses it, in the order in which it is asked:

 1. client in `allowed_senders`                               pass, whoever it is for
 2. client in `allowed_sender_nets`                           pass, whoever it is for
 3. client authenticated (not if `greylist_authenticated`)    pass, whoever it is for
 4. recipient's domain is not ours                            reject: we are no relay
 5. our domain, but a path hidden in the local part           reject: nor by the back door
 6. client, sender and recipient in `whitelisted_triples`     pass
 7. HELO, client and recipient in `nonstandard_triples`       pass
 8. greylisting                                               `with_record` below

The first seven need no record: `without_record` answers them (Rules.py), and the store is asked
only when it gives None. Relaying stands before the white lists, so that no line in them can open a
relay.
The functions know no clock, file or network; they have an answer for every input.

>>> from Kamaelia.Apps.Grey.Core.Types import Attempt, Policy
>>> policy = Policy(delay_seconds=60, allowed_domains=frozenset({"example.org"}))
>>> attempt = Attempt("192.0.2.7", "mx", "a@example.net", "b@example.org", "k3f9", "b",
...                   "example.org")
>>> first = decide(attempt, None, policy, now=1_000)
>>> first.verdict.value, first.wait_seconds
('defer', 60)
>>> decide(attempt, first.record, policy, now=1_060).verdict.value
'pass'
"""

from dataclasses import replace
from functools import lru_cache

from Kamaelia.Apps.Grey.Core.Normalise import triplet_of
from Kamaelia.Apps.Grey.Core.Rules import Rules
from Kamaelia.Apps.Grey.Core.Types import (
    Attempt,
    Decision,
    FailMode,
    Policy,
    Reason,
    Record,
    Triplet,
    Verdict,
)


def decide(attempt: Attempt, record: Record | None, policy: Policy, now: int) -> Decision:
    """The whole decision, for callers that have the record at hand."""
    return without_record(attempt, policy) or with_record(attempt, record, policy, now)


def without_record(attempt: Attempt, policy: Policy) -> Decision | None:
    """The decision if it does not depend on earlier attempts, else None."""
    return _rules(policy).without_record(attempt)


def with_record(attempt: Attempt, record: Record | None, policy: Policy, now: int) -> Decision:
    """Greylisting proper: what the earlier attempts of this triplet mean now."""
    rules = _rules(policy)
    return with_triplet(rules.triplet_of(attempt), record, rules, now)


def with_triplet(triplet: Triplet, record: Record | None, rules: Rules, now: int) -> Decision:
    """The same for who has the attempt's triplet and the policy's rules at hand."""
    policy = rules.policy
    if record is None:
        return _defer_afresh(triplet, policy, Record.started(now), Reason.NEW)
    if rules.lifetimes.is_over(record, now):
        return _begin_again(triplet, record, policy, now)
    if record.passed_at is not None:
        renewed = now - record.passed_at >= rules.renew_seconds
        news = _passed(record, now) if renewed else None  # most mail is from those: no row for it
        return Decision(Verdict.PASS, Reason.KNOWN, 0, triplet, news)
    if record.first_seen > now:
        # The clock was set back: waiting for a time in the future could take for ever (row 23).
        again = Record.started(now, record.generation + 1)
        return _defer_afresh(triplet, policy, again, Reason.NEW)
    waited = now - record.first_seen
    if waited < policy.delay_seconds:
        # first_seen stays: a sender that retries eagerly must not push its own pass away.
        early = replace(record, last_seen=max(record.last_seen, now), deferred=record.deferred + 1)
        wait = policy.delay_seconds - waited
        return Decision(Verdict.DEFER, Reason.TOO_EARLY, wait, triplet, early, waited)
    return Decision(Verdict.PASS, Reason.RETRIED, 0, triplet, _passed(record, now), waited)


def when_too_many(triplet: Triplet, policy: Policy) -> Decision:
    """The decision for a stranger of whose network there are too many already (row 15): as for
    every stranger, but with nothing to remember."""
    return Decision(Verdict.DEFER, Reason.TOO_MANY, policy.delay_seconds, triplet)


def when_store_failed(attempt: Attempt, policy: Policy) -> Decision:
    """The decision while nobody can say what happened earlier. Failing open is for strangers'
    mail to our domains only: what needs no record is still decided as ever."""
    sure = without_record(attempt, policy)
    return sure or without_store(triplet_of(attempt, policy), policy)


def without_store(triplet: Triplet, policy: Policy) -> Decision:
    """The same for an attempt that cannot be decided without a record."""
    if policy.store_failure is FailMode.ACCEPT:
        return Decision(Verdict.PASS, Reason.STORE_FAILED, 0, triplet)
    return Decision(Verdict.DEFER, Reason.STORE_FAILED, policy.delay_seconds, triplet)


def _begin_again(triplet: Triplet, record: Record, policy: Policy, now: int) -> Decision:
    waited = now - record.first_seen if record.passed_at is None else 0
    reason = Reason.EXPIRED_WINDOW if record.passed_at is None else Reason.EXPIRED_PASS
    again = Record.started(now, record.generation + 1)
    return replace(_defer_afresh(triplet, policy, again, reason), waited_seconds=waited)


def _defer_afresh(triplet: Triplet, policy: Policy, record: Record, reason: Reason) -> Decision:
    return Decision(Verdict.DEFER, reason, policy.delay_seconds, triplet, record)


def _passed(record: Record, now: int) -> Record:
    # A pass in the future (a clock that ran ahead) is kept: max, never back.
    return replace(
        record,
        last_seen=max(record.last_seen, now),
        passed_at=now if record.passed_at is None else max(record.passed_at, now),
        passed=record.passed + 1,
    )


# For callers that have a policy and no Rules. Few are in use at a time; the look-up costs what the
# hash of the policy costs, so who decides much keeps Rules of its own.
_rules = lru_cache(maxsize=8)(Rules)
