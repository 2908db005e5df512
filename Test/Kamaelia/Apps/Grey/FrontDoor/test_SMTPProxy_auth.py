"""Logging in through the proxy: only under TLS, to the server that knows the client, and no word of
what was said there anywhere else."""

import base64
import logging
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Internet.TCPClient import TCPClient
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.ClientCommands import GiveAuth, GiveAuthLine
from Kamaelia.Support.Protocol.SMTP.ClientSession import ClientSession
from Kamaelia.Support.Protocol.SMTP.Events import AuthRequested, AuthResponse
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerSession
from Test.Kamaelia import tls
from Test.Kamaelia.Apps.Grey.servers import AbleServer, Caller, ehlo
from Test.Kamaelia.Apps.Grey.support import (
    HELLO,
    LETTER,
    MAIL,
    OK,
    RCPT,
    STRANGER,
    Act,
    Answer,
    Gate,
    Grey,
)

Server = Callable[..., AbleServer]
StartGrey = Callable[..., Grey]
Call = Callable[..., Caller]

PASSWORD = b"tops3cret"
SECRET = base64.b64encode(b"\0anna\0" + PASSWORD)
AUTH = b"AUTH PLAIN " + SECRET + b"\r\n"
FOREIGN = b"RCPT TO:<x@elsewhere.example>\r\n"
WITH_AUTH = ehlo(b"PIPELINING", b"ENHANCEDSTATUSCODES", b"AUTH PLAIN LOGIN")
ABLE = Capabilities(pipelining=True, enhancedstatuscodes=True, auth=(b"PLAIN", b"LOGIN"))
EVERYBODY = Networks([ip_network("127.0.0.0/8")])
LoggingIn = Callable[..., tuple[Grey, Caller]]


@pytest.fixture
def under_tls(start_grey: StartGrey, call: Call, certificate: Callable[..., Path]) -> LoggingIn:
    """Give the function that connects a stranger under TLS, as far as the EHLO there."""

    def connect(server: AbleServer, **settings: object) -> tuple[Grey, Caller]:
        usual = {"tls_certificate": certificate(), "abilities": ABLE}
        grey = start_grey(server, **{**usual, **settings})
        client = call(grey, source=STRANGER).greeted()
        assert "AUTH" not in client.ask(HELLO)
        client.start_tls(tls.client_context(), tls.NAME)
        assert "AUTH PLAIN LOGIN" in client.ask(HELLO)
        return grey, client

    return connect


def assert_secret(grey: Grey) -> None:
    """No log has anything of it."""
    for text in (*grey.log.texts, *grey.log.lines):
        assert SECRET.decode() not in text
        assert PASSWORD.decode() not in text


# ---- in order


def test_who_has_logged_in_may_write_to_anybody(able_server: Server, under_tls: LoggingIn) -> None:
    server = able_server(EHLO=WITH_AUTH)
    grey, client = under_tls(server)
    assert client.ask(AUTH) == "235 2.7.0 welcome"
    assert client.ask(MAIL).startswith("250")
    assert client.ask(FOREIGN).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver() == "250 2.0.0 Ok: queued as 4F2"
    assert server.messages == [LETTER]
    assert len(server.visits) == 1
    assert server.visit().commands[1] == AUTH.strip()
    assert_secret(grey)


def test_a_dialogue_of_several_lines_is_handed_on(
    able_server: Server, under_tls: LoggingIn
) -> None:
    server = able_server(
        EHLO=WITH_AUTH, AUTH=b"334 VXNlcm5hbWU6\r\n", RESPONSE=[b"334 UGFzcw==\r\n", b"235 ok\r\n"]
    )
    grey, client = under_tls(server)
    assert client.ask(b"AUTH LOGIN\r\n") == "334 VXNlcm5hbWU6"
    assert client.ask(b"YW5uYQ==\r\n") == "334 UGFzcw=="
    assert client.ask(SECRET + b"\r\n") == "235 ok"
    assert server.responses == [b"YW5uYQ==", SECRET]
    assert_secret(grey)


def test_who_logs_in_keeps_its_server_however_long_it_is_silent(
    able_server: Server, under_tls: LoggingIn
) -> None:
    clock = FakeClock(100.0)
    server = able_server(
        EHLO=WITH_AUTH, AUTH=b"334 VXNlcm5hbWU6\r\n", RESPONSE=b"235 2.7.0 welcome\r\n"
    )
    grey, client = under_tls(server, monotonic=clock)
    for line, code in (
        (b"AUTH LOGIN\r\n", "334"),
        (b"YW5uYQ==\r\n", "235"),
        (b"NOOP\r\n", "250"),
        (MAIL, "250"),
        (FOREIGN, "250"),
    ):
        assert client.ask(line).startswith(code)
        for _ in range(20):
            clock.advance(1)
            grey.settle()
        assert grey.call(lambda: grey.server.pool.lent) == 1
    assert len(server.visits) == 1


def test_a_second_message_goes_over_the_same_login(
    able_server: Server, under_tls: LoggingIn
) -> None:
    server = able_server(EHLO=WITH_AUTH)
    _, client = under_tls(server)
    assert client.ask(AUTH).startswith("235")
    for _ in range(2):
        assert client.ask(MAIL).startswith("250")
        assert client.ask(FOREIGN).startswith("250")
        assert client.ask(b"DATA\r\n").startswith("354")
        assert client.deliver().startswith("250")
    assert len(server.visits) == 1


def test_recipients_of_all_domains_go_to_the_server_that_knows_the_client(
    able_server: Server,
    start_before: StartGrey,
    call: Call,
    certificate: Callable[..., Path],
) -> None:
    org, com = able_server(EHLO=WITH_AUTH), able_server(EHLO=WITH_AUTH)
    grey = start_before(
        (org, 1, "*"), (com, 1, "example.com"), abilities=ABLE, tls_certificate=certificate()
    )
    client = call(grey, source=STRANGER).greeted()
    client.ask(HELLO)
    client.start_tls(tls.client_context(), tls.NAME).ask(HELLO)
    assert client.ask(AUTH).startswith("235")
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("250")
    assert client.ask(b"RCPT TO:<c@example.com>\r\n").startswith("250")
    assert com.visits == []


# ---- refused


def test_in_the_clear_there_is_none(
    able_server: Server, start_grey: StartGrey, certificate: Callable[..., Path]
) -> None:
    server = able_server(EHLO=WITH_AUTH)
    grey = start_grey(server, tls_certificate=certificate(), abilities=ABLE)
    client = grey.client(STRANGER)
    assert "AUTH" not in client.ask(HELLO)
    assert client.ask(AUTH).startswith("538 5.7.11 ")
    assert server.visits == []
    assert_secret(grey)


def test_where_the_mail_server_offers_none_there_is_none(
    able_server: Server, start_grey: StartGrey, call: Call, certificate: Callable[..., Path]
) -> None:
    grey = start_grey(able_server(), tls_certificate=certificate())
    client = call(grey).greeted()
    client.ask(HELLO)
    client.start_tls(tls.client_context(), tls.NAME)
    assert "AUTH" not in client.ask(HELLO)
    assert client.ask(AUTH)[:1] == "5"


@pytest.mark.parametrize(
    "answer", [b"535 5.7.8 no\r\n", b"454 4.7.0 later\r\n", b"535 5.7.8 " + SECRET + b"\r\n"]
)
def test_a_refusal_is_the_mail_servers_and_changes_nothing(
    able_server: Server, under_tls: LoggingIn, answer: bytes
) -> None:
    server = able_server(EHLO=WITH_AUTH, AUTH=answer)
    grey, client = under_tls(server)
    assert client.ask(AUTH) == answer.decode().strip()
    assert client.ask(MAIL).startswith("250")
    assert client.ask(FOREIGN).startswith("550 5.7.1 ")
    assert client.ask(RCPT).startswith("451 4.7.1 ")
    assert_secret(grey)


def test_too_many_failures_end_the_session(able_server: Server, under_tls: LoggingIn) -> None:
    grey, client = under_tls(able_server(EHLO=WITH_AUTH, AUTH=b"535 5.7.8 no\r\n"))
    for _ in range(3):
        assert client.ask(AUTH).startswith("535")
    assert client.reply().startswith("421 4.7.0 ")
    assert client.is_closed()
    assert_secret(grey)


def test_who_gives_up_has_not_logged_in(able_server: Server, under_tls: LoggingIn) -> None:
    server = able_server(EHLO=WITH_AUTH, AUTH=b"334 \r\n", RESPONSE=b"501 5.7.0 as you like\r\n")
    _, client = under_tls(server)
    assert client.ask(b"AUTH PLAIN\r\n") == "334 "
    assert client.ask(b"*\r\n") == "501 5.7.0 as you like"
    assert server.responses == [b"*"]
    assert client.ask(MAIL).startswith("250")
    assert client.ask(FOREIGN).startswith("550 5.7.1 ")


@pytest.mark.parametrize("line", [b"not base64!\r\n", b"MAIL FROM:<a@b.example>\r\n", b"\0\r\n"])
def test_what_is_no_base64_is_not_handed_on(
    able_server: Server, under_tls: LoggingIn, line: bytes
) -> None:
    server = able_server(EHLO=WITH_AUTH, AUTH=b"334 \r\n", RESPONSE=b"501 5.7.0 as you like\r\n")
    _, client = under_tls(server)
    assert client.ask(b"AUTH PLAIN\r\n").startswith("334")
    assert client.ask(line).startswith("501")
    assert server.responses == [b"*"]


# ---- faults


@pytest.mark.parametrize(
    "fault",
    [
        Act.DROP,
        Act.RESET,
        b"421 4.3.2 busy\r\n",
        b"421 4.3.2 cannot read " + SECRET + b"\r\n",
        b"250 2.0.0 " + SECRET + b"\r\n",
        b"junk " + SECRET + b"\r\n",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("step", ["AUTH", "RESPONSE"])
def test_a_server_lost_while_logging_in_is_a_temporary_failure(
    able_server: Server, under_tls: LoggingIn, step: str, fault: Answer
) -> None:
    answers: dict[str, Answer] = {"AUTH": fault}
    if step == "RESPONSE":
        answers = {"AUTH": b"334 \r\n", "RESPONSE": fault}
    grey, client = under_tls(able_server(EHLO=WITH_AUTH, **answers))
    if step == "RESPONSE":
        assert client.ask(b"AUTH PLAIN\r\n").startswith("334")
        assert client.ask(SECRET + b"\r\n")[:3] in ("454", "421")
    else:
        assert client.ask(AUTH)[:3] in ("454", "421")
    assert not any("Traceback" in text for text in grey.log.texts)
    for text in (*grey.log.texts, *grey.log.lines):
        if isinstance(fault, bytes) and SECRET in fault:
            continue  # see the next test
        assert SECRET.decode() not in text


@pytest.mark.parametrize(
    "fault", [b"421 4.3.2 cannot read " + SECRET + b"\r\n", b"250 2.0.0 " + SECRET + b"\r\n"]
)
def test_a_server_that_repeats_the_password_does_not_bring_it_into_the_log(
    able_server: Server, under_tls: LoggingIn, fault: bytes
) -> None:
    grey, client = under_tls(able_server(EHLO=WITH_AUTH, AUTH=fault))
    logging.getLogger("Kamaelia").setLevel(logging.DEBUG)  # as greylist_debuglog does
    assert client.ask(AUTH)[:3] in ("454", "421")
    assert_secret(grey)


@pytest.mark.parametrize("line", [FOREIGN, RCPT])
def test_when_the_login_is_lost_nobody_is_turned_away_for_good(
    able_server: Server, under_tls: LoggingIn, line: bytes
) -> None:
    server = able_server(EHLO=WITH_AUTH)
    grey, client = under_tls(server)
    assert client.ask(AUTH).startswith("235")
    server.visit().sock.shutdown(2)
    grey.until(lambda: not any(isinstance(each, TCPClient) for each in grey.server_tree()))
    assert client.ask(MAIL).startswith("250")
    assert client.ask(line).startswith("421 4.4.2 ")  # log in again
    assert client.is_closed()


def test_a_login_after_a_transaction_that_was_taken_back(
    able_server: Server, under_tls: LoggingIn
) -> None:
    gate = Gate(OK)
    server = able_server(EHLO=WITH_AUTH, RSET=gate)
    grey, client = under_tls(server, allowed_senders=EVERYBODY)
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("250")
    client.send(b"RSET\r\n" + AUTH)
    assert gate.reached.wait(15)
    grey.settle()
    gate.open()
    assert client.replies(2) == ["250 2.0.0 Ok", "235 2.7.0 welcome"]
    assert not any("Traceback" in text for text in grey.log.texts)


def test_a_fault_of_ours_while_it_is_read_does_not_show_the_password(
    able_server: Server, under_tls: LoggingIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = ServerSession.receive_data

    def fail(self: ServerSession, data: bytes) -> None:
        if SECRET in data:
            raise RuntimeError("a fault")
        read(self, data)

    monkeypatch.setattr(ServerSession, "receive_data", fail)
    grey, client = under_tls(able_server(EHLO=WITH_AUTH))
    assert client.ask(AUTH)[:3] in ("421", "")
    assert any("RuntimeError: a fault" in text for text in grey.log.texts)
    assert_secret(grey)


def test_a_fault_of_ours_while_somebody_logs_in_does_not_show_the_password(
    able_server: Server, under_tls: LoggingIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: ClientSession, mechanism: bytes, initial: bytes | None) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(ClientSession, "auth", fail)
    grey, client = under_tls(able_server(EHLO=WITH_AUTH))
    assert client.ask(AUTH).startswith("454 4.7.0 ")
    assert any("RuntimeError: a fault" in text for text in grey.log.texts)
    assert_secret(grey)


def test_a_kept_connection_gone_stale_is_no_failure_to_log_in(
    able_server: Server, under_tls: LoggingIn
) -> None:
    def answer(_: bytes) -> bytes | Act:
        return Act.DROP if len(server.visits) == 1 else b"235 2.7.0 welcome\r\n"

    server = able_server(EHLO=WITH_AUTH, AUTH=answer)
    grey, client = under_tls(server, backend_connections_kept=2, allowed_senders=EVERYBODY)
    other = grey.client().to_data()
    assert other.deliver().startswith("250")
    assert other.ask(b"QUIT\r\n").startswith("221")
    grey.until(lambda: grey.server.pool.kept == 1)
    assert client.ask(AUTH).startswith("235")


def test_a_connection_that_knows_a_client_is_not_kept_for_another(
    able_server: Server, under_tls: LoggingIn
) -> None:
    server = able_server(EHLO=WITH_AUTH)
    grey, client = under_tls(server, backend_connections_kept=2)
    assert client.ask(AUTH).startswith("235")
    assert client.ask(b"QUIT\r\n").startswith("221")
    assert server.visit().ended.wait(15)
    assert server.visit().how == "quit"
    assert grey.call(lambda: grey.server.pool.kept) == 0


# ---- never shown


@pytest.mark.parametrize(
    "message",
    [
        AuthRequested(b"PLAIN", SECRET),
        AuthResponse(SECRET),
        GiveAuth(b"PLAIN", SECRET),
        GiveAuthLine(SECRET),
    ],
)
def test_no_message_shows_what_was_said(message: object) -> None:
    assert SECRET.decode() not in repr(message)
    assert SECRET.decode() not in f"{message}"


def test_the_debug_log_has_nothing_of_it(
    able_server: Server, under_tls: LoggingIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = able_server(EHLO=WITH_AUTH, AUTH=b"334 \r\n", RESPONSE=b"535 5.7.8 no\r\n")
    grey, client = under_tls(server)
    for name in grey.log.LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG)
    assert client.ask(b"AUTH PLAIN\r\n").startswith("334")
    assert client.ask(SECRET + b"\r\n").startswith("535")
    client.ask(b"AUTH PLAIN " + SECRET + b" x\r\n")
    grey.settle()
    assert SECRET.decode() not in caplog.text
    assert_secret(grey)
