"""VerifyCache: what a reply to RCPT says of the recipient, and for how long it is believed."""

import doctest
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.FrontDoor.VerifyCache import (
    GreylistingSpotter,
    VerifyCache,
    is_about_recipient,
    key_of,
)
from Kamaelia.Support.Protocol.SMTP.Address import Path, parse_path
from Kamaelia.Support.Protocol.SMTP.Replies import Reply, ReplyParser

OK = Reply.of(250, "2.1.5", "Ok")
UNKNOWN = Reply.of(550, "5.1.1", "User unknown")


def reply(line: str) -> Reply:
    """A reply as a server writes it; \\n between its lines, the code only in the first."""
    code, _, text = line.partition(" ")
    return Reply(int(code), tuple(part.encode("ascii") for part in text.split("\n")))


def path(text: bytes) -> Path:
    return parse_path(text, smtputf8=True, recipient=True)[0]


def test_the_module_tells_the_truth() -> None:
    module = sys.modules[VerifyCache.__module__]
    assert doctest.testmod(module).failed == 0


# ---- the key


def test_a_domain_is_one_in_any_case_and_a_local_part_is_not() -> None:
    assert key_of(path(b"<Joe@Example.ORG>")) == "Joe@example.org"
    assert key_of(path(b"<joe@example.org>")) != key_of(path(b"<Joe@example.org>"))


def test_quoting_does_not_make_another_recipient() -> None:
    assert key_of(path(b'<"joe"@example.org>')) == key_of(path(b"<joe@example.org>"))
    assert key_of(path(b'<"j\\oe"@example.org>')) == key_of(path(b"<joe@example.org>"))


def test_postmaster_without_a_domain_has_a_key() -> None:
    assert key_of(path(b"<postmaster>")) == "postmaster@"


def test_a_sign_that_only_looks_like_a_k_makes_another_recipient() -> None:
    kelvin = path("<joe@kios\u212a.example>".encode())
    assert key_of(kelvin) == "joe@kios\u212a.example"


LOCALS = st.text("ab@[]%", min_size=1, max_size=6).map(str.encode)
DOMAINS = st.sampled_from([b"a", b"b.a", b"[IPv6:fe80::1%a]", b"[IPv6:fe80::1%b@a]", b""])


@settings(max_examples=50)
@given(LOCALS, DOMAINS, LOCALS, DOMAINS)
def test_two_recipients_never_share_a_key(
    one: bytes, at: bytes, other: bytes, there: bytes
) -> None:
    first, second = Path(b"x", one, at), Path(b"x", other, there)
    assert (key_of(first) == key_of(second)) is ((one, at) == (other, there))


# ---- what is kept

ABOUT_THE_RECIPIENT = [
    "550 5.1.1 <joe@example.org>: Recipient address rejected: User unknown in local table",
    "550 5.1.1 <joe@example.org>... User unknown",
    "550 5.1.1 policy, spam, sender: the enhanced code decides",
    "550 5.1.1",
    "550 5.1.2 no such system",
    "501 5.1.3 Bad recipient address syntax",
    "553 5.1.4 ambiguous",
    "551 5.1.6 moved away",
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
    "556 5.1.10 null MX",
    "550 Unrouteable address",
    "550 unknown user",
    "550 No such user here",
    "550 <joe@example.org>: User unknown",
    "550 sorry, no mailbox here by that name (#5.1.1)",
    "550 The email account that you tried to reach:\nthis user does not exist",
    "551 Unknown recipient",
    "553 Invalid recipient <joe@example.org>",
    '550 no such user "joe"',
]
ABOUT_SOMETHING_ELSE = [
    "550 5.1.0 <x@example.net>: Sender address rejected: User unknown in virtual mailbox table",
    "553 5.1.7 The sender's address is malformed: no such user",
    "553 5.1.8 <x@example.net>... Domain of sender address does not exist",
    "550 5.1.11 no such user",
    "550 5.2.1 mailbox disabled, user unknown today",
    "552 5.2.2 mailbox full",
    "550 5.7.1 Service unavailable; client [192.0.2.1] blocked: user unknown",
    "554 5.7.1 <joe@example.org>: Relay access denied",
    "550 5.7.606 Access denied, banned sending IP",
    "550 5.0.0 Access denied",
    "550 4.1.1 a temporary code with a permanent one",
    "550 relay not permitted",
    "550 Sender verify failed",
    "550 Verification failed for <x@example.net>\nNo such user here\nSender verify failed",
    "550 JunkMail rejected - mail.example.net is in an RBL",
    "550 Requested action not taken: mailbox unavailable",
    "550 unknown user or you are blacklisted, see https://example.org/",
    "550 no such user for this client",
    "554 no such user here",
    "500 no such user here",
    "550 ",
    # what a stranger put there
    '550 <"no such user"@example.net> is not welcome',
    '550 <"a>no such user"@example.net> is not welcome',
    '550 <"a\\" no such user\\""@example.net> is not welcome',
    "550 no such user@example.net is not welcome",
    '550 "no such user" is not welcome',
    '550 no such user "joe", sender blocked',
    # not permanent at all
    "450 4.1.1 <joe@example.org>: unverified address: no such user",
    "451 no such user",
    "421 5.1.1 no such user",
    "354 no such user",
]


@pytest.mark.parametrize("text", ABOUT_THE_RECIPIENT)
def test_a_refusal_of_the_recipient_is_kept(text: str) -> None:
    cache = VerifyCache()
    cache.learn("joe@example.org", reply(text), 0.0)
    known = cache.get("joe@example.org", 1.0)
    assert known is not None
    assert not known.found
    assert known.reply == reply(text)


@pytest.mark.parametrize("text", ABOUT_SOMETHING_ELSE)
def test_a_refusal_of_anything_else_is_not(text: str) -> None:
    assert not is_about_recipient(reply(text))
    cache = VerifyCache()
    cache.learn("joe@example.org", reply(text), 0.0)
    assert cache.get("joe@example.org", 1.0) is None
    assert len(cache) == 0


@pytest.mark.parametrize("text", ABOUT_SOMETHING_ELSE)
def test_a_refusal_of_anything_else_leaves_what_was_known(text: str) -> None:
    cache = VerifyCache()
    cache.learn("joe@example.org", OK, 0.0)
    cache.learn("jim@example.org", UNKNOWN, 0.0)
    for key in ("joe@example.org", "jim@example.org"):
        cache.learn(key, reply(text), 1.0)
    joe, jim = cache.get("joe@example.org", 2.0), cache.get("jim@example.org", 2.0)
    assert joe is not None
    assert joe.found
    assert jim is not None
    assert jim.reply == UNKNOWN


@pytest.mark.parametrize("text", ["250 2.1.5 Ok", "251 will forward", "250 no such user, but ok"])
def test_a_recipient_that_is_taken_is_found(text: str) -> None:
    cache = VerifyCache()
    cache.learn("joe@example.org", reply(text), 0.0)
    known = cache.get("joe@example.org", 1.0)
    assert known is not None
    assert known.found
    assert known.reply is None


def test_a_refusal_of_the_greatest_length_is_cut_to_whole_lines() -> None:
    parser = ReplyParser()
    parser.receive_data(b"550-5.1.1 " + b"x" * 300 + b"\r\n550-5.1.1 " + b"y" * 200 + b"\r\n")
    parser.receive_data(b"".join(b"550-5.1.1 %d\r\n" % i for i in range(100)) + b"550 5.1.1 z\r\n")
    long = parser.next_reply()
    assert long is not None
    cache = VerifyCache()
    cache.learn("a@b", long, 0.0)
    known = cache.get("a@b", 0.0)
    assert known is not None
    assert known.reply == Reply(550, long.lines[:2])
    cache.learn("a@b", Reply(550, (b"5.1.1 " + b"x" * 600, b"5.1.1 y")), 0.0)
    known = cache.get("a@b", 0.0)
    assert known is not None
    assert known.reply == Reply(550, (b"5.1.1 " + b"x" * 600,))


# ---- for how long


def test_each_answer_is_believed_for_its_own_time() -> None:
    cache = VerifyCache(found_seconds=10.0, unknown_seconds=5.0)
    cache.learn("joe@a", OK, 100.0)
    cache.learn("jim@a", UNKNOWN, 100.0)
    assert cache.get("joe@a", 109.9) is not None
    assert cache.get("joe@a", 110.0) is None
    assert cache.get("jim@a", 104.9) is not None
    assert cache.get("jim@a", 105.0) is None
    assert len(cache) == 0
    assert cache.get("joe@a", 101.0) is None  # gone is gone


def test_a_newer_answer_takes_the_place_of_the_older() -> None:
    cache = VerifyCache()
    for answer, found in [(OK, True), (UNKNOWN, False), (OK, True)]:
        cache.learn("joe@a", answer, 0.0)
        known = cache.get("joe@a", 0.0)
        assert known is not None
        assert known.found is found
        assert len(cache) == 1


def test_what_is_forgotten_is_asked_anew() -> None:
    cache = VerifyCache()
    cache.learn("joe@a", OK, 0.0)
    cache.learn("jim@a", UNKNOWN, 0.0)
    cache.forget("joe@a")
    cache.forget("jim@a")
    cache.forget("nobody@a")
    assert cache.get("joe@a", 0.0) is None
    assert cache.get("jim@a", 0.0) is None


def test_everything_can_be_forgotten_at_once() -> None:
    cache = VerifyCache()
    cache.learn("joe@a", OK, 0.0)
    cache.learn("jim@a", UNKNOWN, 0.0)
    cache.clear()
    assert len(cache) == 0


def test_a_harvest_of_made_up_addresses_does_not_push_out_those_that_are_real() -> None:
    cache = VerifyCache(limit=100)
    cache.learn("joe@a", OK, 0.0)
    for number in range(1_000):
        cache.learn(f"{number}@a", UNKNOWN, 1.0)
    assert len(cache) == 51
    assert cache.get("joe@a", 2.0) is not None
    assert cache.get("949@a", 2.0) is None
    assert cache.get("950@a", 2.0) is not None


def test_the_oldest_answer_goes_first_and_a_renewed_one_is_young() -> None:
    cache = VerifyCache(limit=4)
    for key in ("a@a", "b@a", "a@a", "c@a"):
        cache.learn(key, OK, 0.0)
    assert cache.get("b@a", 0.0) is None
    assert cache.get("a@a", 0.0) is not None
    assert cache.get("c@a", 0.0) is not None


def test_the_smallest_cache_still_holds_one_of_each() -> None:
    cache = VerifyCache(limit=0)
    cache.learn("a@a", OK, 0.0)
    cache.learn("b@a", UNKNOWN, 0.0)
    assert len(cache) == 2


# ---- a real server that greylists

GREYLISTING = [
    "450 4.2.0 <joe@a>: Recipient address rejected: Greylisted, see http://postgrey.example/help",
    "451 4.7.1 Greylisting in action, please come back in 00:05:00",
    "450 4.7.1 <joe@a>: Recipient address rejected: Greylisted for 5 minutes",
    "451 4.7.1 Try again later",
    "451 Deferred due to greylisting. Host: 192.0.2.1",
    "451 first\nGraylisted - please try again later",
    "452 4.2.2 grey-listed",
    "451 4.7.1 You are grey listed",
    "451 192.0.2.1 is not yet authorized to deliver mail from <x@b> to <joe@a>. Try later.",
    "451 4.7.1 <joe@a>: Recipient address rejected: Intentional policy rejection, "
    "please try again later",
]


@pytest.mark.parametrize("text", GREYLISTING)
def test_greylisters_are_known_by_their_words(text: str) -> None:
    line = GreylistingSpotter().saw("mx", reply(text), 0.0)
    assert line is not None
    assert line.startswith("mail server mx greylists, too, so strangers wait twice: ")
    assert line.endswith(f"({reply(text).code} {reply(text).text})")


@pytest.mark.parametrize(
    "text",
    [
        "250 2.1.5 Ok, Greylisting is off",
        "550 5.7.1 Greylisted for ever",
        "451 4.3.0 Try again later",
        "451 4.7.1 Try again later, the database is down",
        "450 4.1.2 <greylist@a>: Recipient address rejected: Domain not found",
        "452 4.2.2 mailbox full",
    ],
)
def test_other_words_are_no_greylisting(text: str) -> None:
    assert GreylistingSpotter().saw("mx", reply(text), 0.0) is None


def test_it_is_said_once_an_hour_for_each_server() -> None:
    spotter = GreylistingSpotter()
    grey = reply(GREYLISTING[0])
    said = [
        spotter.saw("a", grey, now) is not None for now in (0.0, 1.0, 3_599.0, 3_600.0, 3_601.0)
    ]
    assert said == [True, False, False, True, False]
    assert spotter.saw("b", grey, 3_601.0) is not None
