"""Each defect of the original Kamaelia Grey, shown on the wire not to be ours.

The list is that of the chapter "what the original does wrong"; one test, or a few, for each.
"""

import smtplib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network

import pytest

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.Core.Types import FailMode
from Kamaelia.Apps.Grey.Server import GreyServer
from Kamaelia.Apps.Grey.Store.Interface import Store, StoreError
from Test.Kamaelia.Apps.Grey.support import (
    FRIEND,
    HELLO,
    LETTER,
    MAIL,
    OK,
    RCPT,
    STRANGER,
    Act,
    FakeServer,
    Gate,
    Grey,
)

MailServer = Callable[..., FakeServer]
StartGrey = Callable[..., Grey]

OTHER = b"RCPT TO:<other@example.org>\r\n"
THIRD = b"RCPT TO:<third@example.org>\r\n"


# ---- "answers 250 to the client before it has even connected to the real server"


@pytest.mark.parametrize("answer", [b"554 no\r\n", b"451 later\r\n", Act.DROP, Act.RESET])
def test_no_250_for_a_message_that_the_real_server_did_not_take(
    mail_server: MailServer, start_grey: StartGrey, answer: bytes | Act
) -> None:
    backend = mail_server(DOT=answer)
    assert start_grey(backend).client().to_data().deliver()[:1] in "45"


def test_no_250_before_the_real_server_has_said_so(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    gate = Gate(OK)
    grey = start_grey(mail_server(DOT=gate))
    client = grey.client().to_data()
    client.send(LETTER + b".\r\n")
    assert gate.reached.wait(15)
    grey.settle()
    client.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.sock.recv(1)
    client.sock.settimeout(15)
    gate.open()
    assert client.reply().startswith("250")


def test_no_250_to_a_recipient_while_the_real_server_is_down(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    backend.stop_listening()
    assert start_grey(backend).client().begin().ask(RCPT).startswith("451 4.4.1 ")


# ---- "EHLO is refused; verbs are case-sensitive; any unknown verb closes"


def test_ehlo_is_answered_with_what_is_offered(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server())
    with smtplib.SMTP(*grey.address, timeout=15) as client:
        assert client.ehlo()[0] == 250
        assert client.has_extn("pipelining")


def test_verbs_may_be_written_in_any_case(mail_server: MailServer, start_grey: StartGrey) -> None:
    backend = mail_server()
    client = start_grey(backend).client()
    for line in (b"eHlO x\r\n", b"mail from:<a@example.net>\r\n", b"RcPt tO:<b@example.org>\r\n"):
        assert client.ask(line).startswith("250")
    assert client.ask(b"data\r\n").startswith("354")
    assert client.deliver().startswith("250")
    assert client.ask(b"quit\r\n").startswith("221")


def test_an_unknown_verb_is_an_error_and_no_end(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    client = start_grey(mail_server()).client()
    assert client.ask(b"XYZZY plugh\r\n").startswith("500 5.5.2 ")
    assert client.ask(HELLO).startswith("250")


# ---- "body end is recognised by LF . CRLF, and for each received chunk"


def test_lf_dot_crlf_does_not_end_a_message(mail_server: MailServer, start_grey: StartGrey) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    client = grey.client().to_data()
    client.send(b"first\n.\r\nMAIL FROM:<evil@example.net>\r\n")
    grey.settle()
    assert client.ask(b"\r\n.\r\n").startswith("550 5.6.0 ")
    assert backend.visit().ended.wait(15)
    assert backend.messages == []


@pytest.mark.parametrize("cut", range(1, 5))
def test_an_end_in_two_packets_is_an_end(
    mail_server: MailServer, start_grey: StartGrey, cut: int
) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    client = grey.client().to_data()
    whole = LETTER + b".\r\n"
    client.send(whole[:-cut])
    grey.settle()
    client.send(whole[-cut:])
    assert client.reply().startswith("250")
    assert backend.messages == [LETTER]


# ---- "one whitelisted recipient lets every other pass; the loop stops at the first greylisted one"


def test_a_whitelisted_recipient_lets_no_other_recipient_pass(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    config = loads("whitelisted_triples:\n    * * other@example.org\n")
    grey = start_grey(backend, whitelisted_triples=config.whitelisted_triples)
    client = grey.client(STRANGER).begin()
    assert client.ask(OTHER).startswith("250")
    assert client.ask(RCPT).startswith("451 4.7.1")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("250")
    assert backend.visit().commands[2:3] == [b"RCPT TO:<other@example.org>"]
    assert backend.visit().verbs() == ["EHLO", "MAIL", "RCPT", "DATA"]


def test_a_mail_to_many_needs_one_retry_and_not_one_for_each(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server())
    for seconds, code in ((0, "451"), (61, "250")):
        grey.clock.advance(seconds)
        client = grey.client(STRANGER).begin()
        client.send(RCPT + OTHER + THIRD)
        assert [reply[:3] for reply in client.replies(3)] == [code] * 3


# ---- "any exception in the greylist lookup accepts the mail"


@pytest.mark.parametrize(
    ("setting", "code"), [(FailMode.DEFER, "451 4.7.1"), (FailMode.ACCEPT, "250 2.1.5")]
)
def test_a_store_that_fails_does_what_the_setting_says_and_the_log_says_so(
    mail_server: MailServer, start_grey: StartGrey, setting: FailMode, code: str
) -> None:
    def fail() -> Store:
        raise StoreError("planted")

    backend = mail_server()
    grey = Grey(backend.address)
    config = Config(
        port=0,
        listen=("127.0.0.1",),
        smtp_port=backend.address[1],
        allowed_domains=frozenset({"example.org"}),
        store_failure=setting,
    )
    grey.server = GreyServer(config, clock=grey.clock, open_store=fail)
    grey.start()
    try:
        client = grey.client(STRANGER).begin()
        assert client.ask(RCPT).startswith(code)
        assert grey.decision()["reason"] == "store-failed"
        # Relaying is not let in by any fault.
        assert client.ask(b"RCPT TO:<b@elsewhere.example>\r\n").startswith("550 5.7.1")
    finally:
        grey.close()


@pytest.mark.parametrize(
    "place", ["Core.Rules.Rules.without_record", "GreylistDecider.with_triplet"]
)
def test_an_exception_in_the_decision_is_421_and_not_a_pass(
    mail_server: MailServer, start_grey: StartGrey, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("planted")

    backend = mail_server()
    grey = start_grey(backend)
    grey.until(lambda: grey.server.store.complete)  # else the decision is made in the store's turn
    client = grey.client(STRANGER).begin()
    with monkeypatch.context() as patched:
        patched.setattr(f"Kamaelia.Apps.Grey.{place}", fail)
        assert client.ask(RCPT).startswith("421 4.3.0 ")
    assert client.is_closed()
    assert backend.visits == []
    # It was one session's misfortune: the decider is there for all others.
    assert grey.client(STRANGER).begin().ask(RCPT).startswith("451 4.7.1 ")


# ---- "IP prefixes are compared as strings"


@pytest.mark.parametrize(
    ("prefix", "inside", "outside"),
    [("127.0.1", "127.0.1.9", "127.0.10.9"), ("127.1", "127.1.2.3", "127.100.2.3")],
)
def test_a_network_is_no_prefix_of_text(
    mail_server: MailServer, start_grey: StartGrey, prefix: str, inside: str, outside: str
) -> None:
    config = loads(f"allowed_sender_nets:\n    {prefix}\n")
    grey = start_grey(
        mail_server(), allowed_sender_nets=config.allowed_sender_nets, allowed_senders=Networks([])
    )
    assert grey.client(inside).begin().ask(RCPT).startswith("250")
    assert grey.client(outside).begin().ask(RCPT).startswith("451 4.7.1")


def test_an_allowed_sender_is_one_address_and_no_prefix(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server(), allowed_senders=Networks([ip_network("127.0.0.7")]))
    assert grey.client("127.0.0.7").begin().ask(RCPT).startswith("250")
    assert grey.client("127.0.0.77").begin().ask(RCPT).startswith("451 4.7.1")


# ---- "recipient domain is what follows the first @"


@pytest.mark.parametrize(
    "path",
    [
        b"user@example.org@elsewhere.example",
        b'"user@example.org"@elsewhere.example',
        b"user%elsewhere.example@example.org",
        b'"user%elsewhere.example"@example.org',
        b"elsewhere.example!user@example.org",
        b'"user@elsewhere.example"@example.org',
        b"@example.org:user@elsewhere.example",
    ],
)
def test_the_domain_is_what_follows_the_last_unquoted_at(
    mail_server: MailServer, start_grey: StartGrey, path: bytes
) -> None:
    backend = mail_server()
    client = start_grey(backend).client(STRANGER).begin()
    assert client.ask(b"RCPT TO:<%b>\r\n" % path)[:1] == "5"
    assert backend.visits == []


# ---- "backend replies are awaited one for each line but multi-line replies and errors are ignored"


def test_a_reply_of_many_lines_is_one_reply(mail_server: MailServer, start_grey: StartGrey) -> None:
    backend = mail_server(
        BANNER=b"220-one\r\n220-two\r\n220 three\r\n",
        MAIL=b"250-one\r\n250 two\r\n",
        RCPT=[b"250-one\r\n250 two\r\n", b"550-no\r\n550 such user\r\n"],
        DATA=b"354-go\r\n354 on\r\n",
        DOT=b"250-queued\r\n250 as 4F2\r\n",
    )
    client = start_grey(backend).client().begin()
    assert client.ask(RCPT) == "250-one\n250 two"
    assert client.ask(OTHER) == "550-no\n550 such user"
    assert client.ask(b"DATA\r\n").startswith("354 ")
    assert client.deliver() == "250-queued\n250 as 4F2"
    assert backend.messages == [LETTER]


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "DOT"])
def test_an_error_of_the_real_server_is_the_clients_error(
    mail_server: MailServer, start_grey: StartGrey, step: str
) -> None:
    client = start_grey(mail_server(**{step: b"552 5.3.4 planted\r\n"})).client().begin()
    replies = [client.ask(RCPT)]
    if step in ("DATA", "DOT"):
        replies.append(client.ask(b"DATA\r\n"))
    if step == "DOT":
        replies.append(client.deliver())
    assert replies[-1] == "552 5.3.4 planted"
    assert all(reply[:1] in "23" for reply in replies[:-1])


# ---- "dbm opened and closed for each recipient, no lock, no purge"


def test_many_clients_at_once_lose_no_record(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server())
    clients = [grey.client(STRANGER).begin() for _ in range(8)]

    def ask(number: int) -> list[str]:
        client = clients[number]
        for user in range(25):
            client.send(b"RCPT TO:<u%d-%d@example.org>\r\n" % (number, user))
        return [reply[:3] for reply in client.replies(25)]

    with ThreadPoolExecutor(8) as pool:
        first = list(pool.map(ask, range(8)))
        grey.clock.advance(61)
        for client in clients:
            assert client.ask(b"RSET\r\n").startswith("250")
            assert client.ask(MAIL).startswith("250")
        second = list(pool.map(ask, range(8)))
    assert first == [["451"] * 25] * 8
    assert second == [["250"] * 25] * 8


def test_what_has_expired_is_removed(mail_server: MailServer, start_grey: StartGrey) -> None:
    monotonic = FakeClock(50.0)
    grey = start_grey(mail_server(), monotonic=monotonic, sweep_interval=60)
    assert grey.client(STRANGER).begin().ask(RCPT).startswith("451")
    monotonic.advance(1)  # what is to be written is gathered for a moment
    grey.until(lambda: grey.store.count() == 1)
    for clock in (grey.clock, monotonic):  # together, or it looks like a clock that has jumped
        clock.advance(2 * 24 * 3600)
    # The next request wakes the store's thread, which then does what is due.
    assert grey.client(STRANGER).begin().ask(OTHER).startswith("451")
    monotonic.advance(1)
    grey.until(lambda: [key.recipient for key in grey.store._records] == ["other@example.org"])


# ---- "triple includes the sender with its ESMTP parameters split by blanks"


def test_the_sender_is_known_again_whatever_its_parameters(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server())
    first = grey.client(STRANGER).begin(b"MAIL FROM:<a@example.net> SIZE=100 BODY=8BITMIME\r\n")
    assert first.ask(RCPT).startswith("451 4.7.1")
    assert grey.decision()["from"] == "a@example.net"
    grey.clock.advance(61)
    second = grey.client(STRANGER).begin(b"MAIL FROM:<a@example.net> SIZE=12345\r\n")
    assert second.ask(RCPT).startswith("250")


# ---- "the configuration object is a dict but is read with getattr"; it crashed at the start


def test_an_empty_configuration_starts(mail_server: MailServer) -> None:
    backend = mail_server()
    grey = Grey(backend.address)
    assert loads("") == Config()
    grey.server = GreyServer(
        Config(listen=("127.0.0.1",), port=0), clock=grey.clock, open_store=lambda: grey.store
    )
    grey.start()
    try:
        assert grey.client(FRIEND).banner == "220 localhost ESMTP Kamaelia Grey"
    finally:
        grey.close()


# ---- "log lines contain raw client text"


def test_no_client_writes_a_line_of_its_own_into_the_log(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server())
    client = grey.client(STRANGER)
    for line in (b"EHLO x\rfake=1\r\n", b"EHLO x\0y\r\n", b"EHLO \x1b[2J\r\n"):
        reply = client.ask(line)
        if reply == "" or client.banner == "":
            break
        assert reply[:1] == "5"
        client = grey.client(STRANGER)
    client = grey.client(STRANGER)
    assert client.ask(b'EHLO a" b=c %s\r\n').startswith("250")
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("451")
    assert grey.decision()["helo"] == r'"a\" b=c %s"'
    assert all(line.isprintable() and line.isascii() for line in grey.log.lines)
