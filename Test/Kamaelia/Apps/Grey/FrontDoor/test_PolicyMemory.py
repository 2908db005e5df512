"""What the policy door remembers of messages, and for how long."""

from itertools import count

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Modes import Report
from Kamaelia.Apps.Grey.FrontDoor.PolicyMemory import (
    AGE_SECONDS,
    VALUE_CHARACTERS,
    Letter,
    PolicyMemory,
)
from Kamaelia.Apps.Grey.FrontDoor.PolicySubject import mail_of
from Test.Kamaelia.Apps.Grey.FrontDoor.policies import CLIENT, Asked
from Test.Kamaelia.Apps.Grey.FrontDoor.ruled import door_rules

SENDER = "a@example.net"
LONG = "x" * 3_000


class Known:
    """A memory, and messages of one sender in it."""

    def __init__(self, limit: int = 100, recipients: int = 100) -> None:
        self.clock = FakeClock(5.0)
        self.memory = PolicyMemory(limit, recipients, self.clock)
        self._ids = map(str, count(1))

    def ask(self, instance: str, *recipients: str, sender: str = SENDER) -> Letter:
        letter = self.memory.letter(instance, CLIENT, sender, lambda: next(self._ids))
        letter.mail = letter.mail or mail_of(sender, "")
        for each in recipients:
            self.memory.let_in(letter, each)
        return letter


def test_all_recipients_together_are_limited_and_the_oldest_messages_go() -> None:
    known = Known(recipients=5)
    first, second = known.ask("a", "r1", "r2"), known.ask("b", "r1", "r2")
    known.ask("a", "r2", "r3")  # r2 is one that it has
    assert known.memory.recipients == 5
    third = known.ask("c", "r1")
    assert (len(known.memory), known.memory.recipients) == (2, 4)
    assert known.ask("a") is first
    assert known.ask("c") is third
    assert known.ask("b") is not second


def test_a_message_with_more_recipients_than_all_may_have_is_forgotten_alone() -> None:
    known = Known(recipients=2)
    known.ask("a", "r1", "r2", "r3", "r4")
    assert (len(known.memory), known.memory.recipients) == (0, 0)
    known.ask("", "r1", "r2", "r3", "r4")  # nobody could find it again
    assert (len(known.memory), known.memory.recipients) == (0, 0)


def test_what_is_forgotten_is_counted_back_however_it_goes() -> None:
    known = Known(limit=2)
    known.ask("a", "r1", "r2")
    known.ask("a", "r1", sender="other@example.net")
    assert known.memory.recipients == 1
    known.ask("b")
    known.ask("c")  # too many messages: a goes
    assert (len(known.memory), known.memory.recipients) == (2, 0)


def test_a_name_that_comes_again_after_an_hour_is_another_messages() -> None:
    known = Known()
    first = known.ask("a", "r1")
    known.clock.advance(AGE_SECONDS - 1)
    assert known.ask("a") is first
    known.clock.advance(AGE_SECONDS - 1)  # since the last question
    assert known.ask("a") is first
    known.clock.advance(AGE_SECONDS)
    assert known.ask("a", "r2") is not first
    assert known.memory.recipients == 1


def test_messages_of_an_hour_ago_make_room_when_another_comes() -> None:
    known = Known()
    for instance in "abc":
        known.ask(instance, "r1")
    known.clock.advance(AGE_SECONDS / 2)
    known.ask("a")
    known.clock.advance(AGE_SECONDS / 2)
    known.ask("d")
    assert (len(known.memory), known.memory.recipients) == (2, 1)


def test_no_text_that_is_kept_is_longer_than_it_may_be() -> None:
    memory = PolicyMemory()
    with Asked(rules=door_rules(report=Report.ALL), memory=memory) as postfix:
        names = ("instance", "sender", "recipient", "helo_name", "client_name", "sasl_username")
        more = ("ccert_subject", "ccert_issuer", "policy_context", "queue_id", "client_port")
        postfix.ask(**dict.fromkeys((*names, *more), LONG), encryption_protocol=LONG)
        (attempt,) = postfix.attempts
        assert attempt.subject is not None
        session, mail = attempt.subject.session, attempt.subject.mail
        assert postfix.ask(instance=LONG, sender=LONG, recipient="b@example.org") == "DUNNO"
    (instance,) = memory._letters
    letter = memory._letters[instance]
    told = (session.name, session.helo, session.auth_user, session.tls_subject, session.tls_version)
    kept = [instance, letter.sender, mail.queue_id, *told, *session.macros.values()]
    assert {len(text) for text in kept if text and text.startswith("xx")} == {VALUE_CHARACTERS}
    assert len(mail.raw_sender) == VALUE_CHARACTERS + len("<>")
    decided = (attempt.sender, attempt.recipient, attempt.helo)
    assert [len(text) for text in decided] == [VALUE_CHARACTERS] * 3


def test_a_certificates_name_is_read_before_it_is_cut() -> None:
    with Asked(rules=door_rules()) as postfix:
        postfix.ask(ccert_subject="+C3+A4" * 400)
        (attempt,) = postfix.attempts
        assert attempt.subject is not None
        assert attempt.subject.session.tls_subject == "\u00e4" * 400
