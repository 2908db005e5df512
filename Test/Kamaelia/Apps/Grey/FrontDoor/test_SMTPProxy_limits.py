"""Who may come in, how fast, how slowly, and how long."""

import socket
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_network

import pytest

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Test.Kamaelia.Apps.Grey.servers import AbleServer, Caller
from Test.Kamaelia.Apps.Grey.support import (
    FRIEND,
    HELLO,
    LETTER,
    MAIL,
    RCPT,
    STRANGER,
    Client,
    Grey,
)

Server = Callable[..., AbleServer]
StartGrey = Callable[..., Grey]
Call = Callable[..., Caller]

RESERVED = "127.0.0.5"
RESERVE = Networks([ip_network(RESERVED)])


def gone(grey: Grey, client: Client) -> None:
    """After a client has left, and that is known."""
    before = grey.call(lambda: grey.server.admission.connections)
    client.close()
    grey.until(lambda: grey.server.admission.connections < before)


# ---- how many


def test_one_client_has_a_limit_of_its_own(able_server: Server, start_grey: StartGrey) -> None:
    grey = start_grey(able_server(), max_client_connections=2)
    first, second, third = (grey.client(STRANGER) for _ in range(3))
    assert third.banner.startswith("421 4.7.0 too many connections from your address")
    assert third.is_closed()
    assert grey.client("127.0.0.78").banner.startswith("220 ")
    gone(grey, first)
    assert grey.client(STRANGER).banner.startswith("220 ")
    assert second.ask(HELLO).startswith("250")


@pytest.mark.parametrize(
    "leave", [Client.close, Client.reset, lambda client: client.ask(b"QUIT\r\n")]
)
def test_however_it_ends_a_connection_is_counted_back(
    able_server: Server, start_grey: StartGrey, leave: Callable[[Client], object]
) -> None:
    grey = start_grey(able_server(), max_client_connections=1)
    for _ in range(5):
        client = grey.client()
        assert client.banner.startswith("220 ")
        client.to_data()
        if leave not in (Client.close, Client.reset):
            client.deliver()
        leave(client)
        grey.until(lambda: grey.server.admission.connections == 0)


def test_the_last_places_are_for_some(able_server: Server, start_grey: StartGrey) -> None:
    grey = start_grey(
        able_server(), max_connections=3, reserved_connections=1, reserved_networks=RESERVE
    )
    here = [grey.client(STRANGER), grey.client(STRANGER)]
    assert [client.banner[:3] for client in here] == ["220", "220"]
    assert grey.client(STRANGER).banner.startswith("421 4.3.2 ")
    assert grey.client(RESERVED).banner.startswith("220 ")
    assert grey.client(RESERVED).banner.startswith("421 4.3.2 ")


def test_the_reserved_have_no_limit_of_their_own(
    able_server: Server, start_grey: StartGrey
) -> None:
    grey = start_grey(
        able_server(), max_client_connections=1, client_rate=1, reserved_networks=RESERVE
    )
    clients = [grey.client(RESERVED) for _ in range(15)]
    assert {client.banner[:3] for client in clients} == {"220"}


def test_a_client_that_comes_too_often_waits(able_server: Server, start_grey: StartGrey) -> None:
    clock = FakeClock(50.0)
    grey = start_grey(able_server(), client_rate=6, monotonic=clock)
    for _ in range(10):  # at once
        gone(grey, grey.client(STRANGER))
    assert grey.client(STRANGER).banner.startswith("421 4.7.0 connection rate too high")
    assert grey.client("127.0.0.78").banner.startswith("220 ")
    grey.settle()
    clock.advance(10.1)
    assert grey.client(STRANGER).banner.startswith("220 ")
    assert grey.client(STRANGER).banner.startswith("421 4.7.0 ")


def test_without_memory_nobody_comes_in(able_server: Server, start_grey: StartGrey) -> None:
    grey = start_grey(able_server(), memory_limit=1)
    client = grey.client()
    assert client.banner.startswith("421 4.3.1 ")
    assert client.is_closed()


def test_a_flood_is_one_line_in_the_log(able_server: Server, start_grey: StartGrey) -> None:
    grey = start_grey(able_server(), max_client_connections=1)
    grey.client(STRANGER)
    for _ in range(20):
        assert grey.client(STRANGER).banner.startswith("421 ")
    grey.settle()
    assert sum("refused" in text for text in grey.log.texts) == 1


def test_who_is_refused_counts_nowhere_and_its_words_do_nothing(
    able_server: Server, start_grey: StartGrey, call: Call
) -> None:
    server = able_server()
    grey = start_grey(server, max_client_connections=1)
    grey.client(STRANGER)
    caller = call(grey, HELLO + MAIL + RCPT, source=STRANGER).greeted()
    assert caller.banner.startswith("421 4.7.0 ")
    assert caller.is_closed()
    assert grey.call(lambda: grey.server.admission.connections) == 1
    assert server.visits == []


# ---- how fast


def test_who_waits_for_the_greeting_gets_it(able_server: Server, start_grey: StartGrey) -> None:
    clock = FakeClock(50.0)
    grey = start_grey(able_server(), greet_pause=5, monotonic=clock)
    caller = Caller(grey.address)
    grey.until(lambda: grey.server.connections == 1)
    grey.settle()
    clock.advance(4.9)
    grey.settle()
    caller.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        caller.sock.recv(1)
    caller.sock.settimeout(15)
    clock.advance(0.2)
    assert caller.greeted().banner.startswith("220 ")
    assert caller.to_data().deliver().startswith("250")
    caller.close()


@pytest.mark.parametrize(
    ("said", "answer"), [(HELLO, "554 5.5.0 "), (b"E", "554 5.5.0 "), (b"\x16\x03\x01", "501 ")]
)
def test_an_early_talker_is_told_so_and_hung_up_on(
    able_server: Server, start_grey: StartGrey, call: Call, said: bytes, answer: str
) -> None:
    clock = FakeClock(50.0)
    grey = start_grey(able_server(), greet_pause=5, monotonic=clock)
    caller = call(grey)
    grey.until(lambda: grey.server.connections == 1)
    grey.settle()
    clock.advance(3)
    caller.send(said + MAIL)
    assert caller.reply().startswith(answer)
    assert caller.is_closed()
    grey.until(lambda: grey.server.admission.connections == 0)


@pytest.mark.parametrize("leave", [Client.close, Client.reset, Client.finish_sending])
def test_who_leaves_before_the_greeting_is_not_waited_for(
    able_server: Server, start_grey: StartGrey, call: Call, leave: Callable[[Client], None]
) -> None:
    grey = start_grey(able_server(), greet_pause=5, monotonic=FakeClock(50.0))
    caller = call(grey)
    grey.until(lambda: grey.server.connections == 1)
    leave(caller)
    grey.until(lambda: not grey.server._sessions)
    assert grey.call(lambda: grey.server.admission.connections) == 0


def test_while_one_waits_for_its_greeting_others_are_served(
    able_server: Server, start_grey: StartGrey, call: Call
) -> None:
    clock = FakeClock(50.0)
    grey = start_grey(able_server(), greet_pause=5, monotonic=clock)
    first = call(grey)
    grey.until(lambda: grey.server.connections == 1)
    grey.settle()
    clock.advance(4)
    second = call(grey)
    grey.until(lambda: grey.server.connections == 2)
    grey.settle()
    clock.advance(1.1)
    assert first.greeted().to_data().deliver().startswith("250")
    grey.settle()
    clock.advance(4)
    assert second.greeted().banner.startswith("220 ")


# ---- how slowly


@pytest.mark.parametrize("line", [RCPT, b"XYZZY\r\n"])
def test_after_some_errors_each_answer_takes_a_second(
    able_server: Server, start_grey: StartGrey, line: bytes
) -> None:
    clock = FakeClock(50.0)
    server = able_server(RCPT=b"550 5.1.1 unknown\r\n")
    grey = start_grey(server, monotonic=clock)
    client = grey.client().begin()
    for _ in range(11):
        assert client.ask(line).startswith("5")
    client.send(line)
    grey.settle()
    client.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.sock.recv(1)
    client.sock.settimeout(15)
    clock.advance(1.1)
    assert client.reply().startswith("5")


def test_errors_are_slow_again_after_a_message(able_server: Server, start_grey: StartGrey) -> None:
    clock = FakeClock(50.0)
    refusal = b"550 5.1.1 unknown\r\n"
    server = able_server(RCPT=[*[refusal] * 18, b"250 2.1.5 Ok\r\n", refusal])
    grey = start_grey(server, monotonic=clock)
    client = grey.client().begin()
    for number in range(19):
        client.send(RCPT)
        grey.settle()
        clock.advance(1.1)
        assert client.reply()[:3] == ("550" if number < 18 else "250")
    grey.settle()
    clock.advance(1.1)
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("250")
    assert client.ask(MAIL).startswith("250")
    client.send(RCPT * 13)
    assert client.replies(11) == ["550 5.1.1 unknown"] * 11
    grey.settle()
    client.sock.settimeout(0.2)
    with suppress(TimeoutError):
        assert client.sock.recv(4096).count(b"550") <= 1


def test_after_many_errors_it_is_over(able_server: Server, start_grey: StartGrey) -> None:
    client = start_grey(able_server()).client()
    client.send(b"XYZZY\r\n" * 30)
    replies = []
    while reply := client.reply():
        replies.append(reply[:3])
    assert replies == ["500"] * 20 + ["421"]


def test_addresses_cannot_be_harvested_by_the_thousand(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server(RCPT=b"550 5.1.1 unknown\r\n")
    clock = FakeClock(50.0)
    grey = start_grey(server, monotonic=clock)
    client = grey.client().begin()
    client.send(b"".join(b"RCPT TO:<u%d@example.org>\r\n" % number for number in range(100)))
    replies = client.replies(11)
    while replies[-1]:
        grey.settle()
        clock.advance(1.1)  # in which there is one more at the most
        replies.append(client.reply())
    assert [reply[:3] for reply in replies] == ["550"] * 20 + ["421", ""]
    assert server.visit().verbs().count("RCPT") == 20


@pytest.mark.parametrize("line", [MAIL, b"EHLO client.example\r\n", b"AUTH PLAIN x\r\n"])
def test_a_command_byte_by_byte_has_one_deadline(
    able_server: Server, start_grey: StartGrey, line: bytes
) -> None:
    clock = FakeClock(50.0)
    grey = start_grey(able_server(), monotonic=clock, inactivity_timeout=100)
    client = grey.client()
    assert client.ask(HELLO).startswith("250")
    for byte in line[:9]:
        client.send(bytes([byte]))
        grey.settle()
        clock.advance(11)
        grey.settle()
    clock.advance(2)
    assert client.reply().startswith("421 4.4.2 ")
    assert client.is_closed()


def test_many_slow_clients_leave_room_for_a_quick_one(
    able_server: Server, start_grey: StartGrey
) -> None:
    clock = FakeClock(50.0)
    server = able_server()
    grey = start_grey(server, monotonic=clock)
    slow = [grey.client(STRANGER) for _ in range(50)]
    for client in slow:
        client.send(b"E")
    assert grey.client(FRIEND).to_data().deliver().startswith("250")
    assert server.messages == [LETTER]
    grey.settle()
    clock.advance(301)
    for client in slow:
        assert client.reply().startswith("421 4.4.2 ")
    grey.until(lambda: grey.server.admission.connections <= 1)


# ---- how much


def test_more_recipients_than_the_limit_come_back_later(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server()
    client = start_grey(server, max_recipients=100).client().begin()
    client.send(b"".join(b"RCPT TO:<u%d@example.org>\r\n" % number for number in range(105)))
    codes = [reply[:9] for reply in client.replies(105)]
    assert codes == ["250 2.1.5"] * 100 + ["452 4.5.3"] * 5
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("250")
    assert len(server.messages) == 1


def test_a_message_over_the_limit_is_refused_and_none_of_it_delivered(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server()
    client = start_grey(server, message_size_limit=65_536).client()
    assert client.ask(HELLO).startswith("250")
    assert client.ask(b"MAIL FROM:<a@example.net> SIZE=65537\r\n").startswith("552 5.3.4 ")
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver(b"0123456789abcd\r\n" * 5000).startswith("552 5.3.4 ")
    assert server.messages == []
    assert client.ask(b"NOOP\r\n").startswith("250")


def test_a_client_that_resets_at_once_counts_nowhere(
    able_server: Server, start_grey: StartGrey
) -> None:
    grey = start_grey(able_server(), max_client_connections=3)
    for _ in range(30):
        sock = socket.create_connection(grey.address)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
    grey.until(lambda: grey.server.admission.connections == 0)
    assert grey.client().banner.startswith("220 ")
