"""The proxy on the wire, when nothing is broken: whose word the client hears, and what arrives.

Faults of the mail server are in test_SMTPProxy_faults.py, those of clients in
test_SMTPProxy_clients.py.
"""

import random
from collections.abc import Callable

import pytest

from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Test.Kamaelia.Apps.Grey.support import (
    EHLO,
    HELLO,
    LETTER,
    MAIL,
    OK,
    RCPT,
    STRANGER,
    FakeServer,
    Gate,
    Grey,
)

MailServer = Callable[..., FakeServer]
StartGrey = Callable[..., Grey]

KNOWN = b"RCPT TO:<known@example.org>\r\n"
MISSING = b"RCPT TO:<missing@example.org>\r\n"
NEW = b"RCPT TO:<new@example.org>\r\n"


def answer_by_name(line: bytes) -> bytes:
    missing = b"missing" in line
    return b"550 5.1.1 no such user here\r\n" if missing else b"250 2.1.5 Ok\r\n"


# ---- each recipient for itself


@pytest.mark.parametrize("pipelined", [False, True], ids=["lock-step", "in one write"])
def test_three_recipients_get_three_answers(
    mail_server: MailServer, start_grey: StartGrey, pipelined: bool
) -> None:
    backend = mail_server(RCPT=answer_by_name)
    grey = start_grey(backend)
    first = grey.client(STRANGER).begin()
    assert first.ask(KNOWN)[:9] == first.ask(MISSING)[:9] == "451 4.7.1"
    grey.clock.advance(61)
    client = grey.client(STRANGER)
    if pipelined:
        client.send(HELLO)
        client.reply()
        client.send(MAIL + KNOWN + MISSING + NEW + b"DATA\r\n")
        mail, known, missing, new, data = client.replies(5)
    else:
        client.ask(HELLO)
        mail, known, missing, new = (client.ask(line) for line in (MAIL, KNOWN, MISSING, NEW))
        data = client.ask(b"DATA\r\n")
    assert mail == "250 2.1.0 Ok"
    assert known == "250 2.1.5 Ok"
    assert missing == "550 5.1.1 no such user here"
    assert new.startswith("451 4.7.1 Greylisting in action, please come back in 00:01:00 (")
    assert data.startswith("354 ")
    assert client.deliver() == "250 2.0.0 Ok: queued as 4F2"
    assert backend.messages == [LETTER]
    visit = backend.visit()
    assert visit.verbs() == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA"]  # nothing of the new one
    outcome = grey.outcome()
    assert (outcome["to"], outcome["recipients"]) == ("known@example.org", "1")


def test_a_stranger_costs_the_mail_server_no_connection(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    client = grey.client(STRANGER).begin()
    assert client.ask(RCPT).startswith("451 4.7.1")
    assert client.ask(b"DATA\r\n").startswith("451 4.7.1")
    assert client.ask(b"QUIT\r\n").startswith("221")
    assert client.is_closed()
    assert backend.visits == []


def test_a_message_to_two_hundred_recipients_in_one_write(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server(RCPT=answer_by_name)
    grey = start_grey(backend)
    names = [f"user{number}" if number % 50 else f"missing{number}" for number in range(200)]
    client = grey.client().begin()
    client.send(b"".join(b"RCPT TO:<%b@example.org>\r\n" % name.encode() for name in names))
    codes = [reply[:3] for reply in client.replies(200)]
    assert codes == ["550" if "missing" in name else "250" for name in names]
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("250")
    assert grey.outcome()["recipients"] == "196"


def test_the_id_in_the_reply_is_the_id_in_the_log(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server())
    reply = grey.client(STRANGER).begin().ask(RCPT)
    decision = grey.decision()
    assert reply.endswith(f" ({decision['session']})")
    assert len(decision["session"]) == 10
    assert decision["client"] == STRANGER
    assert (decision["verdict"], decision["reason"]) == ("defer", "new")


def test_relaying_is_denied_to_strangers_and_open_to_friends(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    elsewhere = b"RCPT TO:<b@elsewhere.example>\r\n"
    denied = grey.client(STRANGER).begin().ask(elsewhere)
    assert denied == f"550 5.7.1 relaying denied ({grey.decision()['session']})"
    assert backend.visits == []
    assert grey.client().begin().ask(elsewhere) == "250 2.1.5 Ok"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("<user%elsewhere.example@example.org>", "550 5.7.1"),
        ("<elsewhere.example!user@example.org>", "550 5.7.1"),
        ('<"user@elsewhere.example"@example.org>', "550 5.7.1"),
        ("<user@example.org@elsewhere.example>", "501 5.1.3"),
        ("<@example.org:user@elsewhere.example>", "550 5.7.1"),
        ("<user@[127.0.0.1]>", "550 5.7.1"),
        ("<user@EXAMPLE.ORG.elsewhere.example>", "550 5.7.1"),
        ("<user@example.org.>", "501 5.1.3"),
        ("<user>", "501 5.1.3"),
    ],
)
def test_no_spelling_of_an_address_relays(
    mail_server: MailServer, start_grey: StartGrey, path: str, code: str
) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    assert grey.client(STRANGER).begin().ask(b"RCPT TO:%b\r\n" % path.encode())[:9] == code
    assert backend.visits == []


# ---- the mail server's word


def test_354_comes_only_after_the_354_of_the_mail_server(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    gate = Gate(b"354 go on\r\n")
    grey = start_grey(mail_server(DATA=gate))
    client = grey.client().begin()
    client.ask(RCPT)
    client.send(b"DATA\r\n")
    assert gate.reached.wait(15)
    grey.call(lambda: None)
    client.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.sock.recv(1)
    client.sock.settimeout(15)
    gate.open()
    assert client.reply() == "354 end data with <CR><LF>.<CR><LF>"


@pytest.mark.parametrize(
    ("answer", "heard", "fate"),
    [
        (b"250 2.0.0 Ok: queued as 4F2\r\n", "250 2.0.0 Ok: queued as 4F2", "delivered"),
        (b"251 forwarded\r\n", "251 forwarded", "delivered"),
        (b"451 4.3.0 queue file write error\r\n", "451 4.3.0 queue file write error", "deferred"),
        (b"552 5.2.2 mailbox full\r\n", "552 5.2.2 mailbox full", "refused"),
        (
            b"554-5.7.1 this looks\r\n554-5.7.1 like spam,\r\n554 5.7.1 go away\r\n",
            "554-5.7.1 this looks\n554-5.7.1 like spam,\n554 5.7.1 go away",
            "refused",
        ),
        (b"250 caf\xc3\xa9 \x1b[31m\t\x07\r\n", "250 caf?? [31m ", "delivered"),
    ],
)
def test_the_reply_to_the_dot_is_the_mail_servers(
    mail_server: MailServer, start_grey: StartGrey, answer: bytes, heard: str, fate: str
) -> None:
    grey = start_grey(mail_server(DOT=answer))
    client = grey.client().to_data()
    assert client.deliver() == heard
    outcome = grey.outcome()
    assert outcome["outcome"] == fate
    assert outcome["size"] == str(len(LETTER))
    assert client.ask(MAIL) == "250 2.1.0 Ok"  # the session goes on


@pytest.mark.parametrize("code", [451, 554])
def test_data_refused_is_refused_and_no_message_follows(
    mail_server: MailServer, start_grey: StartGrey, code: int
) -> None:
    backend = mail_server(DATA=[b"%d 5.7.0 not this\r\n" % code, b"354 go on\r\n"])
    grey = start_grey(backend)
    client = grey.client().begin()
    client.ask(RCPT)
    assert client.ask(b"DATA\r\n") == f"{code} 5.7.0 not this"
    assert client.ask(b"RSET\r\n").startswith("250")
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("250")
    assert len(backend.visits) == 1


@pytest.mark.parametrize("pipelining", [True, False])
def test_mail_refused_by_the_mail_server_is_the_answer_to_each_rcpt(
    mail_server: MailServer, start_grey: StartGrey, pipelining: bool
) -> None:
    backend = mail_server(
        EHLO=EHLO if pipelining else b"250 mail.example.org\r\n",
        MAIL=[b"550 5.1.8 no such domain\r\n", OK],
        RCPT=[b"503 5.5.1 MAIL first\r\n", b"250 2.1.5 Ok\r\n"],
    )
    grey = start_grey(backend)
    client = grey.client().begin()
    assert client.ask(RCPT) == "550 5.1.8 no such domain"
    assert client.ask(KNOWN) == "550 5.1.8 no such domain"
    assert client.ask(b"DATA\r\n").startswith("554 5.5.1")
    assert client.ask(b"RSET\r\n").startswith("250")
    # The next sender is another matter.
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT) == "250 2.1.5 Ok"


def test_rset_and_a_new_greeting_reset_the_mail_server_too(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    client = start_grey(backend).client().begin()
    assert client.ask(RCPT).startswith("250")
    assert client.ask(b"RSET\r\n").startswith("250")
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("250")
    assert client.ask(HELLO).startswith("250")
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("250")
    verbs = ["EHLO", "MAIL", "RCPT", "RSET", "MAIL", "RCPT", "RSET", "MAIL", "RCPT"]
    assert backend.visit().verbs() == verbs


def test_two_messages_use_one_connection_and_quit_ends_it_with_quit(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    client = start_grey(backend).client().to_data()
    assert client.deliver(b"one\r\n").startswith("250")
    client.send(MAIL + RCPT + b"DATA\r\n")
    assert [reply[:3] for reply in client.replies(3)] == ["250", "250", "354"]
    assert client.deliver(b"two\r\n").startswith("250")
    assert client.ask(b"QUIT\r\n").startswith("221")
    visit = backend.visit()
    assert visit.ended.wait(15)
    assert visit.how == "quit"
    assert visit.messages == [b"one\r\n", b"two\r\n"]
    assert len(backend.visits) == 1


def test_the_null_sender_and_parameters_reach_the_mail_server_as_they_came(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    client = start_grey(backend).client()
    client.ask(HELLO)
    assert client.ask(b"mail from:<> BODY=8BITMIME RET=HDRS ENVID=QQ314159\r\n").startswith("250")
    assert client.ask(b"rcpt to:<b@example.org> notify=NEVER\r\n").startswith("250")
    assert backend.visit().commands[1:] == [
        b"MAIL FROM:<> BODY=8BITMIME RET=HDRS ENVID=QQ314159",
        b"RCPT TO:<b@example.org> NOTIFY=NEVER",
    ]


# ---- what is offered


def test_ehlo_offers_what_both_can(mail_server: MailServer, start_grey: StartGrey) -> None:
    grey = start_grey(
        mail_server(), abilities=Capabilities(size=70_000, dsn=True, size_offered=True)
    )
    assert grey.client().ask(HELLO) == (
        "250-mx.example.org\n250-PIPELINING\n250-SIZE 70000\n250 DSN"
    )


def test_of_a_mail_server_that_nobody_has_reached_nothing_is_promised(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server(), abilities=None, message_size_limit=100_000)
    client = grey.client()
    assert client.ask(HELLO) == "250-mx.example.org\n250-PIPELINING\n250 SIZE 100000"
    assert client.ask(b"MAIL FROM:<a@example.net> BODY=8BITMIME\r\n").startswith("555 5.5.4")


def test_what_a_session_sees_is_offered_to_the_next_client(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server(), abilities=None)
    assert "DSN" not in grey.client().ask(HELLO)
    grey.client().to_data()
    assert "DSN" in grey.client().ask(HELLO)


def test_a_parameter_that_is_no_longer_offered_is_asked_for_anew(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server(EHLO=[b"250-mail.example.org\r\n250 SIZE 1000\r\n", EHLO])
    grey = start_grey(backend)
    client = grey.client().begin(b"MAIL FROM:<a@example.net> BODY=8BITMIME SIZE=10\r\n")
    assert client.ask(RCPT).startswith("451 4.3.0 ")
    assert client.ask(b"DATA\r\n").startswith("451 4.7.1")
    visit = backend.visit()
    assert visit.ended.wait(15)
    assert "DATA" not in visit.verbs()
    assert "8BITMIME" not in grey.client().ask(HELLO)
    # One that does without is taken on in the same session.
    assert client.ask(b"RSET\r\n").startswith("250")
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("250")


def test_a_message_above_size_is_refused_before_the_mail_server_hears_of_it(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    client = start_grey(backend, message_size_limit=70_000).client()
    client.ask(HELLO)
    assert client.ask(b"MAIL FROM:<a@example.net> SIZE=70001\r\n").startswith("552 5.3.4")
    assert client.ask(b"MAIL FROM:<a@example.net> SIZE=70000\r\n").startswith("250")
    assert backend.visits == []


def test_a_message_that_grows_above_the_limit_is_refused_and_not_delivered(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    grey = start_grey(backend, message_size_limit=70_000)
    client = grey.client().to_data()
    assert client.deliver(b"x" * 62 + b"\r\n" + b"0123456789abcd\r\n" * 5_000).startswith(
        "552 5.3.4"
    )
    assert backend.visit().ended.wait(15)
    assert backend.messages == []
    assert grey.outcome()["outcome"] == "abandoned"
    # The session goes on, with a new connection behind it.
    for line in (MAIL, RCPT):
        assert client.ask(line).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("250")
    assert backend.messages == [LETTER]


# ---- what arrives


def test_25_megabytes_in_chunks_at_random_arrive_as_they_were_sent(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    dice = random.Random(25)
    # Lines of all lengths, bytes of all values but the three that no mail may have, stuffed dots.
    alphabet = bytes(byte for byte in range(1, 256) if byte not in b"\r\n")
    block = b"".join(
        b"." * (2 * (length % 2)) + bytes(dice.choices(alphabet, k=length)) + b"\r\n"
        for length in [*range(80), 998, 60_000]
    )
    letter = block * (25_000_000 // len(block) + 1)
    client = grey.client().to_data()
    wire = letter + b".\r\n"
    place = 0
    while place < len(wire):
        size = dice.choice([1, 2, 5, 1000, 65_536, 1 << 20])
        client.send(wire[place : place + size])
        place += size
    assert client.reply().startswith("250")
    assert backend.messages == [letter]
    assert grey.outcome()["size"] == str(len(letter))


@pytest.mark.parametrize("letter", [b"", b"..\r\n", b"..dot\r\n\r\n", b"\r\n\r\n", b"..\r\n..\r\n"])
def test_small_messages_and_dots_arrive_as_they_were_sent(
    mail_server: MailServer, start_grey: StartGrey, letter: bytes
) -> None:
    backend = mail_server()
    client = start_grey(backend).client().to_data()
    for byte in letter + b".\r\n":
        client.send(bytes([byte]))
    assert client.reply().startswith("250")
    assert backend.messages == [letter]


def test_a_message_and_the_next_commands_may_come_in_one_write(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    client = start_grey(backend).client().to_data()
    client.send(LETTER + b".\r\n" + MAIL + RCPT + b"DATA\r\n")
    assert [reply[:3] for reply in client.replies(4)] == ["250", "250", "250", "354"]
    assert client.deliver(b"two\r\n").startswith("250")
    assert backend.messages == [LETTER, b"two\r\n"]
