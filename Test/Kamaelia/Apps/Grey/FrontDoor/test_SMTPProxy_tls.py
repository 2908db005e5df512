"""Encryption before the proxy and behind it."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Modes import ClientInfo, ServerTLS
from Test.Kamaelia import tls
from Test.Kamaelia.Apps.Grey.servers import AbleServer, Caller, ehlo, free_port
from Test.Kamaelia.Apps.Grey.support import (
    HELLO,
    LETTER,
    MAIL,
    RCPT,
    STRANGER,
    Answer,
    Client,
    Grey,
)

Server = Callable[..., AbleServer]
StartGrey = Callable[..., Grey]
Call = Callable[..., Caller]
WriteCertificate = Callable[..., Path]

STARTTLS = b"STARTTLS\r\n"
NAME = tls.NAME
WITH_TLS = ehlo(b"PIPELINING", b"STARTTLS")


def deliver(client: Client) -> str:
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    return client.deliver()


# ---- STARTTLS of clients


def test_without_a_certificate_it_is_not_offered(
    able_server: Server, start_grey: StartGrey
) -> None:
    client = start_grey(able_server()).client()
    assert "STARTTLS" not in client.ask(HELLO)
    assert client.ask(STARTTLS).startswith("502 5.5.1 ")


def test_a_message_comes_in_under_tls(
    able_server: Server, start_grey: StartGrey, call: Call, certificate: WriteCertificate
) -> None:
    server = able_server()
    grey = start_grey(server, tls_certificate=certificate())
    client = call(grey).greeted()
    assert "STARTTLS" in client.ask(HELLO)
    client.start_tls(tls.client_context(), NAME)
    assert client.encrypted.version() in ("TLSv1.2", "TLSv1.3")
    assert "STARTTLS" not in client.ask(HELLO)
    assert client.ask(STARTTLS).startswith("503 5.5.1 ")
    assert deliver(client) == "250 2.0.0 Ok: queued as 4F2"
    assert client.ask(b"QUIT\r\n").startswith("221")
    assert server.messages == [LETTER]


def test_a_large_message_comes_in_under_tls(
    able_server: Server, start_grey: StartGrey, call: Call, certificate: WriteCertificate
) -> None:
    server = able_server()
    grey = start_grey(server, tls_certificate=certificate())
    client = call(grey).greeted()
    client.ask(HELLO)
    client.start_tls(tls.client_context(), NAME)
    client.ask(HELLO)
    letter = b"0123456789abcd\r\n" * 100_000
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver(letter).startswith("250")
    assert server.messages == [letter]


def test_each_name_has_its_certificate(
    able_server: Server, start_grey: StartGrey, call: Call, certificate: WriteCertificate
) -> None:
    other = certificate("lists.example.com", file="lists.pem")
    grey = start_grey(
        able_server(),
        tls_certificate=certificate(),
        tls_names=(("lists.example.com", other, other),),
    )
    for name in (NAME, "lists.example.com"):
        client = call(grey).greeted()
        client.ask(HELLO)
        client.start_tls(tls.client_context(), name)  # which checks it
        assert client.ask(HELLO).startswith("250")


def test_nothing_that_was_said_before_counts_after(
    able_server: Server, start_grey: StartGrey, call: Call, certificate: WriteCertificate
) -> None:
    server = able_server()
    grey = start_grey(server, tls_certificate=certificate())
    client = call(grey).greeted()
    client.ask(b"EHLO before.example\r\n")
    assert client.ask(b"MAIL FROM:<before@example.net>\r\n").startswith("250")
    assert client.ask(RCPT).startswith("250")
    client.start_tls(tls.client_context(), NAME)
    for line in (RCPT, b"DATA\r\n", MAIL):
        assert client.ask(line).startswith("503 5.5.1 ")
    assert client.ask(b"EHLO after.example\r\n").startswith("250")
    assert client.ask(RCPT).startswith("503 5.5.1 ")
    assert deliver(client).startswith("250")
    assert [grey.decision()["helo"] for _ in range(2)] == ["before.example", "after.example"]
    assert grey.outcome()["from"] == "a@example.net"
    senders = [line for visit in server.visits for line in visit.commands if line[:4] == b"MAIL"]
    assert senders[-1] == b"MAIL FROM:<a@example.net>"
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    "behind",
    [MAIL, b"RSET\r\n", HELLO + MAIL, b"\x16\x03\x01\x02\x00", b"\r\n", b"x"],
    ids=ascii,
)
def test_what_stands_behind_starttls_in_the_clear_is_never_obeyed(
    able_server: Server,
    start_grey: StartGrey,
    call: Call,
    certificate: WriteCertificate,
    behind: bytes,
) -> None:
    server = able_server()
    client = call(start_grey(server, tls_certificate=certificate())).greeted()
    client.ask(HELLO)
    assert client.ask(STARTTLS + behind).startswith("554 5.5.0 ")
    assert client.is_closed()
    assert server.visits == []


@pytest.mark.parametrize("behind", [MAIL, b"RSET\r\n", HELLO + MAIL])
def test_what_comes_in_the_clear_after_the_220_is_never_obeyed(
    able_server: Server,
    start_grey: StartGrey,
    call: Call,
    certificate: WriteCertificate,
    behind: bytes,
) -> None:
    grey = start_grey(able_server(), tls_certificate=certificate())
    client = call(grey).greeted()
    client.ask(HELLO)
    assert client.ask(STARTTLS).startswith("220 ")
    client.send(behind)
    rest = client._file.read()
    assert b"250" not in rest
    grey.until(lambda: grey.server.connections == 0)


@pytest.mark.parametrize("how", [Client.close, Client.reset, Client.finish_sending])
def test_a_client_that_leaves_in_the_handshake_leaves_nothing_behind(
    able_server: Server,
    start_grey: StartGrey,
    call: Call,
    certificate: WriteCertificate,
    how: Callable[[Client], None],
) -> None:
    grey = start_grey(able_server(), tls_certificate=certificate())
    before = len(grey.components())
    client = call(grey).greeted()
    client.ask(HELLO)
    assert client.ask(STARTTLS).startswith("220 ")
    how(client)
    grey.until(lambda: grey.server.connections == 0 and not grey.server._sessions)
    grey.until(lambda: len(grey.scheduler.threads) <= before + 1)


def test_a_handshake_that_does_not_come_has_an_end(
    able_server: Server, start_grey: StartGrey, call: Call, certificate: WriteCertificate
) -> None:
    clock = FakeClock(50.0)
    grey = start_grey(able_server(), tls_certificate=certificate(), monotonic=clock)
    client = call(grey).greeted()
    client.ask(HELLO)
    assert client.ask(STARTTLS).startswith("220 ")
    grey.settle()
    for _ in range(8):
        clock.advance(50)
        grey.settle()
    grey.until(lambda: grey.server.connections == 0)


def test_tls_where_a_command_should_stand_is_told_so(
    able_server: Server, start_grey: StartGrey, call: Call, certificate: WriteCertificate
) -> None:
    client = call(start_grey(able_server(), tls_certificate=certificate())).greeted()
    assert client.ask(b"\x16\x03\x01\x02\x00\x01\x00").startswith("501 5.5.2 ")
    assert client.is_closed()


def test_a_certificate_that_was_replaced_is_shown_to_the_next_client(
    able_server: Server, start_grey: StartGrey, call: Call, certificate: WriteCertificate
) -> None:
    clock = FakeClock(50.0)
    file = certificate()
    grey = start_grey(able_server(), tls_certificate=file, monotonic=clock)
    grey.server.certificates._clock = clock
    grey.settle()
    certificate("new.example.org")
    for _ in range(3):
        clock.advance(61)
        grey.settle()
    client = call(grey).greeted()
    client.ask(HELLO)
    client.start_tls(tls.client_context(), "new.example.org")
    assert client.ask(HELLO).startswith("250")


# ---- connections that begin with TLS


def test_on_the_port_for_it_connections_begin_encrypted(
    able_server: Server, start_grey: StartGrey, call: Call, certificate: WriteCertificate
) -> None:
    server, port = able_server(), free_port()
    grey = start_grey(server, tls_certificate=certificate(), tls_port=port)
    client = call(("127.0.0.1", port), tls=tls.client_context(), name=NAME).greeted()
    assert client.banner == "220 mx.example.org ESMTP Kamaelia Grey"
    assert "STARTTLS" not in client.ask(HELLO)
    assert deliver(client).startswith("250")
    assert server.messages == [LETTER]
    assert "STARTTLS" in grey.client().ask(HELLO)


def test_in_the_clear_nothing_is_said_on_the_port_for_tls(
    able_server: Server, start_grey: StartGrey, call: Call, certificate: WriteCertificate
) -> None:
    port = free_port()
    grey = start_grey(able_server(), tls_certificate=certificate(), tls_port=port)
    client = call(("127.0.0.1", port), HELLO)
    rest = client._file.read()
    assert b"220" not in rest
    assert b"250" not in rest
    grey.until(lambda: grey.server.connections == 0)


def test_on_the_port_for_tls_silence_has_an_end(
    able_server: Server, start_grey: StartGrey, call: Call, certificate: WriteCertificate
) -> None:
    clock, port = FakeClock(50.0), free_port()
    grey = start_grey(able_server(), tls_certificate=certificate(), tls_port=port, monotonic=clock)
    client = call(("127.0.0.1", port))
    grey.until(lambda: grey.server.connections == 1)
    client.send(b"\x16")
    for _ in range(8):
        grey.settle()
        clock.advance(10)
    grey.until(lambda: grey.server.connections == 0 and not grey.server._sessions)


# ---- behind


@pytest.mark.parametrize("mode", [ServerTLS.MAY, ServerTLS.REQUIRE])
def test_the_way_to_the_mail_server_is_encrypted(
    able_server: Server, start_grey: StartGrey, mode: ServerTLS
) -> None:
    # Its certificate is for another name, and signed by nobody that we know: that is no matter.
    server = able_server(EHLO=WITH_TLS, tls=tls.server_context("other.example"))
    client = start_grey(server, backend_tls=mode).client().to_data()
    assert client.deliver().startswith("250")
    assert server.messages == [LETTER]
    verbs = server.visit().verbs()
    assert verbs[:3] == ["EHLO", "STARTTLS", "EHLO"]
    assert isinstance(server.visit().sock, ssl.SSLSocket)


def authority_file(path: Path) -> Path:
    file = path / "ca.pem"
    file.write_bytes(tls.authority().cert_pem.bytes())
    return file


def test_its_certificate_is_verified_for_its_name(
    able_server: Server, start_grey: StartGrey, tmp_path: Path
) -> None:
    server = able_server(EHLO=WITH_TLS, tls=tls.server_context())
    grey = start_grey(
        server,
        backend_tls=ServerTLS.VERIFY,
        backend_tls_ca=authority_file(tmp_path),
        backend_tls_name=NAME,
    )
    assert grey.client().to_data().deliver().startswith("250")
    assert server.messages == [LETTER]


def test_without_a_name_its_certificate_must_be_for_its_address(
    able_server: Server, start_grey: StartGrey, tmp_path: Path
) -> None:
    server = able_server(EHLO=WITH_TLS, tls=tls.server_context("127.0.0.1"))
    grey = start_grey(server, backend_tls=ServerTLS.VERIFY, backend_tls_ca=authority_file(tmp_path))
    assert grey.client().to_data().deliver().startswith("250")


@pytest.mark.parametrize("names", [("other.example",), (NAME,)])
def test_a_certificate_that_does_not_vouch_for_it_is_no_mail(
    able_server: Server, start_grey: StartGrey, tmp_path: Path, names: tuple[str, ...]
) -> None:
    # The second is for the right name, and has expired.
    context = tls.server_context(*names, expired=names == (NAME,))
    server = able_server(EHLO=WITH_TLS, tls=context)
    grey = start_grey(
        server,
        backend_tls=ServerTLS.VERIFY,
        backend_tls_ca=authority_file(tmp_path),
        backend_tls_name=NAME,
    )
    assert grey.client().begin().ask(RCPT).startswith("451 4.3.2 ")
    assert server.mail_visits == []


@pytest.mark.parametrize(
    "faults",
    [{}, {"EHLO": WITH_TLS, "STARTTLS": b"454 4.7.0 not now\r\n"}, {"EHLO": WITH_TLS}],
    ids=["not offered", "refused", "no handshake"],
)
def test_where_it_is_required_nothing_is_said_in_the_clear(
    able_server: Server, start_grey: StartGrey, faults: dict[str, Answer]
) -> None:
    if faults.get("EHLO") and "STARTTLS" not in faults:
        faults = {**faults, "STARTTLS": b"220 2.0.0 go on\r\n250 2.0.0 injected\r\n"}
    server = able_server(**faults)
    client = start_grey(server, backend_tls=ServerTLS.REQUIRE).client().begin()
    assert client.ask(RCPT).startswith("451 4.")
    assert server.mail_visits == []


@pytest.mark.parametrize(
    "faults",
    [{}, {"EHLO": WITH_TLS, "STARTTLS": b"454 4.7.0 not now\r\n"}],
    ids=["not offered", "refused"],
)
def test_where_it_may_be_encrypted_mail_goes_on_in_the_clear(
    able_server: Server, start_grey: StartGrey, faults: dict[str, Answer]
) -> None:
    server = able_server(**faults)
    client = start_grey(server, backend_tls=ServerTLS.MAY).client().to_data()
    assert client.deliver().startswith("250")
    assert server.messages == [LETTER]


@pytest.mark.parametrize("info", [ClientInfo.NONE, ClientInfo.PROXY1])
def test_where_it_may_be_encrypted_a_handshake_that_fails_is_done_without(
    able_server: Server, start_grey: StartGrey, info: ClientInfo
) -> None:
    server = able_server(EHLO=WITH_TLS, tls=_refusing_context(), proxy=info is ClientInfo.PROXY1)
    grey = start_grey(server, backend_tls=ServerTLS.MAY, client_info=info)
    client = grey.client().to_data()
    assert client.deliver().startswith("250")
    assert server.messages == [LETTER]
    assert len(server.visits) == 2
    assert not isinstance(server.visit(1).sock, ssl.SSLSocket)


def _refusing_context() -> ssl.SSLContext:
    """Of a server that asks for a client's certificate, which we do not have."""
    context = tls.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    tls.authority().configure_trust(context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # where that fails in the handshake itself
    return context


def test_a_reply_that_is_put_behind_the_220_is_not_believed(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server(
        EHLO=WITH_TLS, STARTTLS=b"220 2.0.0 go on\r\n250-mail\r\n250 XCLIENT ADDR\r\n"
    )
    client = start_grey(server, backend_tls=ServerTLS.MAY).client().begin()
    assert client.ask(RCPT).startswith("451 4.")
    assert server.messages == []
    assert server.mail_visits == []


def test_an_encrypted_connection_is_kept_for_the_next_client(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server(EHLO=WITH_TLS, tls=tls.server_context())
    grey = start_grey(server, backend_tls=ServerTLS.REQUIRE, backend_connections_kept=2)
    for _ in range(2):
        client = grey.client().to_data()
        assert client.deliver().startswith("250")
        assert client.ask(b"QUIT\r\n").startswith("221")
        grey.until(lambda: grey.server.pool.kept == 1)
    assert len(server.visits) == 1
    assert len(server.messages) == 2


def test_a_stranger_is_greylisted_under_tls(
    able_server: Server, start_grey: StartGrey, call: Call, certificate: WriteCertificate
) -> None:
    grey = start_grey(able_server(), tls_certificate=certificate())
    client = call(grey, source=STRANGER).greeted()
    client.ask(HELLO)
    client.start_tls(tls.client_context(), NAME)
    client.ask(HELLO)
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("451 4.7.1 ")
