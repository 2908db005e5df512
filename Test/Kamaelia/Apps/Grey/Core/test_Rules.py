"""Rules: a policy made ready says what the policy says (the cases are in test_Decide.py)."""

import doctest
import sys
from dataclasses import replace
from ipaddress import ip_network

from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.Core.Normalise import triplet_of
from Kamaelia.Apps.Grey.Core.Rules import MOST_CLIENTS, Recipients, Rules
from Kamaelia.Apps.Grey.Core.Types import Attempt, HeloRule, Policy, Reason, TripleRule

HERE = Networks([ip_network("198.51.100.0/24")])
POLICY = Policy(
    allowed_domains=frozenset({"example.org"}),
    whitelisted_triples=tuple(
        TripleRule(HERE, f"s{number}@*", "*@example.org") for number in range(100)
    ),
    nonstandard_triples=(HeloRule("list*", HERE, "*"),),
)
STRANGER = Attempt("192.0.2.7", "mx", "a@example.net", "b@example.org", "k", "b", "example.org")


def reason(attempt: Attempt) -> Reason | None:
    decision = Rules(POLICY).without_record(attempt)
    return None if decision is None else decision.reason


def test_a_mail_server_decides_by_itself_whom_it_takes_mail_for() -> None:
    elsewhere = replace(STRANGER, recipient="b@foreign.example", recipient_domain="foreign.example")
    routed = replace(STRANGER, recipient="a%b@example.org", recipient_local="a%b")
    assert reason(elsewhere) is Reason.RELAY_DENIED
    assert reason(routed) is Reason.BAD_ROUTING
    for attempt in (elsewhere, routed):
        assert reason(replace(attempt, mta=True)) is None
    known = replace(elsewhere, mta=True, client="198.51.100.9", helo="list1")
    assert reason(known) is Reason.WHITELISTED_HELO


def test_rules_are_for_the_clients_of_their_networks() -> None:
    known = replace(STRANGER, sender="S99@example.net")
    assert reason(replace(known, client="198.51.100.9")) is Reason.WHITELISTED_TRIPLE
    assert reason(known) is None
    assert reason(replace(STRANGER, client="198.51.100.9", helo="list1")) is Reason.WHITELISTED_HELO
    assert reason(replace(STRANGER, helo="list1")) is None


def test_a_client_is_worked_out_once_and_so_many_are_kept() -> None:
    rules = Rules(POLICY)
    for number in range(3 * MOST_CLIENTS):
        rules.without_record(replace(STRANGER, client=f"10.{number >> 8}.{number & 255}.1"))
        assert len(rules._clients) <= MOST_CLIENTS
    before = rules._clients.copy()
    rules.without_record(replace(STRANGER, client=next(iter(before))))
    assert rules._clients == before


def test_what_is_no_address_is_kept_only_if_it_is_short() -> None:
    rules = Rules(POLICY)
    rules.without_record(replace(STRANGER, client="x" * 5000))
    assert len(rules._clients) == 0


def to(recipient: str) -> Attempt:
    local, _, domain = recipient.rpartition("@")
    return replace(STRANGER, recipient=recipient, recipient_local=local, recipient_domain=domain)


def test_some_recipients_are_named_one_by_one_or_by_their_domain() -> None:
    some = Recipients(("Bob@Example.org", "example.net", ".example.com", "B\u00fccher.example"))
    for recipient in (
        *("bob@example.org", "BOB@EXAMPLE.ORG", "x@Example.net", "x@example.com"),
        *("x@a.b.example.com", "x@b\u00fccher.EXAMPLE"),
    ):
        assert some.has(to(recipient)), recipient
    for recipient in ("x@example.org", "x@a.example.net", "x@badexample.com", "x@com", "bob"):
        assert not some.has(to(recipient)), recipient
    assert not Recipients(()).has(STRANGER)
    assert not Recipients(("x@example.org",)).has(STRANGER)


def test_senders_are_normal_in_the_key_if_the_policy_says_so() -> None:
    varied = replace(to("B+lists@example.org"), sender="list-bounces-4711@example.net")
    assert Rules(POLICY).triplet_of(varied).sender == "list-bounces-4711@example.net"
    triplet = Rules(replace(POLICY, normalise_senders=True)).triplet_of(varied)
    assert (triplet.sender, triplet.recipient) == ("list-bounces@example.net", "b@example.org")
    tagged = replace(STRANGER, sender="prvs=1=a@example.net")
    assert Rules(POLICY).triplet_of(tagged) == Rules(POLICY).triplet_of(STRANGER)
    assert Rules(POLICY).network_of("192.0.2.9") == Rules(POLICY).triplet_of(STRANGER).network


texts = st.text(st.characters(), max_size=20)


@settings(max_examples=50)
@given(st.lists(st.builds(Attempt, *[texts] * 7, st.booleans()), max_size=5))
def test_whatever_is_asked_it_answers_and_with_the_same_key(attempts: list[Attempt]) -> None:
    rules = Rules(POLICY)
    for attempt in attempts:
        rules.without_record(attempt)
        assert rules.triplet_of(attempt) == triplet_of(attempt, POLICY)


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[Rules.__module__])
    assert result.attempted
    assert not result.failed
