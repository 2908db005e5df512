"""The proxy before several real mail servers: which one gets what, failover, kept connections."""

from collections.abc import Callable

import pytest

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Modes import ClientInfo
from Test.Kamaelia.Apps.Grey.servers import AbleServer, ehlo, free_port
from Test.Kamaelia.Apps.Grey.support import (
    EHLO,
    HELLO,
    LETTER,
    MAIL,
    OK,
    RCPT,
    Act,
    Answer,
    Client,
    Gate,
    Grey,
)

Server = Callable[..., AbleServer]
StartGrey = Callable[..., Grey]

OTHER = b"RCPT TO:<c@example.com>\r\n"  # of the second domain
BUSY = b"450 4.2.1 busy\r\n"


def down() -> tuple[str, int]:
    """Where nobody listens."""
    return ("127.0.0.1", free_port())


def send_one(client: Client, grey: Grey | None = None) -> list[str]:
    """A whole message, whatever is answered: the codes. grey: it comes there in pieces."""
    codes = [client.ask(line)[:3] for line in (MAIL, RCPT, b"DATA\r\n")]
    if codes[-1] == "354":
        if grey is not None:
            for piece in (LETTER[:3], LETTER[3:]):
                client.send(piece)
                grey.settle()
        codes.append(client.deliver(LETTER if grey is None else b"")[:3])
    return codes


# ---- failover


@pytest.mark.parametrize(
    "faults",
    [
        {"BANNER": b"421 4.3.2 busy\r\n"},
        {"BANNER": b"554 5.7.1 go away\r\n"},
        {"BANNER": Act.DROP},
        {"BANNER": Act.RESET},
        {"BANNER": b"no reply\r\n"},
        {"EHLO": b"421 4.3.2 busy\r\n"},
        {"EHLO": Act.DROP},
        {"EHLO": b"550 5.7.1 no\r\n", "HELO": b"550 5.7.1 no\r\n"},
    ],
    ids=ascii,
)
def test_a_server_that_cannot_be_used_is_passed_over(
    able_server: Server, start_before: StartGrey, faults: dict[str, Answer]
) -> None:
    bad, good = able_server(**faults), able_server()
    grey = start_before((bad, 1, "*"), (good, 2, "*"))
    client = grey.client()
    assert client.ask(HELLO).startswith("250")
    assert send_one(client) == ["250", "250", "354", "250"]
    assert (bad.messages, good.messages) == ([], [LETTER])


def test_a_server_that_is_down_is_passed_over(able_server: Server, start_before: StartGrey) -> None:
    good = able_server()
    client = start_before((down(), 1, "*"), (good, 2, "*")).client()
    assert client.ask(HELLO).startswith("250")
    assert send_one(client) == ["250", "250", "354", "250"]
    assert good.messages == [LETTER]


def test_all_servers_down_is_a_temporary_failure(start_before: StartGrey) -> None:
    client = start_before((down(), 1, "*"), (down(), 2, "*")).client().begin()
    assert client.ask(RCPT).startswith("451 4.4.1 ")
    assert client.ask(b"NOOP\r\n").startswith("250")


@pytest.mark.parametrize("fault", [Act.DROP, Act.RESET, b"421 4.3.2 going down\r\n", b"junk\r\n"])
@pytest.mark.parametrize("step", ["DATA", "DOT"])
def test_no_other_server_is_asked_once_a_recipient_was_taken(
    able_server: Server, start_before: StartGrey, step: str, fault: Answer
) -> None:
    first, second = able_server(**{step: fault}), able_server()
    client = start_before((first, 1, "*"), (second, 2, "*")).client().begin()
    assert client.ask(RCPT).startswith("250")
    reply = client.ask(b"DATA\r\n")
    if step == "DOT":
        assert reply.startswith("354")
        reply = client.deliver()
    assert reply[:2] in ("45", "42")
    assert second.visits == []
    assert len(first.messages) == (step == "DOT")


@pytest.mark.parametrize("fault", [Act.DROP, Act.RESET, b"421 4.3.2 going down\r\n", b"junk\r\n"])
def test_a_second_recipient_is_not_taken_elsewhere_when_the_server_is_lost(
    able_server: Server, start_before: StartGrey, fault: Answer
) -> None:
    first, second = able_server(RCPT=[OK, fault]), able_server()
    client = start_before((first, 1, "*"), (second, 2, "*")).client().begin()
    assert client.ask(RCPT).startswith("250")
    reply = client.ask(b"RCPT TO:<c@example.org>\r\n")
    assert reply[:3] in ("451", "421")
    if reply.startswith("451"):
        assert client.ask(b"DATA\r\n").startswith("451")
    assert second.visits == []
    assert first.messages == []


FAULTS = [Act.DROP, Act.RESET, b"421 4.3.2 going down\r\n", b"junk\r\n", BUSY, b"550 5.0.0 no\r\n"]


@pytest.mark.parametrize("fault", FAULTS, ids=ascii)
@pytest.mark.parametrize("step", ["BANNER", "EHLO", "MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize("in_pieces", [False, True])
def test_with_a_fault_at_any_point_no_message_is_lost_or_comes_twice(
    able_server: Server, start_before: StartGrey, step: str, fault: Answer, in_pieces: bool
) -> None:
    usual = {"BANNER": b"220 hi\r\n", "EHLO": EHLO, "DATA": b"354 go on\r\n"}
    first = able_server(**{step: [fault, usual.get(step, OK)]})
    second = able_server()
    grey = start_before((first, 1, "*"), (second, 2, "*"))
    client = grey.client()
    assert client.ask(HELLO).startswith("250")
    codes = send_one(client, grey if in_pieces else None)
    messages = first.messages + second.messages
    if codes[-1] == "250":
        assert messages == [LETTER]
    else:
        # The server has it at most once, and only if it got the dot; then it said no, or nothing.
        assert codes[-1][0] in "45" or not codes[-1]
        assert len(messages) == (step == "DOT")
    assert not (first.messages and second.messages)


@pytest.mark.parametrize("fault", [Act.DROP, Act.RESET])
def test_a_server_lost_inside_the_message_is_not_replaced(
    able_server: Server, start_before: StartGrey, fault: Act
) -> None:
    first, second = able_server(body=(5, fault)), able_server()
    client = start_before((first, 1, "*"), (second, 2, "*")).client().to_data()
    assert client.deliver().startswith("451 4.4.2 ")
    assert (first.messages, second.messages) == ([], [])
    assert second.visits == []


def test_the_server_refuses_the_message_and_nobody_else_is_asked(
    able_server: Server, start_before: StartGrey
) -> None:
    first, second = able_server(DOT=b"452 4.3.1 full\r\n"), able_server()
    client = start_before((first, 1, "*"), (second, 2, "*")).client().to_data()
    assert client.deliver() == "452 4.3.1 full"
    assert second.visits == []


@pytest.mark.parametrize("step", ["MAIL", "RCPT"])
def test_a_refusal_is_an_answer_and_no_failure(
    able_server: Server, start_before: StartGrey, step: str
) -> None:
    first, second = able_server(**{step: b"450 4.2.1 come back\r\n"}), able_server()
    client = start_before((first, 1, "*"), (second, 2, "*")).client().begin()
    assert client.ask(RCPT) == "450 4.2.1 come back"
    assert second.visits == []


# ---- the circuit


def test_after_three_failures_a_server_is_left_alone_for_a_while(
    able_server: Server, start_grey: StartGrey
) -> None:
    clock = FakeClock(50.0)
    server = able_server(BANNER=b"421 4.3.2 busy\r\n")
    grey = start_grey(server, monotonic=clock)
    client = grey.client().begin()
    for _ in range(6):
        assert client.ask(RCPT)[:8] in ("451 4.3.2", "451 4.3.", "451 4.4.")
    assert len(server.visits) == 3
    grey.settle()
    clock.advance(1.1)
    assert client.ask(RCPT).startswith("451")
    assert len(server.visits) == 4
    assert client.ask(RCPT).startswith("451 4.4.1 ")
    assert len(server.visits) == 4
    said = [text for text in grey.log.texts if "is not used for" in text]
    assert len(said) == 1


def test_a_server_that_is_back_is_used_again(able_server: Server, start_grey: StartGrey) -> None:
    clock = FakeClock(50.0)
    server = able_server(BANNER=[b"421 4.3.2 busy\r\n"] * 3 + [b"220 hi\r\n"])
    grey = start_grey(server, monotonic=clock)
    client = grey.client().begin()
    for _ in range(4):
        assert client.ask(RCPT).startswith("451")
    grey.settle()
    clock.advance(1.1)
    assert client.ask(RCPT).startswith("250")
    assert any("is used again" in text for text in grey.log.texts)


def test_strangers_are_greylisted_while_every_server_is_down(
    able_server: Server, start_before: StartGrey
) -> None:
    grey = start_before((down(), 1, "*"), (down(), 2, "*"))
    assert grey.client("127.0.0.77").begin().ask(RCPT).startswith("451 4.7.1 ")


# ---- a server for each domain


def test_each_domain_has_its_server(able_server: Server, start_before: StartGrey) -> None:
    org, com = able_server(), able_server()
    client = start_before((org, 1, "example.org"), (com, 1, "example.com")).client().begin()
    assert client.ask(RCPT).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver(b"one\r\n").startswith("250")
    assert client.ask(MAIL).startswith("250")
    assert client.ask(OTHER).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver(b"two\r\n").startswith("250")
    assert (org.messages, com.messages) == ([b"one\r\n"], [b"two\r\n"])


def test_a_recipient_elsewhere_needs_a_message_of_its_own(
    able_server: Server, start_before: StartGrey
) -> None:
    org, com = able_server(), able_server()
    client = start_before((org, 1, "example.org"), (com, 1, "example.com")).client().begin()
    assert client.ask(RCPT).startswith("250")
    assert client.ask(OTHER).startswith("452 4.5.3 ")
    assert client.ask(b"RCPT TO:<d@example.org>\r\n").startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("250")
    assert com.visits == []
    assert org.visit().verbs().count("RCPT") == 2


def test_with_the_first_recipient_refused_the_next_may_go_elsewhere(
    able_server: Server, start_before: StartGrey
) -> None:
    org, com = able_server(RCPT=b"550 5.1.1 unknown\r\n"), able_server()
    client = start_before((org, 1, "example.org"), (com, 1, "example.com")).client().begin()
    assert client.ask(RCPT) == "550 5.1.1 unknown"
    assert client.ask(OTHER).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("250")
    assert (org.messages, com.messages) == ([], [LETTER])


def test_what_one_server_thinks_of_the_sender_is_not_said_for_another(
    able_server: Server, start_before: StartGrey
) -> None:
    org = able_server(MAIL=b"550 5.1.8 bad sender\r\n", RCPT=b"503 5.5.1 MAIL first\r\n")
    com = able_server()
    client = start_before((org, 1, "example.org"), (com, 1, "example.com")).client().begin()
    assert client.ask(RCPT) == "550 5.1.8 bad sender"
    assert client.ask(OTHER).startswith("250")


def test_a_domain_that_no_server_is_for_is_a_temporary_failure(
    able_server: Server, start_before: StartGrey
) -> None:
    client = start_before((able_server(), 1, "example.org")).client().begin()
    assert client.ask(OTHER).startswith("451 4.4.1 ")


# ---- kept connections


def wait_kept(grey: Grey, count: int) -> None:
    grey.until(lambda: grey.server.pool.kept == count)


def test_the_next_client_has_the_connection_of_the_one_before(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server()
    grey = start_grey(server, backend_connections_kept=4)
    for _ in range(3):
        client = grey.client().to_data()
        assert client.deliver().startswith("250")
        assert client.ask(b"QUIT\r\n").startswith("221")
        wait_kept(grey, 1)
    assert len(server.visits) == 1
    assert server.visit().verbs() == ["EHLO", *["MAIL", "RCPT", "DATA"] * 3]
    assert len(server.messages) == 3


@pytest.mark.parametrize("farewell", [b"", b"421 4.4.2 idle for too long\r\n"])
@pytest.mark.parametrize("end", [Act.DROP, Act.RESET])
def test_a_kept_connection_that_has_gone_stale_is_no_failure(
    able_server: Server, start_grey: StartGrey, end: Act, farewell: bytes
) -> None:
    # It is found out only when it is used: the server reads one more command.
    stale: Answer = farewell or end
    server = able_server(MAIL=[OK, stale, OK])
    grey = start_grey(server, backend_connections_kept=4)
    client = grey.client().to_data()
    assert client.deliver().startswith("250")
    assert client.ask(b"QUIT\r\n").startswith("221")
    wait_kept(grey, 1)
    assert grey.client().to_data().deliver().startswith("250")
    assert len(server.visits) == 2
    assert len(server.messages) == 2


@pytest.mark.parametrize("stale", [Act.DROP, Act.RESET, b"421 4.4.2 idle for too long\r\n"])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "DOT"])
def test_a_pipelining_client_over_a_stale_connection_has_its_mail_there_once_at_the_most(
    able_server: Server, start_grey: StartGrey, step: str, stale: Answer
) -> None:
    good = b"354 go on\r\n" if step == "DATA" else OK
    server = able_server(**{step: [good, stale, good]})
    grey = start_grey(server, backend_connections_kept=4)
    client = grey.client().to_data()
    assert client.deliver().startswith("250")
    assert client.ask(b"QUIT\r\n").startswith("221")
    wait_kept(grey, 1)
    client = grey.client()
    assert client.ask(HELLO).startswith("250")
    client.send(MAIL + RCPT + b"RCPT TO:<c@example.org>\r\nDATA\r\n")
    codes: list[str] = []
    while len(codes) < 4 and (reply := client.reply()):
        codes.append(reply[:3])
    if codes[-1] == "354":
        codes.append(client.deliver()[:3])
    taken = codes[-1] == "250"
    assert taken is (step == "MAIL" or (step == "RCPT" and codes[1] == codes[2] == "250"))
    assert len(server.messages) == 1 + (taken or step == "DOT")


def test_a_connection_that_the_server_closed_while_it_was_kept_is_not_used(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server()
    grey = start_grey(server, backend_connections_kept=4)
    client = grey.client().to_data()
    assert client.deliver().startswith("250")
    assert client.ask(b"QUIT\r\n").startswith("221")
    wait_kept(grey, 1)
    server.visit().sock.shutdown(2)
    grey.settle()
    assert grey.client().to_data().deliver().startswith("250")
    assert len(server.visits) == 2


def test_a_connection_over_which_much_was_refused_is_not_kept(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server(RCPT=[b"550 5.1.1 unknown\r\n"] * 6 + [OK])
    grey = start_grey(server, backend_connections_kept=4)
    client = grey.client().begin()
    for _ in range(6):
        assert client.ask(RCPT).startswith("550")
    assert client.ask(RCPT).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("250")
    assert client.ask(b"QUIT\r\n").startswith("221")
    assert server.visit().ended.wait(15)
    assert server.visit().how == "quit"
    assert grey.call(lambda: grey.server.pool.kept) == 0


def test_a_connection_inside_a_transaction_is_not_kept(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server()
    grey = start_grey(server, backend_connections_kept=4)
    client = grey.client().begin()
    assert client.ask(RCPT).startswith("250")
    client.close()
    assert server.visit().ended.wait(15)
    assert grey.client().to_data().deliver().startswith("250")
    assert len(server.visits) == 2


@pytest.mark.parametrize("info", [ClientInfo.XCLIENT, ClientInfo.PROXY1, ClientInfo.PROXY2])
def test_a_connection_that_was_told_of_a_client_is_not_kept(
    able_server: Server, start_grey: StartGrey, info: ClientInfo
) -> None:
    server = able_server(
        EHLO=ehlo(b"PIPELINING", b"XCLIENT NAME ADDR PORT PROTO HELO"),
        proxy=info is not ClientInfo.XCLIENT,
    )
    grey = start_grey(server, backend_connections_kept=4, client_info=info)
    client = grey.client().to_data()
    assert client.deliver().startswith("250")
    assert client.ask(b"QUIT\r\n").startswith("221")
    assert server.visit().ended.wait(15)
    assert server.visit().how == "quit"


def test_no_more_connections_are_kept_than_the_setting_says(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server()
    grey = start_grey(server, backend_connections_kept=1)
    clients = [grey.client().to_data() for _ in range(3)]
    for client in clients:
        assert client.deliver().startswith("250")
    for client in clients:
        assert client.ask(b"QUIT\r\n").startswith("221")
    server.wait_for(lambda: sum(visit.how == "quit" for visit in server.visits) == 2)
    assert grey.call(lambda: grey.server.pool.kept) == 1


def test_a_kept_connection_is_given_up_after_a_while(
    able_server: Server, start_grey: StartGrey
) -> None:
    clock = FakeClock(50.0)
    server = able_server()
    grey = start_grey(server, backend_connections_kept=4, monotonic=clock)
    client = grey.client().to_data()
    assert client.deliver().startswith("250")
    assert client.ask(b"QUIT\r\n").startswith("221")
    wait_kept(grey, 1)
    grey.settle()
    clock.advance(16)
    assert server.visit().ended.wait(15)
    assert server.visit().how == "quit"


def test_the_answer_to_a_message_of_a_client_that_left_is_not_heard_by_the_next(
    able_server: Server, start_grey: StartGrey
) -> None:
    gate = Gate(b"452 4.3.1 full\r\n")
    server = able_server(DOT=[gate, b"250 2.0.0 second\r\n"])
    grey = start_grey(server, backend_connections_kept=4)
    first = grey.client().to_data()
    first.send(LETTER + b".\r\n")
    assert gate.reached.wait(15)
    first.close()
    grey.settle()
    second = grey.client().to_data()
    gate.open()
    assert second.deliver() == "250 2.0.0 second"
    assert {grey.outcome()["outcome"], grey.outcome()["outcome"]} == {"deferred", "delivered"}


def test_at_the_end_kept_connections_are_closed_in_order(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server()
    grey = start_grey(server, backend_connections_kept=4)
    client = grey.client().to_data()
    assert client.deliver().startswith("250")
    assert client.ask(b"QUIT\r\n").startswith("221")
    wait_kept(grey, 1)
    grey.shut_down()
    grey.wait_for_end()
    assert server.visit().ended.wait(15)
    assert server.visit().how == "quit"
