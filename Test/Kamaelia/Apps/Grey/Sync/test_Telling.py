"""What peers are told of a decision, and what not."""

import doctest
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Access.Patterns import bare
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Ruling
from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session
from Kamaelia.Apps.Grey.Core.Clients import client_triplet
from Kamaelia.Apps.Grey.Core.Decide import with_triplet
from Kamaelia.Apps.Grey.Core.Normalise import milter_sender
from Kamaelia.Apps.Grey.Core.Normalise import triplet_of as key_of
from Kamaelia.Apps.Grey.Core.Rules import Rules
from Kamaelia.Apps.Grey.Core.Types import (
    Decided,
    Decision,
    MessageAttempt,
    MessageDecision,
    Policy,
    Reason,
    Record,
    Triplet,
    Verdict,
)
from Kamaelia.Apps.Grey.Sync.Hearing import Hearing
from Kamaelia.Apps.Grey.Sync.Telling import Telling
from Kamaelia.Support.Protocol.MXSync.Commands import (
    Add,
    Command,
    Delete,
    Flush,
    read_command,
    to_line,
)
from Kamaelia.Support.Protocol.SMTP.Mailbox import mailbox, mailbox_of
from Test.Kamaelia.Apps.Grey.Sync.machines import (
    CLIENT,
    RECIPIENT,
    SENDER,
    DictStore,
    attempt_of,
    triplet_of,
)

NOW = 1_795_290_000
FROM, TO = f"<{SENDER}>", f"<{RECIPIENT}>"
TRIPLET = triplet_of(CLIENT, SENDER, RECIPIENT)


class Site:
    """Decides by hand, and says what is told."""

    def __init__(self, **settings: int) -> None:
        self.rules = Rules(Policy(delay_seconds=60, **settings))  # type: ignore[arg-type]
        self.telling = Telling(triplet_of)
        self.record: Record | None = None

    def attempt(self, now: int, client: str = CLIENT) -> list[Command]:
        decision = with_triplet(TRIPLET, self.record, self.rules, now)
        self.record = decision.record or self.record
        return self.telling.commands_for(Decided(attempt_of(client), decision, now))


def told(decision: Decision | MessageDecision, client: str = CLIENT) -> list[Command]:
    return Telling(triplet_of).commands_for(Decided(attempt_of(client), decision, NOW))


def test_the_life_of_a_triplet_is_told_as_milter_greylist_tells_it() -> None:
    site = Site(pass_seconds=3_600)
    assert site.attempt(NOW) == [Add(CLIENT, FROM, TO, NOW + 60)]
    assert site.attempt(NOW + 30) == []
    assert site.attempt(NOW + 70) == [Delete(CLIENT, FROM, TO, NOW + 60, NOW + 3_670)]
    assert site.attempt(NOW + 70) == []  # nothing has changed
    assert site.attempt(NOW + 200) == [Delete(CLIENT, FROM, TO, NOW + 3_670, NOW + 3_800)]
    assert site.attempt(NOW + 9_000) == [Add(CLIENT, FROM, TO, NOW + 9_060)]


SENDERS = (
    *("a@x.org", "prvs=0123abc=user@x.org", "SRS0=HHH=TT=orig.org=user@x.org", "a=@x.org", ""),
    *("bounce-1234-user=dom.org@list.org", "bounces+12-abcd-r=example.net@em.x.org", "n+tag@x.org"),
)


@pytest.mark.parametrize("sender", SENDERS)
@pytest.mark.parametrize("normalise", [True, False])
def test_others_file_it_under_the_same_sender(sender: str, normalise: bool) -> None:
    policy = Policy(normalise_senders=normalise)

    def key(client: str, sender: str, recipient: str) -> Triplet:
        return key_of(attempt_of(client, bare(sender), bare(recipient)), policy)

    attempt = attempt_of(CLIENT, sender)
    triplet = key_of(attempt, policy)
    decision = with_triplet(triplet, None, Rules(policy), NOW)
    (add,) = Telling(key).commands_for(Decided(attempt, decision, NOW))
    assert isinstance(add, Add)
    assert key(add.address, add.sender, add.recipient) == triplet
    if not normalise:
        assert add.sender == milter_sender(f"<{sender}>")


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [
        ("\u00e9@x.org", RECIPIENT),
        (SENDER, "\u00e9@x.org"),
        ('"b c"@x.org', RECIPIENT),
        (SENDER, '"b c"@x.org'),
        ("bounce=j\u00f6 rg\r\n@example.org", RECIPIENT),
        (f"{'s' * 300}@x.org", f"{'r' * 150}@x.org"),
        (f"{'s' * 400}@x.org", RECIPIENT),
        (SENDER, f"{'r' * 400}@x.org"),
    ],
)
def test_what_no_line_can_say_is_not_told_and_counted(sender: str, recipient: str) -> None:
    """Told with a _ for what it cannot say it would be about b_c@x.org, who is somebody else."""
    attempt = attempt_of(CLIENT, sender, recipient)
    triplet = triplet_of(CLIENT, attempt.sender, attempt.recipient)
    first = with_triplet(triplet, None, Rules(Policy(delay_seconds=60)), NOW)
    telling = Telling(triplet_of)
    assert telling.commands_for(Decided(attempt, first, NOW)) == []
    assert telling.untold == 1
    then = with_triplet(triplet, first.record, Rules(Policy(delay_seconds=60)), NOW + 99)
    assert telling.commands_for(Decided(attempt, then, NOW + 99)) == []


def keyed(policy: Policy) -> Callable[[str, str, str], Triplet]:
    """The key of what peers say and are told, as the server has it."""

    def key(client: str, sender: str, recipient: str) -> Triplet:
        return key_of(attempt_of(client, mailbox(bare(sender)), mailbox(bare(recipient))), policy)

    return key


LOCALS = st.one_of(
    st.text(alphabet='ab=.@"\\() :<>+-_!%\u00e9\x01', max_size=10),
    st.sampled_from(
        ["Zm9v==", "SRS0=HHH=TT=orig.org=", "bounce-1-a=b.example", "=", "a b=", "x" * 400]
    ),
)


@settings(max_examples=200, deadline=None)
@given(LOCALS, LOCALS, st.booleans())
def test_what_is_told_is_heard_as_the_same_triplet_or_not_told_at_all(
    sender: str, recipient: str, normalise: bool
) -> None:
    policy = Policy(normalise_senders=normalise, delay_seconds=60)
    attempt = attempt_of(
        CLIENT, mailbox_of(sender, "x.test") if sender else "", mailbox_of(recipient, "y.test")
    )
    triplet = key_of(attempt, policy)
    first = with_triplet(triplet, None, Rules(policy), NOW)
    then = with_triplet(triplet, first.record, Rules(policy), NOW + 99)
    telling, hearing = Telling(keyed(policy)), Hearing(keyed(policy), policy.lifetimes, 60)
    for decision in (first, then):
        for command in telling.commands_for(Decided(attempt, decision, NOW)):
            line = to_line(command, version=3)
            assert line is not None
            heard = read_command(line.decode("ascii").split())
            assert isinstance(heard, Add | Delete)
            assert hearing.triplet(heard) == triplet


@pytest.mark.parametrize("sender", ["Zm9v==@x.test", "list=@x.test", "@x.test"])
def test_a_sender_of_which_only_the_domain_counts_is_told_as_that(sender: str) -> None:
    """As a milter-greylist says it, and hears it."""
    policy = Policy(delay_seconds=60)
    attempt = attempt_of(CLIENT, sender)
    triplet = key_of(attempt, policy)
    first = with_triplet(triplet, None, Rules(policy), NOW)
    (add,) = Telling(keyed(policy)).commands_for(Decided(attempt, first, NOW))
    assert add == Add(CLIENT, "<@x.test>", TO, NOW + 60)
    assert Hearing(keyed(policy), policy.lifetimes, 60).triplet(add) == triplet


def test_a_retry_from_next_door_is_told_under_the_address_that_peers_know() -> None:
    site = Site()
    site.attempt(NOW)
    (command,) = site.attempt(NOW + 60, "192.0.2.31")
    assert isinstance(command, Delete)
    assert command.address == CLIENT


def test_a_pass_for_one_time_is_told_as_used_up() -> None:
    site = Site(pass_seconds=0)
    site.attempt(NOW)
    assert site.attempt(NOW + 70) == [Delete(CLIENT, FROM, TO, NOW + 60, NOW + 70)]
    assert site.attempt(NOW + 70) == []
    assert site.attempt(NOW + 90) == [Add(CLIENT, FROM, TO, NOW + 150)]


def test_without_a_delay_the_first_try_is_told_as_due_at_once() -> None:
    record = Record.started(NOW)
    decision = Decision(Verdict.PASS, Reason.NEW, 0, TRIPLET, record)
    assert told(decision) == [Add(CLIENT, FROM, TO, NOW)]


def test_after_a_restart_a_retry_is_told_by_its_record() -> None:
    record = Record(0, NOW - 70, NOW, NOW, 1, 1, due=NOW - 10, until=NOW + 900)
    decision = Decision(Verdict.PASS, Reason.RETRIED, 0, TRIPLET, record)
    assert told(decision) == [Delete(CLIENT, FROM, TO, NOW - 10, NOW + 900)]


def test_after_a_restart_a_renewed_pass_is_told_as_one_that_nobody_knew() -> None:
    record = Record(0, NOW - 7_000, NOW, NOW, 1, 5, due=NOW - 6_000, until=NOW + 900)
    decision = Decision(Verdict.PASS, Reason.KNOWN, 0, TRIPLET, record)
    assert told(decision) == [
        Add(CLIENT, FROM, TO, NOW),
        Delete(CLIENT, FROM, TO, NOW, NOW + 900),
    ]


def test_what_peers_have_said_is_told_on_under_their_names() -> None:
    telling = Telling(triplet_of)
    telling.remember(TRIPLET, "192.0.2.44", NOW + 5)
    record = Record(0, NOW - 7_000, NOW, NOW, 1, 5, due=NOW - 6_000, until=NOW + 900)
    decision = Decision(Verdict.PASS, Reason.KNOWN, 0, TRIPLET, record)
    assert telling.commands_for(Decided(attempt_of(), decision, NOW)) == [
        Delete("192.0.2.44", FROM, TO, NOW + 5, NOW + 900)
    ]


@pytest.mark.parametrize(
    "decision",
    [
        Decision(Verdict.PASS, Reason.WHITELISTED_TRIPLE),
        Decision(Verdict.PASS, Reason.KNOWN, triplet=TRIPLET),
        Decision(Verdict.DEFER, Reason.TOO_MANY, triplet=TRIPLET),
        Decision(Verdict.PASS, Reason.STORE_FAILED, triplet=TRIPLET),
        Decision(
            Verdict.PASS,
            Reason.CLIENT_KNOWN,
            triplet=TRIPLET,
            also=((client_triplet("192.0.2.0/24"), Record.started(NOW)),),
        ),
        Decision(
            Verdict.DEFER,
            Reason.TOO_EARLY,
            triplet=TRIPLET,
            record=Record(0, NOW, NOW, None, 2, 0, due=NOW + 60),
        ),
        MessageDecision(Verdict.PASS, Ruling(Action.WHITELIST)),
    ],
)
def test_of_what_changes_nothing_nobody_is_told(decision: Decision | MessageDecision) -> None:
    assert told(decision) == []


def test_flushaddr_comes_before_what_begins_anew() -> None:
    record = Record.started(NOW, delay=60)
    decision = Decision(Verdict.DEFER, Reason.NEW, 60, TRIPLET, record, flush="192.0.2.0/24")
    assert told(decision) == [Flush(CLIENT), Add(CLIENT, FROM, TO, NOW + 60)]


@pytest.mark.parametrize("client", ["", "unknown", "fe80::1%eth0"])
def test_who_has_no_address_is_not_told_of(client: str) -> None:
    record = Record.started(NOW, delay=60)
    assert told(Decision(Verdict.DEFER, Reason.NEW, 60, TRIPLET, record), client) == []
    decided = Decided(
        MessageAttempt(Session(client), Mail(FROM), "k3f9", (DictStore(), "inbox")),
        MessageDecision(Verdict.PASS, Ruling(Action.WHITELIST), flush="x"),
        NOW,
    )
    assert Telling(triplet_of).commands_for(decided) == []


def test_addresses_are_those_of_ipv4_where_they_can_be() -> None:
    record = Record.started(NOW, delay=60)
    decision = Decision(Verdict.DEFER, Reason.NEW, 60, TRIPLET, record)
    assert told(decision, f"::ffff:{CLIENT}") == [Add(CLIENT, FROM, TO, NOW + 60)]


def test_a_message_is_told_of_for_each_recipient_that_has_a_record() -> None:
    mail = Mail(FROM, raw_sender=FROM, recipients=["<Joe@example.org>", "<b@example.org>"])
    attempt = MessageAttempt(Session(CLIENT), mail, "k3f9", (DictStore(), "inbox"))
    joe = triplet_of(CLIENT, SENDER, "joe@example.org")
    known = Record(0, NOW - 70, NOW, NOW, 1, 1, due=NOW - 10, until=NOW + 900)
    decision = MessageDecision(
        Verdict.DEFER,
        Ruling(Action.GREYLIST),
        records=(
            (replace(joe, network="name:example.org"), Record.started(NOW, delay=60)),
            (triplet_of(CLIENT, SENDER, "b@example.org"), known),
            (client_triplet("192.0.2.0/24"), Record.started(NOW)),
        ),
        flush="192.0.2.0/24",
    )
    assert Telling(triplet_of).commands_for(Decided(attempt, decision, NOW)) == [
        Flush(CLIENT),
        Add(CLIENT, FROM, "<Joe@example.org>", NOW + 60),
        Delete(CLIENT, FROM, "<b@example.org>", NOW - 10, NOW + 900),
    ]


def test_attempts_and_decisions_that_do_not_belong_together_tell_nothing() -> None:
    record = Record.started(NOW, delay=60)
    of_one = Decision(Verdict.DEFER, Reason.NEW, 60, TRIPLET, record)
    of_all = MessageDecision(Verdict.PASS, Ruling(Action.WHITELIST), flush="x")
    attempt = MessageAttempt(Session(CLIENT), Mail(FROM), "k3f9", (DictStore(), "inbox"))
    assert Telling(triplet_of).commands_for(Decided(attempt, of_one, NOW)) == []
    assert told(of_all) == []


def test_only_so_many_triplets_are_remembered_the_latest_ones() -> None:
    telling = Telling(triplet_of, limit=2)
    for number in (1, 2, 1, 3):
        telling.remember(Triplet("n", "s", str(number)), CLIENT, number)
    assert sorted(date for _, date in telling._told.values()) == [1, 3]


def test_the_examples_of_the_modules_are_true() -> None:
    for name in ("Telling", "Hearing", "SyncSettings"):
        result = doctest.testmod(sys.modules[f"Kamaelia.Apps.Grey.Sync.{name}"])
        assert result.attempted
        assert not result.failed
