"""
Greylisting of one recipient
============================
The last steps of a decision, when nobody has let the mail in or refused it: what stands for the
client (Keys.py), whether it is known as a whole (Clients.py), and what its triplet's record says
(Decide.py), on the terms of the access rule that matched.

Example Usage
-------------
>>> from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session
>>> from Kamaelia.Apps.Grey.Core.Types import Policy
>>> greylisting = Greylisting(Rules(Policy()))
>>> subject = Subject(Session("192.0.2.7"), Mail("<a@example.net>"), "<b@example.org>", now=0.0)
>>> deciding = greylisting.decide("a@example.net", "b@example.org", subject, None, now=1000)
>>> next(deciding).triplet.network
'192.0.2.0/24'
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from Kamaelia.Apps.Grey.Core.Access.Rule import Ruling
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject
from Kamaelia.Apps.Grey.Core.Clients import Clients, client_triplet
from Kamaelia.Apps.Grey.Core.Decide import when_too_many, with_triplet, without_store
from Kamaelia.Apps.Grey.Core.Keys import Organisation, key_of, no_organisation
from Kamaelia.Apps.Grey.Core.Modes import Mode
from Kamaelia.Apps.Grey.Core.Normalise import addresses_of
from Kamaelia.Apps.Grey.Core.Rules import Rules
from Kamaelia.Apps.Grey.Core.Suspicion import Looks, looks
from Kamaelia.Apps.Grey.Core.Types import Decision, Reason, Record, Triplet, Verdict
from Kamaelia.Apps.Grey.Core.Wants import Deciding, Found, StoreFailed, look

_FIRST_TRIES = (Reason.NEW, Reason.EXPIRED_WINDOW, Reason.EXPIRED_PASS)


@dataclass(frozen=True, slots=True)
class _Terms:
    """On which a triplet is greylisted now. forgotten: what was known is not regarded (flushaddr:
    the store is about to be told); client_counts: the client has a record of its own. network: of
    its address, whatever stands for it in the triplet: who has waited, and how many strangers there
    may be, is told by that. Domains cost nothing, one may let everybody send, and behind a
    provider's name are strangers."""

    triplet: Triplet
    network: str
    delay: int
    pass_seconds: int
    forgotten: bool
    client_counts: bool


class Greylisting:
    """Greylisting(rules) -> `decide`. organisation and admit: see Engine."""

    __slots__ = ("_admit", "_clients", "_organisation", "_policy", "_rules")

    def __init__(
        self,
        rules: Rules,
        organisation: Organisation = no_organisation,
        admit: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._rules = rules
        self._policy = rules.policy
        self._organisation = organisation
        self._admit = admit
        self._clients = Clients(rules.policy.client_passes, rules.policy.client_abuse)

    def decide(
        self, sender: str, recipient: str, subject: Subject, ruling: Ruling | None, now: int
    ) -> Deciding:
        """Pass or defer; `key_kind` says what stood for the client. Addresses without <>."""
        client = subject.session.client
        network = self._rules.network_of(client)
        key, kind = key_of(self._policy, subject, network, self._organisation)
        both = addresses_of(sender, recipient, normalise=self._policy.normalise_senders)
        terms = self._terms(Triplet(key, *both), network, subject, ruling)
        if terms.client_counts:
            decision = yield from self._with_client(terms, now)
        else:
            record = yield from self._look(terms.triplet, terms)
            decision = self._with_record(terms, record, now)
        return Decision(  # by hand: dataclasses.replace() takes ten times as long
            decision.verdict,
            decision.reason,
            decision.wait_seconds,
            decision.triplet,
            decision.record,
            decision.waited_seconds,
            key_kind=kind,
            also=decision.also,
        )

    def _terms(
        self, triplet: Triplet, network: str, subject: Subject, ruling: Ruling | None
    ) -> _Terms:
        policy, autowhite = self._policy, None if ruling is None else ruling.autowhite
        return _Terms(
            triplet,
            network,
            self._delay(subject, ruling),
            policy.pass_seconds if autowhite is None else autowhite,
            forgotten=ruling is not None and ruling.flushaddr,
            client_counts=bool(policy.client_passes)
            and subject.session.client not in policy.never_whitelist,
        )

    def _delay(self, subject: Subject, ruling: Ruling | None) -> int:
        policy = self._policy
        if ruling is not None and ruling.delay is not None:
            return ruling.delay
        if policy.greylist_mode is Mode.SUSPICIOUS and looks(policy, subject) is Looks.WORST:
            return max(policy.worst_delay, policy.delay_seconds)
        return policy.delay_seconds

    def _with_client(self, terms: _Terms, now: int) -> Deciding:
        whole = client_triplet(terms.network)
        client = yield from self._look(whole, terms)
        generation = 0
        if isinstance(client, Record):
            if self._rules.lifetimes.is_over(client, now):
                generation, client = client.generation + 1, None
            elif self._clients.is_known(client):
                hit = self._clients.after_hit(client, now, terms.pass_seconds)
                also = () if hit is None else ((whole, hit),)
                return Decision(Verdict.PASS, Reason.CLIENT_KNOWN, 0, terms.triplet, also=also)
        record = yield from self._look(terms.triplet, terms)
        decision = self._with_record(terms, record, now)
        if isinstance(client, StoreFailed):
            return decision
        news = None
        if decision.reason is Reason.RETRIED and isinstance(record, Record):
            begun = record.first_seen
            news = self._clients.after_pass(client, begun, now, terms.pass_seconds, generation)
        elif decision.verdict is Verdict.DEFER and decision.reason in _FIRST_TRIES:
            news = self._clients.after_first_try(client, now, terms.delay, generation)
        return decision if news is None else replace(decision, also=((whole, news),))

    def _look(self, triplet: Triplet, terms: _Terms) -> Found:
        if terms.forgotten:
            return None
        return (yield from look(triplet))

    def _with_record(
        self, terms: _Terms, record: Record | StoreFailed | None, now: int
    ) -> Decision:
        triplet, delay = terms.triplet, terms.delay
        if isinstance(record, StoreFailed):
            return without_store(triplet, self._policy, delay)
        if record is None and not self._admit(terms.network):
            return when_too_many(triplet, self._policy, delay)
        return with_triplet(triplet, record, self._rules, now, delay, terms.pass_seconds)
