"""The proxy before a server that speaks LMTP (RFC 2033): one recipient a message, one reply."""

from collections.abc import Callable

import pytest

from Kamaelia.Apps.Grey.Core.Modes import ServerProtocol, Verify
from Test.Kamaelia.Apps.Grey.servers import AbleServer
from Test.Kamaelia.Apps.Grey.support import LETTER, MAIL, RCPT, STRANGER, Act, Answer, Grey

Server = Callable[..., AbleServer]
StartGrey = Callable[..., Grey]

SECOND = b"RCPT TO:<c@example.org>\r\n"
UNKNOWN = b"550 5.1.1 unknown\r\n"


@pytest.fixture
def start_lmtp(start_grey: StartGrey) -> StartGrey:
    """Give the function that starts a greylister before a server of LMTP."""

    def start(server: AbleServer, **settings: object) -> Grey:
        return start_grey(server, backend_protocol=ServerProtocol.LMTP, **settings)

    return start


def test_a_message_is_delivered(able_server: Server, start_lmtp: StartGrey) -> None:
    server = able_server(lmtp=True)
    grey = start_lmtp(server)
    assert grey.client().to_data().deliver() == "250 2.0.0 Ok: queued as 4F2"
    assert server.messages == [LETTER]
    assert server.visit().verbs()[0] == "LHLO"


@pytest.mark.parametrize(
    ("answer", "fate"), [(b"552 5.2.2 full\r\n", "refused"), (b"452 4.2.2 full\r\n", "deferred")]
)
def test_the_reply_to_the_recipient_is_the_reply_to_the_message(
    able_server: Server, start_lmtp: StartGrey, answer: bytes, fate: str
) -> None:
    grey = start_lmtp(able_server(lmtp=True, DOT=answer))
    assert grey.client().to_data().deliver() == answer.decode().strip()
    assert grey.outcome()["outcome"] == fate


def test_a_second_recipient_comes_back_with_a_message_of_its_own(
    able_server: Server, start_lmtp: StartGrey
) -> None:
    server = able_server(lmtp=True)
    client = start_lmtp(server).client().begin()
    assert client.ask(RCPT).startswith("250")
    assert client.ask(SECOND).startswith("452 4.5.3 ")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("250")
    assert client.ask(MAIL).startswith("250")
    assert client.ask(SECOND).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("250")
    assert [line for line in server.visit().commands if line.startswith(b"RCPT")] == [
        RCPT.strip(),
        SECOND.strip(),
    ]
    assert server.messages == [LETTER] * 2


def test_one_that_was_refused_takes_nobodys_place(
    able_server: Server, start_lmtp: StartGrey
) -> None:
    server = able_server(lmtp=True, RCPT=[UNKNOWN, b"250 2.1.5 Ok\r\n"])
    client = start_lmtp(server).client().begin()
    assert client.ask(RCPT).startswith("550 5.1.1 ")
    assert client.ask(SECOND).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("250")


def test_all_recipients_refused_there_is_no_message(
    able_server: Server, start_lmtp: StartGrey
) -> None:
    server = able_server(lmtp=True, RCPT=UNKNOWN)
    client = start_lmtp(server).client().begin()
    assert client.ask(RCPT).startswith("550 5.1.1 ")
    assert client.ask(b"DATA\r\n").startswith("554 5.5.1 ")
    assert "DATA" not in server.visit().verbs()


@pytest.mark.parametrize("fault", [Act.DROP, Act.RESET, b"421 4.3.2 bye\r\n", b"junk\r\n"])
def test_without_its_reply_nothing_is_promised(
    able_server: Server, start_lmtp: StartGrey, fault: Answer
) -> None:
    server = able_server(lmtp=True, DOT=fault)
    grey = start_lmtp(server)
    assert grey.client().to_data().deliver()[:3] in ("451", "421")
    assert grey.outcome()["outcome"] in ("unknown", "deferred")
    assert len(server.messages) == 1


@pytest.mark.parametrize("protocol", [ServerProtocol.LMTP, ServerProtocol.SMTP])
def test_a_server_of_the_other_protocol_gets_no_mail(
    able_server: Server, start_grey: StartGrey, protocol: ServerProtocol
) -> None:
    server = able_server(lmtp=protocol is ServerProtocol.SMTP, LHLO=b"500 5.5.2 what?\r\n")
    client = start_grey(server, backend_protocol=protocol).client().begin()
    assert client.ask(RCPT).startswith("451 4.3.2 ")
    assert server.mail_visits == []


def test_a_recipient_is_verified_over_it(able_server: Server, start_lmtp: StartGrey) -> None:
    server = able_server(lmtp=True, RCPT=UNKNOWN)
    grey = start_lmtp(server, verify_recipients=Verify.NEW)
    assert grey.client(STRANGER).begin().ask(RCPT) == "550 5.1.1 unknown"
    assert server.messages == []


def test_a_connection_is_kept_for_the_next_client(
    able_server: Server, start_lmtp: StartGrey
) -> None:
    server = able_server(lmtp=True)
    grey = start_lmtp(server, backend_connections_kept=2)
    for _ in range(3):
        client = grey.client().to_data()
        assert client.deliver().startswith("250")
        assert client.ask(b"QUIT\r\n").startswith("221")
        grey.until(lambda: grey.server.pool.kept == 1)
    assert len(server.visits) == 1
    assert len(server.messages) == 3


def test_the_probe_speaks_it(able_server: Server, start_lmtp: StartGrey) -> None:
    server = able_server(lmtp=True)
    grey = start_lmtp(server, probing=True, abilities=None)
    grey.until(lambda: grey.backend.known)
    assert server.visit().verbs()[0] == "LHLO"
