"""
A policy made ready for many attempts
=====================================
What a decision needs of a policy and a client is the same for all recipients of that client: is it
in a list, which rules can be for it at all, which network stands for it. `Rules` works that out
once a client and keeps it, so that a list of ten thousand white-listed triples costs a client
nothing in whose networks it is not.

The order of the questions is told in Decide.py.

>>> from Kamaelia.Apps.Grey.Core.Types import Attempt, Policy
>>> rules = Rules(Policy(allowed_domains=frozenset({"example.org"})))
>>> attempt = Attempt("192.0.2.7", "mx", "a@example.net", "b@example.com", "k3f9", "b",
...                   "example.com")
>>> rules.without_record(attempt).reason.value
'relay-denied'
>>> rules.triplet_of(attempt).network
'192.0.2.0/24'
"""

from collections.abc import Sequence

from Kamaelia.Apps.Grey.Core.Normalise import (
    TEXT_LIMIT,
    addresses_of,
    fold_address,
    fold_domain,
    network_of,
    wildcard_match,
)
from Kamaelia.Apps.Grey.Core.Types import (
    Attempt,
    Decision,
    HeloRule,
    Policy,
    Reason,
    TripleRule,
    Triplet,
    Verdict,
)

MOST_CLIENTS = 4096

# Made once: a decision is a frozen value, and these have nothing in them of the attempt.
_ALLOWED_SENDER = Decision(Verdict.PASS, Reason.ALLOWED_SENDER)
_ALLOWED_NETWORK = Decision(Verdict.PASS, Reason.ALLOWED_NETWORK)
_AUTHENTICATED = Decision(Verdict.PASS, Reason.AUTHENTICATED)
_RELAY_DENIED = Decision(Verdict.REJECT, Reason.RELAY_DENIED)
_BAD_ROUTING = Decision(Verdict.REJECT, Reason.BAD_ROUTING)
_WHITELISTED_TRIPLE = Decision(Verdict.PASS, Reason.WHITELISTED_TRIPLE)
_WHITELISTED_HELO = Decision(Verdict.PASS, Reason.WHITELISTED_HELO)


class _Client:
    """What holds for all attempts of one client address."""

    __slots__ = ("allowed", "helos", "network", "triples")

    def __init__(self, address: str, policy: Policy, has_lists: bool) -> None:
        self.allowed: Decision | None = None
        self.triples: Sequence[TripleRule] = ()
        self.helos: Sequence[HeloRule] = ()
        self.network = network_of(address, policy.prefix4, policy.prefix6)
        if has_lists:
            self._look_up(address, policy)

    def _look_up(self, address: str, policy: Policy) -> None:
        if address in policy.allowed_senders:
            self.allowed = _ALLOWED_SENDER
        elif address in policy.allowed_sender_nets:
            self.allowed = _ALLOWED_NETWORK
        triples, helos = policy.whitelisted_triples, policy.nonstandard_triples
        self.triples = [rule for rule in triples if address in rule.networks]
        self.helos = [rule for rule in helos if address in rule.networks]


class Rules:
    """Rules(policy) -> `without_record` and `triplet_of` for attempts; never raise, whatever an
    attempt has in it."""

    __slots__ = (
        "_authenticated_may",
        "_clients",
        "_domains",
        "_has_lists",
        "_normalise",
        "lifetimes",
        "policy",
        "renew_seconds",
    )

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.lifetimes = policy.lifetimes
        self.renew_seconds = self.lifetimes.renew_seconds
        self._domains = policy.allowed_domains
        self._normalise = policy.normalise_senders
        self._authenticated_may = not policy.greylist_authenticated
        self._clients: dict[str, _Client] = {}
        self._has_lists = bool(  # most clients are new, and most lists empty
            policy.allowed_senders
            or policy.allowed_sender_nets
            or policy.whitelisted_triples
            or policy.nonstandard_triples
        )

    def without_record(self, attempt: Attempt) -> Decision | None:
        """The decision if it does not depend on earlier attempts, else None."""
        client = self._clients.get(attempt.client) or self._client(attempt.client)
        if client.allowed is not None:
            return client.allowed
        if attempt.authenticated:
            # The real server has let it log in, and says what it may send where; else a site whose
            # rules have an `auth` (which means noauth) could send nothing out any more.
            if self._authenticated_may:
                return _AUTHENTICATED
        elif attempt.mta:
            pass  # for whom it takes mail is its own business, and it has looked
        elif not self._is_ours(attempt):
            return _RELAY_DENIED
        else:
            # Quoted or not: Postfix takes the quotes off before it looks for a path (its parameter
            # resolve_dequoted_address), and the real server may trust our address (row 5).
            local = attempt.recipient_local
            if "%" in local or "!" in local or "@" in local:
                return _BAD_ROUTING
        for triple in client.triples:
            if _fits_triple(triple, attempt):
                return _WHITELISTED_TRIPLE
        for helo in client.helos:
            if _fits_helo(helo, attempt):
                return _WHITELISTED_HELO
        return None

    def triplet_of(self, attempt: Attempt) -> Triplet:
        """The key under which this attempt is remembered."""
        client = self._clients.get(attempt.client) or self._client(attempt.client)
        if self._normalise or "=" in attempt.sender:
            both = addresses_of(attempt.sender, attempt.recipient, normalise=self._normalise)
            return Triplet(client.network, *both)
        return Triplet(
            client.network, fold_address(attempt.sender), fold_address(attempt.recipient)
        )

    def network_of(self, address: str) -> str:
        """What stands for a client by its address."""
        return (self._clients.get(address) or self._client(address)).network

    def _client(self, address: str) -> _Client:
        client = _Client(address, self.policy, self._has_lists)
        if len(address) <= TEXT_LIMIT:
            if len(self._clients) >= MOST_CLIENTS:
                self._clients.clear()  # all at once: no bookkeeping for those that stay
            self._clients[address] = client
        return client

    def _is_ours(self, attempt: Attempt) -> bool:
        domain = fold_domain(attempt.recipient_domain)
        domains = self._domains
        if domain in domains:
            # An empty one cannot be in the list, see the next lines.
            return bool(domain) or _is_postmaster(attempt)
        if not domain:
            return _is_postmaster(attempt)
        return _is_below(domain, domains)


class Recipients:
    """Recipients(entries): some of ours. An entry is an address, a domain, or .domain for it and
    every domain below it, in any case."""

    __slots__ = ("_addresses", "_domains")

    def __init__(self, entries: tuple[str, ...]) -> None:
        self._addresses = frozenset(fold_address(entry) for entry in entries if "@" in entry)
        self._domains = frozenset(fold_domain(entry) for entry in entries if "@" not in entry)

    def has(self, attempt: Attempt) -> bool:
        """Whether the attempt is for one of them."""
        if self._addresses and fold_address(attempt.recipient) in self._addresses:
            return True
        if not self._domains:
            return False
        domain = fold_domain(attempt.recipient_domain)
        return domain in self._domains or _is_below(domain, self._domains)


def _is_below(domain: str, domains: frozenset[str]) -> bool:
    """Whether one with a dot in front is the domain, or is above it."""
    if f".{domain}" in domains:
        return True
    dot = domain.find(".")
    while dot >= 0:
        if domain[dot:] in domains:
            return True
        dot = domain.find(".", dot + 1)
    return False


def _is_postmaster(attempt: Attempt) -> bool:
    # RFC 5321 4.5.1: every server takes mail for <postmaster>
    return attempt.recipient_local.lower() == "postmaster"


def _fits_triple(rule: TripleRule, attempt: Attempt) -> bool:
    """The networks were looked at before, see _Client."""
    sender = "" if rule.sender == "<>" else rule.sender
    return wildcard_match(rule.recipient, attempt.recipient) and wildcard_match(
        sender, attempt.sender
    )


def _fits_helo(rule: HeloRule, attempt: Attempt) -> bool:
    return wildcard_match(rule.recipient, attempt.recipient) and wildcard_match(
        rule.helo, attempt.helo
    )
