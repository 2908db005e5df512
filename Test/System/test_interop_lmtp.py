"""A real Dovecot behind the running program, by LMTP: a reply for each recipient after the dot."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from Test.Peers.dovecot import Dovecot
from Test.Peers.peer import NOT_KNOWN
from Test.System.clients import Answer, Client, Mail, deliver_until_taken
from Test.System.processes import FRIEND, Grey, wait_until

pytestmark = pytest.mark.needs(Dovecot.needs)


@pytest.fixture
def dovecot(tmp_path: Path) -> Iterator[Dovecot]:
    with Dovecot(tmp_path) as server:
        yield server


@pytest.fixture
def grey(tmp_path: Path, dovecot: Dovecot) -> Iterator[Grey]:
    with Grey(tmp_path, dovecot.port, backend_protocol="lmtp") as program:
        yield program


def found_in(dovecot: Dovecot, user: str, mail: Mail) -> bytes:
    """The only copy of the mail in the user's mailbox."""
    words = f"X-Id: {mail.name}\n".encode("ascii")

    def found() -> list[bytes]:
        return [message for message in dovecot.mailbox(user) if words in message]

    wait_until(f"{mail.name} in the mailbox of {user}", found)
    (message,) = found()
    return message


def test_mail_of_a_stranger_is_deferred_then_delivered_as_it_was(
    grey: Grey, dovecot: Dovecot
) -> None:
    mail = Mail("by-lmtp", size=200_000, recipient="fred@example.org")
    answers = deliver_until_taken(grey.address, mail)
    assert answers[0].code == 451
    content = mail.content().replace(b"\r\n", b"\n")
    assert found_in(dovecot, "fred", mail).endswith(content)
    grey.wait_for_log("event=message", "outcome=delivered")
    assert len(grey.logged("event=message")) == 1


def test_what_dovecot_offers_decides_what_we_offer(grey: Grey) -> None:
    with Client(grey.address, FRIEND) as client:
        offers = client.ask("EHLO client.example.net").text.split("\n")[1:]
    assert {"8BITMIME", "ENHANCEDSTATUSCODES", "PIPELINING"} <= set(offers)
    assert not {"DSN", "SMTPUTF8"} & set(offers)


def test_the_one_that_dovecot_does_not_know_is_refused_in_its_own_words(grey: Grey) -> None:
    unknown = f"{NOT_KNOWN}@example.org"
    with Client(grey.address, FRIEND) as client:
        (answer,) = client.begin("a@example.net", [unknown])
    assert answer == Answer(550, f"5.1.1 <{unknown}> User doesn't exist: {unknown}")


def test_a_second_recipient_has_to_come_with_a_mail_of_its_own(
    grey: Grey, dovecot: Dovecot
) -> None:
    mail = Mail("for-two", recipient="fred@example.org")
    with Client(grey.address, FRIEND) as client:
        first, second = client.begin(mail.sender, (mail.recipient, "gina@example.org"))
        assert first.code == 250
        assert (second.code, second.text[:5]) == (452, "4.5.3")
        assert client.give(mail.content()).code == 250
        assert client.begin(mail.sender, ["gina@example.org"])[0].code == 250
        assert client.give(mail.content()).code == 250
    for user in ("fred", "gina"):
        found_in(dovecot, user, mail)
