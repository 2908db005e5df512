"""
The decision
============
Everything that lets a recipient pass, defers or refuses it, in the order in which it is asked:

 1. client in `allowed_senders`                               pass, whoever it is for
 2. client in `allowed_sender_nets`                           pass, whoever it is for
 3. recipient's domain is not ours                            reject: we are no relay
 4. our domain, but a path hidden in the local part           reject: nor by the back door
 5. client, sender and recipient in `whitelisted_triples`     pass
 6. HELO, client and recipient in `nonstandard_triples`       pass
 7. greylisting                                               `with_record` below

The first six need no record: `without_record` answers them, and the store is asked only when it
gives None. Relaying stands before the white lists, so that no line in them can open a relay.
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

from Kamaelia.Apps.Grey.Core.Normalise import fold_domain, triplet_of, wildcard_match
from Kamaelia.Apps.Grey.Core.Types import (
    Attempt,
    Decision,
    FailMode,
    HeloRule,
    Policy,
    Reason,
    Record,
    TripleRule,
    Triplet,
    Verdict,
)

_ROUTING_CHARACTERS = frozenset("%!@")


def decide(attempt: Attempt, record: Record | None, policy: Policy, now: int) -> Decision:
    """The whole decision, for callers that have the record at hand."""
    return without_record(attempt, policy) or with_record(attempt, record, policy, now)


def without_record(attempt: Attempt, policy: Policy) -> Decision | None:
    """The decision if it does not depend on earlier attempts, else None."""
    if attempt.client in policy.allowed_senders:
        return Decision(Verdict.PASS, Reason.ALLOWED_SENDER)
    if attempt.client in policy.allowed_sender_nets:
        return Decision(Verdict.PASS, Reason.ALLOWED_NETWORK)
    if not _is_ours(attempt, policy.allowed_domains):
        return Decision(Verdict.REJECT, Reason.RELAY_DENIED)
    # Quoted or not: Postfix takes the quotes off before it looks for a path (its parameter
    # resolve_dequoted_address), and the real server may trust our address (row 5).
    if not _ROUTING_CHARACTERS.isdisjoint(attempt.recipient_local):
        return Decision(Verdict.REJECT, Reason.BAD_ROUTING)
    if any(_fits_triple(rule, attempt) for rule in policy.whitelisted_triples):
        return Decision(Verdict.PASS, Reason.WHITELISTED_TRIPLE)
    if any(_fits_helo(rule, attempt) for rule in policy.nonstandard_triples):
        return Decision(Verdict.PASS, Reason.WHITELISTED_HELO)
    return None


def with_record(attempt: Attempt, record: Record | None, policy: Policy, now: int) -> Decision:
    """Greylisting proper: what the earlier attempts of this triplet mean now."""
    triplet = triplet_of(attempt, policy)
    if record is None:
        return _defer_afresh(triplet, policy, Record.started(now), Reason.NEW)
    if policy.lifetimes.is_over(record, now):
        return _begin_again(triplet, record, policy, now)
    if record.passed_at is not None:
        return Decision(Verdict.PASS, Reason.KNOWN, 0, triplet, _passed(record, now))
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


def when_store_failed(attempt: Attempt, policy: Policy) -> Decision:
    """The decision while nobody can say what happened earlier. Failing open is for strangers'
    mail to our domains only: what needs no record is still decided as ever."""
    sure = without_record(attempt, policy)
    if sure is not None:
        return sure
    triplet = triplet_of(attempt, policy)
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


def _is_ours(attempt: Attempt, domains: frozenset[str]) -> bool:
    domain = fold_domain(attempt.recipient_domain)
    if not domain:  # RFC 5321 4.5.1: every server takes mail for <postmaster>
        return attempt.recipient_local.lower() == "postmaster"
    if domain in domains or f".{domain}" in domains:
        return True
    dot = domain.find(".")
    while dot >= 0:
        if domain[dot:] in domains:
            return True
        dot = domain.find(".", dot + 1)
    return False


def _fits_triple(rule: TripleRule, attempt: Attempt) -> bool:
    return (
        wildcard_match(rule.recipient, attempt.recipient)
        and wildcard_match("" if rule.sender == "<>" else rule.sender, attempt.sender)
        and attempt.client in rule.networks
    )


def _fits_helo(rule: HeloRule, attempt: Attempt) -> bool:
    return (
        wildcard_match(rule.recipient, attempt.recipient)
        and wildcard_match(rule.helo, attempt.helo)
        and attempt.client in rule.networks
    )
