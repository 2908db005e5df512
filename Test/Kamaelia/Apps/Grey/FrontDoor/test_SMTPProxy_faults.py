"""The proxy before a mail server that is down, dies, stalls or lies: 451, and never a false 250."""

import socket
from collections.abc import Callable

import pytest

from Axon.Testing import FakeClock
from Test.Kamaelia.Apps.Grey.support import (
    HELLO,
    LETTER,
    MAIL,
    OK,
    RCPT,
    STRANGER,
    Act,
    Answer,
    Client,
    FakeServer,
    Gate,
    Grey,
)

MailServer = Callable[..., FakeServer]
StartGrey = Callable[..., Grey]

OTHER = b"RCPT TO:<other@example.org>\r\n"


@pytest.fixture
def nobody() -> Callable[[], tuple[str, int]]:
    """Give the function that finds an address on which nobody listens."""

    def find() -> tuple[str, int]:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            address: tuple[str, int] = sock.getsockname()
            return address

    return find


def goes_through(client: Client) -> bool:
    """Whether a whole message gets through in this session."""
    replies = [client.ask(MAIL), client.ask(RCPT), client.ask(b"DATA\r\n")]
    assert [reply[:3] for reply in replies] == ["250", "250", "354"], replies
    return client.deliver().startswith("250")


# ---- not there


def test_with_the_mail_server_down_strangers_are_still_greylisted(
    start_grey: StartGrey, nobody: Callable[[], tuple[str, int]]
) -> None:
    grey = start_grey(nobody())
    assert grey.client(STRANGER).begin().ask(RCPT).startswith("451 4.7.1 Greylisting in action")
    grey.clock.advance(61)
    client = grey.client(STRANGER).begin()
    assert client.ask(RCPT).startswith("451 4.4.1 ")
    assert client.ask(OTHER).startswith("451 4.7.1 Greylisting in action")  # the session is kept
    assert client.ask(b"DATA\r\n").startswith("451 ")
    assert client.ask(b"QUIT\r\n").startswith("221")


def test_a_mail_server_that_comes_back_is_used_in_the_same_session(
    mail_server: MailServer, start_grey: StartGrey, nobody: Callable[[], tuple[str, int]]
) -> None:
    grey = start_grey(nobody())
    client = grey.client().begin()
    assert client.ask(RCPT).startswith("451 4.4.1 ")
    grey.call(lambda: None)
    backend = mail_server()
    client = start_grey(backend).client()
    client.ask(HELLO)
    assert goes_through(client)


@pytest.mark.parametrize(
    "banner",
    [b"421 4.3.2 busy\r\n", b"450 later\r\n", b"554 5.7.1 go away\r\n", b"521 no mail here\r\n"],
)
def test_a_banner_that_says_no_is_never_a_no_to_the_world(
    mail_server: MailServer, start_grey: StartGrey, banner: bytes
) -> None:
    grey = start_grey(mail_server(BANNER=[banner, b"220 mail.example.org ESMTP\r\n"]))
    client = grey.client().begin()
    assert client.ask(RCPT).startswith("451 4.3.2 ")
    assert client.ask(RCPT) == "250 2.1.5 Ok"  # it is tried again


def test_ehlo_refused_is_tried_as_helo_and_both_refused_is_451(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server(
        EHLO=b"502 what?\r\n", HELO=[b"502 what?\r\n", b"250 mail.example.org\r\n"]
    )
    client = start_grey(backend).client().begin()
    assert client.ask(RCPT).startswith("451 4.3.2 ")
    assert client.ask(RCPT).startswith("250 ")


# ---- gone in the middle


@pytest.mark.parametrize("act", [Act.DROP, Act.RESET])
@pytest.mark.parametrize("step", ["BANNER", "EHLO", "MAIL", "RCPT"])
def test_gone_before_any_recipient_was_taken_is_451_and_the_session_is_kept(
    mail_server: MailServer, start_grey: StartGrey, step: str, act: Act
) -> None:
    usual = {"BANNER": b"220 hi\r\n", "EHLO": b"250 mail\r\n", "MAIL": OK, "RCPT": OK}
    backend = mail_server(**{step: [act, act, usual[step]]})
    client = start_grey(backend).client().begin()
    while not (reply := client.ask(RCPT)).startswith("250"):
        assert reply.startswith("451 4.4.")
        assert len(backend.visits) < 3
    assert client.ask(b"RSET\r\n").startswith("250")
    assert goes_through(client)
    assert len(backend.visits) == 3
    assert backend.messages == [LETTER]


@pytest.mark.parametrize("act", [Act.DROP, Act.RESET])
def test_gone_at_data_is_451(mail_server: MailServer, start_grey: StartGrey, act: Act) -> None:
    backend = mail_server(DATA=[act, b"354 go on\r\n"])
    client = start_grey(backend).client().begin()
    assert client.ask(RCPT).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("451 4.4.2 ")
    assert client.ask(b"RSET\r\n").startswith("250")
    assert goes_through(client)


@pytest.mark.parametrize("act", [Act.DROP, Act.RESET])
def test_gone_between_two_recipients_loses_those_who_were_taken(
    mail_server: MailServer, start_grey: StartGrey, act: Act
) -> None:
    backend = mail_server(RCPT=[OK, act, OK])
    client = start_grey(backend).client().begin()
    assert client.ask(RCPT).startswith("250")
    assert client.ask(OTHER).startswith("451 4.4.2 ")
    # A new connection would know nothing of the first recipient, who was promised the mail.
    assert client.ask(OTHER).startswith("451 4.4.2 ")
    assert client.ask(b"DATA\r\n").startswith("451 4.4.2 ")
    assert client.ask(b"RSET\r\n").startswith("250")
    assert goes_through(client)


@pytest.mark.parametrize("act", [Act.DROP, Act.RESET])
def test_gone_in_the_middle_of_a_message_is_451_after_the_dot(
    mail_server: MailServer, start_grey: StartGrey, act: Act
) -> None:
    backend = mail_server(body=(100_000, act))
    grey = start_grey(backend)
    client = grey.client().to_data()
    client.send(b"0123456789abcd\r\n" * 10_000)
    assert backend.visit().ended.wait(15)
    grey.settle()
    assert client.deliver(b"0123456789abcd\r\n" * 10_000).startswith("451 4.4.2 ")
    assert backend.messages == []
    assert grey.outcome()["outcome"] == "deferred"
    assert client.ask(b"QUIT\r\n").startswith("221")


@pytest.mark.parametrize("act", [Act.DROP, Act.RESET])
def test_gone_after_the_dot_is_451_and_unknown_in_the_log(
    mail_server: MailServer, start_grey: StartGrey, act: Act
) -> None:
    backend = mail_server(DOT=[act, OK])
    grey = start_grey(backend)
    client = grey.client().to_data()
    assert client.deliver().startswith("451 4.4.2 ")
    outcome = grey.outcome()
    assert (outcome["outcome"], outcome["reply"]) == ("unknown", "lost")
    assert goes_through(client)


def test_closed_after_its_final_reply_is_no_fault(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server(QUIT=Act.DROP)
    client = start_grey(backend).client().to_data()
    assert client.deliver().startswith("250")
    assert client.ask(b"QUIT\r\n").startswith("221")
    assert client.is_closed()
    assert backend.visit().ended.wait(15)


# ---- gone while it was idle


@pytest.mark.parametrize("goodbye", [b"", b"421 4.4.2 timeout exceeded\r\n"])
def test_a_connection_closed_between_two_messages_costs_nothing(
    mail_server: MailServer, start_grey: StartGrey, goodbye: bytes
) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    client = grey.client().to_data()
    assert client.deliver().startswith("250")
    visit = backend.visit()
    if goodbye:
        visit.sock.sendall(goodbye)
    visit.sock.shutdown(socket.SHUT_WR)
    assert visit.ended.wait(15)
    assert goes_through(client)
    assert [visit.messages for visit in backend.visits] == [[LETTER], [LETTER]]


def test_a_connection_closed_just_as_it_is_used_again_is_tried_once_more(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server(MAIL=[OK, Act.DROP, OK])
    client = start_grey(backend).client().to_data()
    assert client.deliver().startswith("250")
    assert goes_through(client)
    first, second = backend.visits
    assert first.verbs() == ["EHLO", "MAIL", "RCPT", "DATA", "MAIL"]
    assert second.verbs() == ["EHLO", "MAIL", "RCPT", "DATA"]


def test_it_is_tried_once_more_and_not_for_ever(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server(MAIL=Act.DROP)
    client = start_grey(backend).client().begin()
    assert client.ask(RCPT).startswith("451 4.4.2 ")
    assert len(backend.visits) == 2


def test_a_recipient_after_a_refused_one_and_a_lost_connection_is_answered(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server(RCPT=[b"550 5.1.1 unknown\r\n", OK])
    grey = start_grey(backend)
    client = grey.client().begin()
    assert client.ask(RCPT) == "550 5.1.1 unknown"
    visit = backend.visit()
    visit.sock.shutdown(socket.SHUT_WR)
    assert visit.ended.wait(15)
    assert client.ask(OTHER).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("250")


# ---- 421


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ({"MAIL": b"421 4.3.2 going down\r\n"}, [RCPT]),
        ({"RCPT": b"421 4.3.2 going down\r\n"}, [RCPT]),
        ({"RCPT": [OK, b"421 4.3.2 going down\r\n"]}, [RCPT, OTHER]),
        ({"DATA": b"421 4.3.2 going down\r\n"}, [RCPT, b"DATA\r\n"]),
        ({"DOT": b"421 4.3.2 going down\r\n"}, [RCPT, b"DATA\r\n", LETTER + b".\r\n"]),
        (
            {"body": (10, b"421 4.3.2 going down\r\n")},
            [RCPT, b"DATA\r\n", LETTER + b".\r\n"],
        ),
    ],
    ids=["MAIL", "RCPT", "second RCPT", "DATA", "dot", "body"],
)
def test_421_is_handed_on_and_ends_both_sessions(
    mail_server: MailServer, start_grey: StartGrey, answers: dict[str, Answer], asked: list[bytes]
) -> None:
    backend = mail_server(**answers)
    grey = start_grey(backend)
    client = grey.client().begin()
    *before, last = [client.ask(line) for line in asked]
    assert all(reply[:1] in "23" for reply in before)
    assert last == "421 4.3.2 going down"
    assert client.is_closed()
    if "DOT" in answers or "body" in answers:
        assert grey.outcome()["outcome"] == "deferred"  # it said that it has not taken it


# ---- early refusals


@pytest.mark.parametrize("code", [451, 554])
def test_refused_in_the_middle_of_a_message_the_refusal_follows_the_dot(
    mail_server: MailServer, start_grey: StartGrey, code: int
) -> None:
    backend = mail_server(body=(1000, b"%d 5.7.0 enough\r\n" % code))
    grey = start_grey(backend)
    client = grey.client().to_data()
    client.send(b"0123456789abcd\r\n" * 100)
    assert backend.visit().ended.wait(15)  # we hung up without a dot
    assert client.deliver(b"0123456789abcd\r\n" * 50_000) == f"{code} 5.7.0 enough"
    assert backend.messages == []
    outcome = grey.outcome()
    assert outcome["outcome"] == {451: "deferred", 554: "refused"}[code]
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("250")


# ---- lies


@pytest.mark.parametrize(
    "lie",
    [
        b"what?\r\n",
        b"2500 ok\r\n",
        b"999 ok\r\n",
        b"100 wait\r\n",
        b"354 go on\r\n",
        b"250-one\r\n451 two\r\n",
        b"250 o\0k\r\n",
        b"250-" + b"x" * 100_000,
        b"250-more\r\n" * 10_000 + b"250 done\r\n",
        b"\xff\xfe\r\n",
    ],
    ids=[
        "words",
        "long code",
        "999",
        "100",
        "354",
        "code change",
        "NUL",
        "endless",
        "10000",
        "bin",
    ],
)
@pytest.mark.parametrize("step", ["BANNER", "EHLO", "MAIL", "RCPT", "DOT"])
def test_a_reply_that_is_none_is_451(
    mail_server: MailServer, start_grey: StartGrey, step: str, lie: bytes
) -> None:
    backend = mail_server(**{step: lie})
    grey = start_grey(backend)
    client = grey.client().begin()
    reply = client.ask(RCPT)
    if step == "DOT":
        assert reply.startswith("250")
        assert client.ask(b"DATA\r\n").startswith("354")
        reply = client.deliver()
        assert grey.outcome()["outcome"] == "unknown"
    assert reply[:6] in ("451 4.", "250 2.")
    # An EHLO answered with garbage in the right shape (354 and so on) is refused, not believed.
    assert not reply.startswith("250")
    assert client.ask(b"NOOP\r\n").startswith("250")
    assert backend.visit().ended.wait(15)


def test_an_answer_to_data_that_is_neither_yes_nor_no_opens_nothing(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server(DATA=b"250 fine\r\n")
    client = start_grey(backend).client().begin()
    assert client.ask(RCPT).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("451 4.4.2 ")


def test_a_recipient_taken_after_a_refused_sender_is_not_believed(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server(MAIL=b"451 4.1.8 later\r\n", RCPT=OK)
    client = start_grey(backend).client().begin()
    assert client.ask(RCPT) == "451 4.1.8 later"
    assert client.ask(b"DATA\r\n").startswith("451 ")


def test_a_250_before_the_dot_is_not_believed(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server(body=(1000, b"250 2.0.0 Ok: queued\r\n"))
    grey = start_grey(backend)
    client = grey.client().to_data()
    client.send(b"0123456789abcd\r\n" * 100)
    assert backend.visit().ended.wait(15)
    assert client.deliver().startswith("451 4.4.2 ")
    assert grey.outcome()["outcome"] == "deferred"


def test_replies_that_nobody_asked_for_do_not_answer_the_next_command(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server(RCPT=[b"250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n", b"550 5.1.1 unknown\r\n"])
    client = start_grey(backend).client().begin()
    client.send(RCPT + OTHER)
    one, two = client.replies(2)
    assert one[:3] in ("250", "451")
    assert two.startswith("451 ")
    assert client.ask(b"DATA\r\n").startswith("451 ")


# ---- silence


@pytest.mark.parametrize(
    ("step", "seconds"),
    [("BANNER", 331), ("EHLO", 331), ("MAIL", 301), ("RCPT", 301), ("DATA", 301), ("DOT", 571)],
)
def test_silence_ends_in_451(
    mail_server: MailServer, start_grey: StartGrey, step: str, seconds: int
) -> None:
    clock = FakeClock(50.0)
    gate = Gate(Act.STALL)
    grey = start_grey(mail_server(**{step: gate}), monotonic=clock)
    client = grey.client().begin()
    client.send(RCPT)
    if step in ("DATA", "DOT"):
        assert client.reply().startswith("250")
        client.send(b"DATA\r\n")
    if step == "DOT":
        assert client.reply().startswith("354")
        client.send(LETTER + b".\r\n")
    assert gate.reached.wait(15)
    gate.open()
    grey.settle()
    clock.advance(seconds - 31)
    grey.settle()
    client.send(b"NOOP\r\n")  # is not answered before what came before it is
    clock.advance(31)
    assert client.reply()[:10] in ("451 4.4.2 ", "451 4.4.1 ")
    assert client.reply().startswith("250")
    if step == "DOT":
        outcome = grey.outcome()
        assert (outcome["outcome"], outcome["reply"]) == ("unknown", "timeout")


def test_after_a_message_the_limit_is_that_of_commands_again(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    clock = FakeClock(50.0)
    gate = Gate(Act.STALL)
    grey = start_grey(mail_server(MAIL=[OK, gate]), monotonic=clock)
    client = grey.client().to_data()
    assert client.deliver().startswith("250")
    assert client.ask(MAIL).startswith("250")
    client.send(RCPT)
    assert gate.reached.wait(15)
    gate.open()
    grey.settle()
    clock.advance(301)
    assert client.reply().startswith("451 4.4.2 ")


def test_a_mail_server_that_stops_reading_ends_in_451(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    clock = FakeClock(50.0)
    gate = Gate(Act.STALL)
    backend = mail_server(body=(10_000, gate), receive_buffer=4096)
    grey = start_grey(backend, monotonic=clock)
    client = grey.client().to_data()
    letter = b"0123456789abcd\r\n" * (1 << 20)
    client.sock.setblocking(False)
    sent = 0
    # As much as the way takes: it ends somewhere, or the proxy has no bounds.
    stuck = 0
    while stuck < 50:
        try:
            sent += client.sock.send(letter[sent % 16 :][:65_536])
            stuck = 0
        except BlockingIOError:
            stuck += 1
            grey.call(lambda: None)
    assert sent < len(letter)
    assert gate.reached.is_set()
    gate.open()
    grey.settle()
    clock.advance(181)
    client.sock.settimeout(15)
    client.send(letter[sent % 16 : 1 << 20] + b".\r\n")
    assert client.reply().startswith("451 4.4.2 ")
    assert backend.messages == []
