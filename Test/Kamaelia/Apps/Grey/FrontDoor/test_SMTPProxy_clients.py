"""The proxy before clients that leave, stall, flood or cheat."""

import socket
from collections.abc import Callable

import pytest

from Axon.Component import component
from Axon.Testing import FakeClock
from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
from Kamaelia.Protocol.SMTPClient import SMTPClientSession
from Kamaelia.Support.Protocol.SMTP.Events import DataReceived
from Test.Kamaelia.Apps.Grey.support import (
    HELLO,
    LETTER,
    MAIL,
    OK,
    RCPT,
    STRANGER,
    Act,
    Client,
    FakeServer,
    Gate,
    Grey,
)

MailServer = Callable[..., FakeServer]
StartGrey = Callable[..., Grey]
Leave = Callable[[Client], None]

LINE = b"0123456789abcd\r\n"
LEAVING = pytest.mark.parametrize("leave", [Client.close, Client.reset, Client.finish_sending])


# ---- gone


@LEAVING
@pytest.mark.parametrize(
    "part", [b"", LETTER, LETTER + b"half a li", LETTER + b".", LETTER + b".\r"]
)
def test_a_client_that_leaves_inside_a_message_leaves_no_mail(
    mail_server: MailServer, start_grey: StartGrey, leave: Leave, part: bytes
) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    client = grey.client().to_data()
    client.send(part)
    leave(client)
    visit = backend.visit()
    assert visit.ended.wait(15)
    assert visit.messages == []
    assert b"\r\n.\r\n" not in visit.received
    assert b"QUIT" not in visit.received
    outcome = grey.outcome()
    assert outcome["outcome"] == "abandoned"
    assert (outcome["from"], outcome["to"]) == ("a@example.net", "b@example.org")


@LEAVING
@pytest.mark.parametrize(
    ("answer", "fate"),
    [(OK, "delivered"), (b"452 4.2.2 full\r\n", "deferred"), (Act.RESET, "unknown")],
)
def test_what_became_of_a_message_is_logged_though_the_client_has_left(
    mail_server: MailServer, start_grey: StartGrey, leave: Leave, answer: bytes | Act, fate: str
) -> None:
    gate = Gate(answer)
    backend = mail_server(DOT=gate)
    grey = start_grey(backend)
    client = grey.client().to_data()
    client.send(LETTER + b".\r\n")
    assert gate.reached.wait(15)
    leave(client)
    grey.settle()
    gate.open()
    assert grey.outcome()["outcome"] == fate
    assert backend.messages == [LETTER]


def test_a_half_closed_client_hears_all_its_replies(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    client = start_grey(backend).client()
    assert client.ask(HELLO).startswith("250")
    client.send(MAIL + RCPT)
    client.finish_sending()
    assert [reply[:3] for reply in client.replies(2)] == ["250", "250"]
    assert client.is_closed()
    visit = backend.visit()
    assert visit.ended.wait(15)
    assert visit.verbs() == ["EHLO", "MAIL", "RCPT", "QUIT"]


def test_a_half_closed_client_hears_what_became_of_its_message(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    gate = Gate(b"250 2.0.0 Ok: queued as 4F2\r\n")
    grey = start_grey(mail_server(DOT=gate))
    client = grey.client().to_data()
    client.send(LETTER + b".\r\n")
    client.finish_sending()
    assert gate.reached.wait(15)
    grey.settle()
    gate.open()
    assert client.reply() == "250 2.0.0 Ok: queued as 4F2"
    assert client.is_closed()


@pytest.mark.parametrize("leave", [Client.close, Client.reset])
@pytest.mark.parametrize("step", ["BANNER", "EHLO", "MAIL", "RCPT", "DATA"])
def test_a_client_that_leaves_while_it_waits_leaves_nothing_behind(
    mail_server: MailServer, start_grey: StartGrey, step: str, leave: Leave
) -> None:
    usual = {"BANNER": b"220 hi\r\n", "EHLO": b"250 hi\r\n", "DATA": b"354 go on\r\n"}
    gate = Gate(usual.get(step, OK))
    backend = mail_server(**{step: gate})
    grey = start_grey(backend)
    before = len(grey.components())
    client = grey.client().begin()
    client.send(RCPT + b"DATA\r\n")
    assert gate.reached.wait(15)
    leave(client)
    grey.settle()
    gate.open()
    assert backend.visit().ended.wait(15)
    assert backend.messages == []
    grey.until(lambda: len(grey.scheduler.threads) <= before + 1)  # and the watcher


# ---- slow


def test_a_client_that_says_nothing_is_told_so_and_hung_up_on(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    clock = FakeClock(50.0)
    grey = start_grey(mail_server(), monotonic=clock)
    client = grey.client()
    grey.settle()
    clock.advance(299)
    assert client.ask(HELLO).startswith("250")
    grey.settle()
    clock.advance(299)
    assert client.ask(MAIL).startswith("250")
    grey.settle()
    clock.advance(301)
    assert client.reply().startswith("421 4.4.2 ")
    assert client.is_closed()


def test_a_command_that_comes_byte_by_byte_has_one_deadline(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    clock = FakeClock(50.0)
    grey = start_grey(mail_server(), monotonic=clock)
    client = grey.client()
    assert client.ask(HELLO).startswith("250")
    for _ in range(14):
        client.send(b"x")
        grey.settle()
        clock.advance(20)
    client.send(b"x")
    grey.settle()
    clock.advance(21)
    assert client.reply().startswith("421 4.4.2 ")
    assert client.is_closed()


@pytest.mark.parametrize(
    ("piece", "pieces", "seconds"),
    [(LINE * 1000, 3, 301), (LINE, 14, 21)],
    ids=["stalls after a while", "one line every 20 seconds"],
)
def test_a_client_that_stalls_inside_a_message_leaves_no_mail(
    mail_server: MailServer, start_grey: StartGrey, piece: bytes, pieces: int, seconds: int
) -> None:
    clock = FakeClock(50.0)
    backend = mail_server()
    grey = start_grey(backend, monotonic=clock)
    client = grey.client().to_data()
    for _ in range(pieces):
        client.send(piece)
        grey.settle()
        clock.advance(20)
    client.send(LINE)
    grey.settle()
    clock.advance(seconds - 20 if pieces == 3 else seconds)
    assert client.reply().startswith("421 4.4.2 ")
    assert client.is_closed()
    assert backend.visit().ended.wait(15)
    assert backend.messages == []
    assert grey.outcome()["outcome"] == "abandoned"


def test_while_the_mail_server_thinks_the_clients_time_stands_still(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    clock = FakeClock(50.0)
    gate = Gate(b"250 2.0.0 Ok: queued as 4F2\r\n")
    grey = start_grey(mail_server(DOT=gate), monotonic=clock)
    client = grey.client().to_data()
    client.send(LETTER + b".\r\n")
    assert gate.reached.wait(15)
    grey.settle()
    clock.advance(500)
    grey.settle()
    gate.open()
    assert client.reply() == "250 2.0.0 Ok: queued as 4F2"
    assert client.ask(b"NOOP\r\n").startswith("250")


# ---- flow control


def held_bytes(each: component) -> int:
    """Bytes of mail that a component holds in its inboxes and buffers."""
    held = 0
    for name, box in each.inboxes.items():
        if isinstance(each, ConnectedSocketAdapter) and name == "inbox":
            held += each._queue.waiting_bytes
            held += len(each._held or b"")
            continue
        for message in list(box.q):
            if isinstance(message, DataReceived):
                held += len(message.data)
            elif isinstance(message, bytes):
                held += len(message)
    if isinstance(each, SMTPClientSession):
        held += len(each._unsent)
    return held


def test_a_mail_server_that_does_not_read_stops_the_client_and_memory_is_bounded(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    gate = Gate(b"")
    backend = mail_server(body=(10_000, gate), receive_buffer=4096)
    grey = start_grey(backend)
    client = grey.client().to_data()
    client.sock.setblocking(False)
    sent = refused = 0
    letter = LINE * 100_000
    while refused < 50:
        try:
            sent += client.sock.send(letter[sent % len(LINE) :][:65_536])
            refused = 0
        except BlockingIOError:
            refused += 1
            grey.call(lambda: None)
    assert gate.reached.is_set()
    held = grey.call(lambda: sum(held_bytes(each) for each in grey.server_tree()))
    assert 65_536 < held <= 20 * 65_536  # a few reads in each of the four inboxes on the way
    assert sent < 20_000_000
    gate.open()
    client.sock.settimeout(15)
    client.send(letter[sent % len(LINE) :][: len(LINE) * 10 - sent % len(LINE)] + b".\r\n")
    assert client.reply() == "250 2.0.0 Ok: queued as 4F2"
    (message,) = backend.messages
    assert message == LINE * (len(message) // len(LINE))
    assert len(message) >= sent


def test_a_client_that_does_not_read_its_replies_is_not_read_from(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server())
    client = grey.client(receive_buffer=4096)
    assert client.ask(HELLO).startswith("250")
    client.sock.setblocking(False)
    refused = sent = 0
    unknown = b"RCPT\r\n" * 10_000  # each earns a reply that is longer than itself
    while refused < 50:
        try:
            sent += client.sock.send(unknown)
            refused = 0
        except BlockingIOError:
            refused += 1
            grey.call(lambda: None)
        except (ConnectionResetError, BrokenPipeError):
            break  # too many errors
    held = grey.call(lambda: sum(held_bytes(each) for each in grey.server_tree()))
    assert held <= 10 * 65_536


def test_an_endless_command_line_ends_the_session(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    client = start_grey(mail_server()).client()
    client.send(b"x" * 3000)
    assert client.reply().startswith("500 5.5.2 ")
    assert client.is_closed()


# ---- smuggling

SMUGGLED = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\0\n.\r\n",
    b"\0\r\n.\r\n",
    b"\r\n.\r\0\n",
    b"\r\n.\r\n\0",
    b"\r.\n",
]


@pytest.mark.parametrize("end", SMUGGLED, ids=ascii)
def test_nothing_but_crlf_dot_crlf_ends_a_message(
    mail_server: MailServer, start_grey: StartGrey, end: bytes
) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    client = grey.client().to_data()
    evil = b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nevil\r\n.\r\n"
    client.send(LETTER + b"x" + end + evil + b"QUIT\r\n")
    replies = []
    while reply := client.reply():
        replies.append(reply)
    visit = backend.visit()
    assert visit.ended.wait(15)
    assert b"evil@" not in visit.received
    bare = bytes(visit.received).replace(b"\r\n", b"")
    assert not set(bare) & set(b"\r\n\0")
    if end in (b"\r\n.\r\n\0", b"\0\r\n.\r\n"):
        return  # the message ends here for everybody; what follows is looked at below
    assert replies[0].startswith("550 5.6.0 ")
    assert len(replies) == 1
    assert visit.messages == []
    assert grey.outcome()["outcome"] == "abandoned"


def test_a_nul_before_the_end_spoils_the_message_and_ends_the_session(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    client = start_grey(backend).client().to_data()
    client.send(LETTER + b"x\0\r\n.\r\n" + MAIL)
    assert client.reply().startswith("550 5.6.0 ")
    assert client.is_closed()
    assert backend.visit().ended.wait(15)
    assert backend.messages == []


def test_a_nul_behind_the_end_is_a_bad_command_behind_a_good_message(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    client = start_grey(backend).client().to_data()
    client.send(LETTER + b".\r\n\0" + MAIL + RCPT)
    assert client.reply() == "250 2.0.0 Ok: queued as 4F2"
    assert client.reply().startswith("500 5.5.2 ")
    assert client.is_closed()
    assert backend.messages == [LETTER]


def test_there_is_no_reply_before_the_true_end(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server())
    client = grey.client().to_data()
    client.send(b"bare\nline\r\n")
    grey.settle()
    client.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.sock.recv(1)
    client.sock.settimeout(15)
    client.send(b"more\r\n.\r\n")
    assert client.reply().startswith("550 5.6.0 ")


@pytest.mark.parametrize(
    "line",
    [
        b'MAIL FROM:<"a\rRCPT TO:<x@example.org>"@example.net>\r\n',
        b'MAIL FROM:<"a\\\r\nDATA"@example.net>\r\n',
        b"MAIL FROM:<a@example.net> ENVID=a+0D+0ADATA\r\n",
        b"MAIL FROM:<a@example.net> SIZE=1+0d\r\n",
        b"MAIL FROM:<a@example.net> AUTH=<>\r\n",
        b"MAIL FROM:<a@exa\0mple.net>\r\n",
    ],
)
def test_nothing_can_be_injected_through_mail(
    mail_server: MailServer, start_grey: StartGrey, line: bytes
) -> None:
    backend = mail_server()
    client = start_grey(backend).client()
    assert client.ask(HELLO).startswith("250")
    assert client.ask(line)[:1] == "5"
    client.send(RCPT)
    client.reply()
    assert backend.visits == []


# ---- the log


def test_what_a_client_says_is_one_escaped_line_in_the_log(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server())
    client = grey.client(STRANGER)
    assert client.ask(b'EHLO x" verdict=pass event=decision %s \\n\r\n').startswith("250")
    sender = 'MAIL FROM:<"a b=c\\"d"@bücher.example> SMTPUTF8\r\n'.encode()
    assert client.ask(sender).startswith("250")
    assert client.ask("RCPT TO:<grüße@example.org>\r\n".encode()).startswith("451 4.7.1")
    values = grey.decision()
    (line,) = grey.log.lines
    assert line.isascii()
    assert line.isprintable()
    assert values["helo"] == r'"x\" verdict=pass event=decision %s \\n"'
    assert values["from"] == r'"\"a b=c\\\"d\"@b\xfccher.example"'
    assert values["to"] == r'"gr\xfc\xdfe@example.org"'
    assert values["verdict"] == "defer"


def test_a_mail_servers_reply_is_one_escaped_line_in_the_log(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    answer = b'554-5.7.1 "no" \x1b[31m\r\n554 5.7.1 outcome=delivered\r\n'
    grey = start_grey(mail_server(DOT=answer))
    grey.client().to_data().deliver()
    outcome = grey.outcome()
    assert outcome["outcome"] == "refused"
    assert outcome["reply"] == r'"554 5.7.1 \"no\" [31m / 5.7.1 outcome=delivered"'


def test_a_socket_can_be_reset_before_the_banner(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server())
    for _ in range(20):
        with socket.create_connection(grey.address) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert grey.client().ask(HELLO).startswith("250")
    grey.until(lambda: grey.server.connections == 1)
