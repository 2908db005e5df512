"""What a mail server's question costs at its door: turns of components, and calls of its socket.
Docs/performance.md says the same in words; a row that gets dearer fails here."""

import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from Kamaelia.Apps.Grey.Config.Sockets import place
from Kamaelia.Support.Protocol.Milter.Packets import packet
from Test.Kamaelia.Apps.Grey.FrontDoor.test_SMTPProxy_turns import cost_of
from Test.Kamaelia.Apps.Grey.support import FakeServer, Grey

DEFERRED, DUNNO = b"action=DEFER_IF_PERMIT 4.7.1 Greylisting", b"action=DUNNO"


class MailServer:
    """One connection to a door."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(str(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def ask(self, data: bytes, answer: bytes) -> Callable[[], None]:
        """What sends that and reads an answer with these words in it."""

        def asking() -> None:
            self.sock.sendall(data)
            assert answer in self.sock.recv(65536)

        return asking


@pytest.fixture
def grey(tmp_path: Path) -> Iterator[Grey]:
    backend = FakeServer()
    made = Grey(
        backend.address,
        socket=place(f"unix:{tmp_path}/milter"),
        policy_socket=place(f"unix:{tmp_path}/policy"),
    ).start()
    yield made
    made.close()
    backend.close()


def question(recipient: str) -> bytes:
    return (
        "request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=192.0.2.7\n"
        f"sender=a@example.net\nrecipient={recipient}@example.org\ninstance=1.{recipient}\n\n"
    ).encode()


def test_a_question_of_postfix_costs_no_turn_a_read_and_a_write(grey: Grey, tmp_path: Path) -> None:
    with MailServer(tmp_path / "policy") as server:
        server.ask(question("first"), DEFERRED)()
        for data, answer in (
            (question("new"), DEFERRED),
            (question("new"), DEFERRED),  # too early
            (question("x").replace(b"RCPT", b"DATA"), DUNNO),
            (question("one") + question("other"), DEFERRED),
        ):
            cost = cost_of(grey, server.ask(data, answer))
            assert not cost.turns
            assert cost.calls == Counter(recv=1, send=1)
        grey.clock.advance(100)
        cost = cost_of(grey, server.ask(question("new"), DUNNO))
        assert not cost.turns
        assert cost.calls == Counter(recv=1, send=1)


def test_a_recipient_at_the_milter_costs_no_turn_a_read_and_a_write(
    grey: Grey, tmp_path: Path
) -> None:
    with MailServer(tmp_path / "milter") as server:
        server.ask(packet(b"O", struct.pack(">III", 6, 0x1FF, 0x1FFFFF)), b"O")()
        connect = packet(b"C", b"mx.example.net\x004\x12\x34192.0.2.7\0") + packet(b"H", b"mx\0")
        mail = packet(b"D", b"M{mail_mailer}\0smtp\0") + packet(b"M", b"<a@example.net>\0")
        server.ask(connect + mail + packet(b"R", b"<first@example.org>\0"), b"y451 4.7.1")()
        abort, rcpt = packet(b"A"), packet(b"R", b"<b@example.org>\0")
        for data, answer in (
            (rcpt, b"y451 4.7.1"),
            (abort + mail + rcpt, b"y451 4.7.1"),
            (packet(b"D", b"R{rcpt_mailer}\0local\0") + rcpt, b"y451 4.7.1"),
        ):
            cost = cost_of(grey, server.ask(data, answer))
            assert not cost.turns
            assert cost.calls == Counter(recv=1, send=1)
        grey.clock.advance(100)
        cost = cost_of(grey, server.ask(rcpt, packet(b"c")))
        assert not cost.turns
        assert cost.calls == Counter(recv=1, send=1)
        # The end of the message, with its header.
        cost = cost_of(grey, server.ask(packet(b"E"), packet(b"c")))
        assert not cost.turns
        assert cost.calls == Counter(recv=1, send=1)
