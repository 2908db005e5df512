"""Messages that come in chunks (BDAT, RFC 3030), which the mail server gets as DATA."""

from collections.abc import Callable

import pytest

from Test.Kamaelia.Apps.Grey.servers import AbleServer
from Test.Kamaelia.Apps.Grey.support import HELLO, MAIL, RCPT, Act, Answer, Client, Grey

Server = Callable[..., AbleServer]
StartGrey = Callable[..., Grey]

TEXT = b"Subject: x\r\n\r\n.dot\r\nhello\r\n"
WIRE = b"Subject: x\r\n\r\n..dot\r\nhello\r\n"


@pytest.fixture
def ready(able_server: Server, start_grey: StartGrey) -> Callable[..., tuple[AbleServer, Client]]:
    """Give the function that connects a client, as far as a recipient that was taken."""

    def connect(**answers: Answer) -> tuple[AbleServer, Client]:
        server = able_server(**answers)
        client = start_grey(server, chunking=True).client()
        assert "CHUNKING" in client.ask(HELLO)
        assert client.ask(MAIL).startswith("250")
        assert client.ask(RCPT).startswith("250")
        return server, client

    return connect


Ready = Callable[..., tuple[AbleServer, Client]]


def chunk(data: bytes, *, last: bool = False) -> bytes:
    return b"BDAT %d%b\r\n%b" % (len(data), b" LAST" if last else b"", data)


def test_it_is_off_unless_it_is_wanted(able_server: Server, start_grey: StartGrey) -> None:
    client = start_grey(able_server()).client().begin()
    assert client.ask(RCPT).startswith("250")
    assert client.ask(b"BDAT 3 LAST\r\nx\r\n").startswith("502 ")
    assert client.is_closed()


@pytest.mark.parametrize("size", [1, 5, 13, 14, 15, 1000])
def test_chunks_of_any_size_are_one_message(ready: Ready, size: int) -> None:
    server, client = ready()
    pieces = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]
    for piece in pieces[:-1]:
        assert client.ask(chunk(piece)).startswith("250 ")
        assert server.messages == []
    assert client.ask(chunk(pieces[-1], last=True)) == "250 2.0.0 Ok: queued as 4F2"
    assert server.messages == [WIRE]


def test_all_of_it_may_be_pipelined(ready: Ready) -> None:
    server, client = ready()
    client.send(chunk(TEXT[:7]) + chunk(TEXT[7:]) + chunk(b"", last=True) + MAIL + RCPT)
    assert [reply[:3] for reply in client.replies(5)] == ["250"] * 5
    assert server.messages == [WIRE]


@pytest.mark.parametrize("end", [b"RSET\r\n", HELLO])
def test_a_message_that_is_taken_back_is_not_delivered(ready: Ready, end: bytes) -> None:
    server, client = ready()
    assert client.ask(chunk(TEXT)).startswith("250")
    assert client.ask(end).startswith("250")
    assert server.visit().ended.wait(15)
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("250")
    assert client.ask(chunk(TEXT, last=True)).startswith("250")
    assert server.messages == [WIRE]


@pytest.mark.parametrize("leave", [Client.close, Client.reset, Client.finish_sending])
@pytest.mark.parametrize("last", [False, True])
def test_a_client_that_leaves_inside_a_chunk_leaves_no_mail(
    ready: Ready, leave: Callable[[Client], None], last: bool
) -> None:
    server, client = ready()
    client.send(chunk(TEXT, last=last)[:-5])
    leave(client)
    assert server.visit().ended.wait(15)
    assert server.messages == []
    assert b"\r\n.\r\n" not in server.visit().received


@pytest.mark.parametrize(
    "text", [b"x\n.\nMAIL FROM:<evil@example.net>\r\n", b"x\r.\r\n", b"x\0\r\n"]
)
def test_smuggling_in_a_chunk_is_refused_and_nothing_of_it_delivered(
    ready: Ready, text: bytes
) -> None:
    server, client = ready()
    assert client.ask(chunk(text, last=True) + MAIL).startswith("550 5.6.0 ")
    assert client.is_closed()
    assert server.visit().ended.wait(15)
    assert server.messages == []


def test_a_terminator_in_a_chunk_is_text(ready: Ready) -> None:
    server, client = ready()
    text = b"x\r\n.\r\nMAIL FROM:<evil@example.net>\r\n"
    assert client.ask(chunk(text, last=True)).startswith("250")
    assert server.messages == [b"x\r\n..\r\nMAIL FROM:<evil@example.net>\r\n"]
    assert server.visit().verbs() == ["EHLO", "MAIL", "RCPT", "DATA"]


@pytest.mark.parametrize(
    "faults",
    [
        {"DATA": b"451 4.3.0 later\r\n"},
        {"DATA": Act.DROP},
        {"DOT": b"452 4.3.1 full\r\n"},
        {"DOT": Act.RESET},
        {"body": (5, b"452 4.3.1 full\r\n")},
        {"body": (5, Act.DROP)},
    ],
    ids=ascii,
)
def test_without_the_servers_yes_there_is_none(ready: Ready, faults: dict[str, Answer]) -> None:
    server, client = ready(**faults)
    client.send(chunk(TEXT[:20]) + chunk(TEXT[20:], last=True))
    first, second = client.replies(2)
    assert second[:3] in ("451", "452", "")
    assert first[:3] in ("250", "451", "452")
    if not ("body" in faults and second.startswith("452")):  # it may come when all is sent
        assert len(server.messages) == ("DOT" in faults)
    if second:
        assert client.ask(MAIL).startswith("250")


@pytest.mark.parametrize("size", [b"-1", b"", b"x", b"3 LAST LAST"])
def test_nonsense_ends_the_session(ready: Ready, size: bytes) -> None:
    server, client = ready()
    assert client.ask(b"BDAT " + size + b"\r\n").startswith("501 5.5.4 ")
    assert client.is_closed()
    assert server.visit().ended.wait(15)
    assert server.messages == []
