"""
The decision
============
Everything that lets a recipient pass, defers or refuses it, in the order in which it is asked:

 1. client in `allowed_senders`                               pass, whoever it is for
 2. client in `allowed_sender_nets`                           pass, whoever it is for
 3. client authenticated (not if `greylist_authenticated`)    pass, whoever it is for
 4. stranger, and the recipient's domain is not ours          reject: we are no relay
 5. stranger, a path hidden in the local part                 reject: nor by the back door
 6. client, sender and recipient in `whitelisted_triples`     pass
 7. HELO, client and recipient in `nonstandard_triples`       pass
 8. greylisting                                               `with_record` below

The first seven need no record: `without_record` answers them (Rules.py), and the store is asked
only when it gives None. Relaying stands before the white lists, so that no line in them can open a
relay. Where access rules or look-ups have a say, too, Engine.py has the whole order; it comes back
here for the last step.

A record is born with the moment from which a retry gets in (`due`: first try and delay), lives
unanswered until `due` and the window are over, and once it has passed, until its pass ends
(`until`); with each pass it lives as long again. A delay of nothing lets in at once; a pass of
nothing is for one time.

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
    Lifetimes,
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


def with_triplet(
    triplet: Triplet,
    record: Record | None,
    rules: Rules,
    now: int,
    delay: int | None = None,
    pass_seconds: int | None = None,
) -> Decision:
    """The same for who has the attempt's triplet and the policy's rules at hand. `delay` and
    `pass_seconds`: of the access rule that matched now; None: those of the policy."""
    policy = rules.policy
    if delay is None:
        delay = policy.delay_seconds
    if record is None:
        return _first(triplet, Record.started(now, 0, delay), Reason.NEW, delay)
    if pass_seconds is None:
        pass_seconds, renew = policy.pass_seconds, rules.renew_seconds
    else:
        renew = Lifetimes(0, pass_seconds).renew_seconds
    if rules.lifetimes.is_over(record, now) or (pass_seconds <= 0 and _was_for_once(record, now)):
        return _begin_again(triplet, record, delay, now)
    if record.passed_at is not None:
        # Most mail is from those: no row for a pass that is as good as new.
        news = None
        if now + pass_seconds - record.until >= renew:
            news = _passed(record, now, pass_seconds)
        return Decision(Verdict.PASS, Reason.KNOWN, 0, triplet, news)
    if record.first_seen > now:
        # The clock was set back: waiting for a time in the future could take for ever (row 23).
        again = Record.started(now, record.generation + 1, delay)
        return _first(triplet, again, Reason.NEW, delay)
    waited = now - record.first_seen
    if now < record.due:
        # due stays: a sender that retries eagerly must not push its own pass away.
        early = replace(record, last_seen=max(record.last_seen, now), deferred=record.deferred + 1)
        return Decision(Verdict.DEFER, Reason.TOO_EARLY, record.due - now, triplet, early, waited)
    passed = _passed(record, now, pass_seconds)
    return Decision(Verdict.PASS, Reason.RETRIED, 0, triplet, passed, waited)


def when_too_many(triplet: Triplet, policy: Policy, delay: int | None = None) -> Decision:
    """The decision for a stranger of whose network there are too many already (row 15): as for
    every stranger, but with nothing to remember."""
    if delay is None:
        delay = policy.delay_seconds
    if delay <= 0:  # it would not have had to wait
        return Decision(Verdict.PASS, Reason.TOO_MANY, 0, triplet)
    return Decision(Verdict.DEFER, Reason.TOO_MANY, delay, triplet)


def when_store_failed(attempt: Attempt, policy: Policy) -> Decision:
    """The decision while nobody can say what happened earlier. Failing open is for strangers'
    mail to our domains only: what needs no record is still decided as ever."""
    sure = without_record(attempt, policy)
    return sure or without_store(triplet_of(attempt, policy), policy)


def without_store(triplet: Triplet, policy: Policy, delay: int | None = None) -> Decision:
    """The same for an attempt that cannot be decided without a record."""
    if delay is None:
        delay = policy.delay_seconds
    if policy.store_failure is FailMode.ACCEPT or delay <= 0:
        return Decision(Verdict.PASS, Reason.STORE_FAILED, 0, triplet)
    return Decision(Verdict.DEFER, Reason.STORE_FAILED, delay, triplet)


def _was_for_once(record: Record, now: int) -> bool:
    """Without auto-whitelisting a pass of earlier is not honoured; one of this second is, for the
    other decisions about the same mail."""
    return record.passed_at is not None and now > record.passed_at


def _begin_again(triplet: Triplet, record: Record, delay: int, now: int) -> Decision:
    waited = now - record.first_seen if record.passed_at is None else 0
    reason = Reason.EXPIRED_WINDOW if record.passed_at is None else Reason.EXPIRED_PASS
    again = Record.started(now, record.generation + 1, delay)
    return replace(_first(triplet, again, reason, delay), waited_seconds=max(0, waited))


def _first(triplet: Triplet, record: Record, reason: Reason, delay: int) -> Decision:
    """A first try, or one that counts as such. Without a delay it gets in, and is remembered as one
    that waits: the next mail may meet a rule that has a delay."""
    if delay <= 0:
        return Decision(Verdict.PASS, reason, 0, triplet, replace(record, due=record.first_seen))
    return Decision(Verdict.DEFER, reason, delay, triplet, record)


def _passed(record: Record, now: int, pass_seconds: int) -> Record:
    # A pass in the future (a clock that ran ahead) is kept: max, never back.
    return replace(
        record,
        last_seen=max(record.last_seen, now),
        passed_at=now if record.passed_at is None else max(record.passed_at, now),
        passed=record.passed + 1,
        until=max(record.until, now + max(0, pass_seconds)),
    )


# For callers that have a policy and no Rules. Few are in use at a time; the look-up costs what the
# hash of the policy costs, so who decides much keeps Rules of its own.
_rules = lru_cache(maxsize=8)(Rules)
