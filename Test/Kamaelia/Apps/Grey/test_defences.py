"""
What Docs/protocols/defences.md promises and no other test shows: through the whole greylister.
"""

from collections.abc import Callable

import pytest

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Config.Problem import ConfigError
from Test.Kamaelia.Apps.Grey.support import (
    FRIEND,
    HELLO,
    MAIL,
    RCPT,
    STRANGER,
    Client,
    FakeServer,
    Grey,
)

MailServer = Callable[..., FakeServer]
StartGrey = Callable[..., Grey]
MEGABYTE = 1_000_000


# ---- what is said


@pytest.mark.parametrize(
    "line",
    [
        b"EHLO a\nMAIL FROM:<x@example.net>\r\n",
        b"EHLO a\rMAIL FROM:<x@example.net>\r\n",
        b"EHLO a\0b\r\n",
        b"EHLO a\x80b\r\n",
        b"EHLO " + b"a" * 300 + b"\r\n",
    ],
)
def test_a_greeting_that_hides_something_is_refused(
    line: bytes, mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    client = start_grey(backend).client()
    assert client.ask(line)[:1] == "5"
    client.send(RCPT)
    assert client.reply()[:1] in ("5", "")  # or it is closed
    assert backend.visits == []


@pytest.mark.parametrize(
    "line",
    [
        b"RCPT TO:<b@example.org> ORCPT=rfc822;a+0D+0ADATA\r\n",
        b"RCPT TO:<b@example.org> NOTIFY=NEVER\rDATA\r\n",
        b'RCPT TO:<"b\\\n"@example.org>\r\n',
        b'RCPT TO:<"b\rDATA"@example.org>\r\n',
        b"RCPT TO:<b\0@example.org>\r\n",
        b"RCPT TO:<\xc0\xaf@example.org>\r\n",
        b"RCPT TO:<\xed\xa0\x80@example.org>\r\n",
        "RCPT TO:<b\u2028@example.org>\r\n".encode(),
    ],
)
def test_nothing_can_be_injected_through_rcpt(
    line: bytes, mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    client = start_grey(backend).client().begin(b"MAIL FROM:<a@example.net> SMTPUTF8\r\n")
    assert client.ask(line)[:1] == "5"
    assert backend.visits == []


def test_bytes_of_a_message_pass_as_they_are_without_8bitmime(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    letter = b"Subject: x\r\n\r\n" + bytes(set(range(1, 256)) - set(b"\r\n")) + b"\r\n\xff\xfe\r\n"
    assert start_grey(backend).client().to_data().deliver(letter).startswith("250")
    assert backend.messages == [letter]


@pytest.mark.parametrize("before", [b"X-Long: ", b"Subject: x\r\n\r\n"], ids=["header", "body"])
def test_an_endless_line_in_a_message_is_refused_at_its_end(
    before: bytes, mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    client = start_grey(backend).client().to_data()
    client.send(before)
    for _ in range(3):
        client.send(b"x" * MEGABYTE)
    assert client.deliver(b"\r\n").startswith("500 5.5.2 ")
    assert backend.visit().ended.wait(15)
    assert backend.messages == []
    assert b"x" * 65_536 not in backend.visit().received


def test_three_hundred_thousand_header_lines_arrive_as_they_were_sent(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    letter = b"X-A: b\r\n" * 300_000 + b"\r\nhello\r\n"
    assert start_grey(backend).client().to_data().deliver(letter).startswith("250")
    assert backend.messages == [letter]


def test_a_message_larger_than_its_size_said_is_counted_as_it_comes(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    client = start_grey(backend, message_size_limit=100_000).client()
    client.begin(b"MAIL FROM:<a@example.net> SIZE=100\r\n")
    assert client.ask(RCPT).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver(b"hello\r\n" * 20_000).startswith("552 5.3.4 ")
    assert backend.messages == []


# ---- who comes too often, or stays too long


@pytest.mark.slow
def test_three_hundred_slow_clients_harm_nobody_and_have_an_end(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    clock = FakeClock(50.0)
    backend = mail_server()
    grey = start_grey(backend, monotonic=clock)
    silent = [grey.client(STRANGER) for _ in range(100)]
    in_a_command = [grey.client(STRANGER) for _ in range(100)]
    in_a_message = [grey.client().to_data() for _ in range(100)]
    for _ in range(5):
        for client in in_a_command + in_a_message:
            client.send(b"x")
        grey.settle()
        assert grey.client().to_data().deliver().startswith("250")
        clock.advance(61)
    for client in silent + in_a_command + in_a_message:
        assert client.reply().startswith("421 4.4.2 ")
        assert client.is_closed()
    assert len(backend.messages) == 5
    grey.until(lambda: grey.server.connections <= 5)


def test_of_sixty_connections_of_one_client_fifty_are_served_and_others_are_too(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server(), max_client_connections=50)
    clients = [grey.client(STRANGER) for _ in range(60)]
    assert [client.banner[:3] for client in clients] == ["220"] * 50 + ["421"] * 10
    assert clients[-1].banner.startswith("421 4.7.0 ")
    assert clients[-1].is_closed()
    assert grey.client("127.0.0.78").banner.startswith("220 ")
    clients[0].close()
    grey.until(lambda: grey.server.connections == 50)
    assert grey.client(STRANGER).banner.startswith("220 ")


def test_of_five_thousand_recipients_those_above_the_limit_are_to_come_back(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    client = start_grey(backend, max_recipients=100).client().begin()
    client.send(RCPT * 5_000)
    assert {reply[:3] for reply in client.replies(100)} == {"250"}
    assert {reply[:9] for reply in client.replies(4_900)} == {"452 4.5.3"}
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("250")
    assert backend.visit().verbs().count("RCPT") == 100


def test_a_bot_that_comes_back_too_early_waits_on(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server())

    def tries() -> str:
        with_reason = Client(grey.address, STRANGER)
        try:
            return with_reason.begin().ask(RCPT)[:9]
        finally:
            with_reason.close()

    heard = []
    for seconds in (0, 5, 54, 2):  # after the first: 0, 5, 59 and 61
        grey.clock.advance(seconds)
        heard.append(tries())
    assert heard == ["451 4.7.1"] * 3 + ["250 2.1.5"]


def test_a_list_of_clients_takes_no_names_that_could_be_forged() -> None:
    for setting in ("whitelisted_triples", "whitelisted_nonstandard_triples"):
        row = "*.outlook.com * *" if setting == "whitelisted_triples" else "* mail.outlook.com *"
        with pytest.raises(ConfigError, match=r'outlook\.com" is not a network'):
            loads(f"{setting}:\n    {row}\n")


def test_a_friend_is_known_by_its_address_and_not_by_what_it_says(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    client = start_grey(mail_server()).client(STRANGER)
    assert client.ask(b"EHLO [%b]\r\n" % FRIEND.encode()).startswith("250")
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("451 4.7.1 ")
    assert client.ask(b"RCPT TO:<b@elsewhere.example>\r\n").startswith("550 5.7.1 ")
    assert client.ask(HELLO).startswith("250")
