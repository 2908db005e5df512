"""Whether a real mail server relays for us: what it is asked, and what its answers mean."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from Kamaelia.Apps.Grey.Core.Modes import ClientInfo, ServerProtocol, ServerTLS
from Kamaelia.Apps.Grey.FrontDoor.RelayCheck import Findings, examine, probe, shown
from Test.Kamaelia import tls
from Test.Kamaelia.Apps.Grey.support import OK, Act, FakeServer

MailServer = Callable[..., FakeServer]
DENIED = b"554 5.7.1 <relay-test@example.net>: Relay access denied\r\n"
XCLIENT_EHLO = b"250-mail.example.org\r\n250 XCLIENT NAME ADDR\r\n"


@dataclass(frozen=True)
class Settings:
    """The part of a configuration that matters."""

    smtp_ip: str = "127.0.0.1"
    smtp_port: int = 25
    backends: tuple[tuple[str, int, int, str], ...] = ()
    backend_protocol: ServerProtocol = ServerProtocol.SMTP
    backend_tls: ServerTLS = ServerTLS.OFF
    backend_tls_name: str = ""
    client_info: ClientInfo = ClientInfo.NONE
    servername: str = "mx.example.org"
    allowed_domains: frozenset[str] = frozenset({".sub.example.org", "example.org"})


def before(server: FakeServer, **more: object) -> Settings:
    return Settings(smtp_port=server.address[1], **more)  # type: ignore[arg-type]


class Scripted:
    """A server that says the next of its pieces whenever something comes; for what FakeServer
    cannot say."""

    def __init__(self, *pieces: bytes, context: ssl.SSLContext | None = None) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self.address = self._door.getsockname()
        self.received = b""
        self._pieces = pieces
        self._context = context
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            sock, _ = self._door.accept()
            try:
                for piece in self._pieces:
                    if piece == b"TLS" and self._context is not None:
                        sock = self._context.wrap_socket(sock, server_side=True)
                    else:
                        sock.sendall(piece)
                    if piece == b"220 go\r\n" and self._context is not None:
                        continue  # what comes now is TLS
                    data = sock.recv(65_536)
                    self.received += data
                    if not data:
                        break
                while data := sock.recv(65_536):
                    self.received += data
            finally:
                sock.close()

    def close(self) -> None:
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._thread.join(5)
        assert not self._thread.is_alive()


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    made: list[Scripted] = []

    def start(*pieces: bytes, context: ssl.SSLContext | None = None) -> Scripted:
        made.append(Scripted(*pieces, context=context))
        return made[-1]

    yield start
    for each in made:
        each.close()


# ---- relaying


def test_a_server_that_refuses_is_good(mail_server: MailServer) -> None:
    server = mail_server(RCPT=DENIED)
    assert examine(before(server)) == Findings(
        notes=[
            f"mail server 127.0.0.1 port {server.address[1]} offers PIPELINING, SIZE 50000000,"
            " 8BITMIME, SMTPUTF8, DSN, ENHANCEDSTATUSCODES"
        ]
    )
    visit = server.visit()
    assert visit.ended.wait(10)
    assert visit.commands == [
        b"EHLO mx.example.org",
        b"MAIL FROM:<relay-check@example.org>",
        b"RCPT TO:<relay-test@example.net>",
        b"RSET",
        b"MAIL FROM:<>",
        b"RCPT TO:<relay-test@example.net>",
        b"RSET",
        b"QUIT",
    ]


@pytest.mark.parametrize("code", [b"250", b"251", b"252", b"354"])
def test_all_but_a_refusal_is_a_relay(mail_server: MailServer, code: bytes) -> None:
    server = mail_server(RCPT=code + b" 2.1.5 Ok\r\n")
    (problem,) = probe(before(server))
    assert f"port {server.address[1]} relays" in problem
    assert "take 127.0.0.1 away" in problem
    assert "mynetworks" in problem
    assert "client_info" in problem
    assert "relay_check = no" in problem


def test_a_relay_for_its_own_senders_alone_is_one(mail_server: MailServer) -> None:
    (problem,) = probe(before(mail_server(RCPT=[b"250 Ok\r\n", DENIED])))
    assert "<relay-check@example.org>" in problem


def test_a_relay_for_bounces_alone_is_one(mail_server: MailServer) -> None:
    (problem,) = probe(before(mail_server(RCPT=[DENIED, b"250 Ok\r\n"])))
    assert "from <> for" in problem


LATER = b"450 4.7.1 greylisted\x1b, later\r\n"


@pytest.mark.parametrize(
    "said",
    [
        {"RCPT": LATER},
        {"RCPT": [LATER, DENIED]},
        {"RCPT": [DENIED, LATER]},
        {"MAIL": [LATER, OK], "RCPT": DENIED},
        {"MAIL": LATER},
    ],
)
def test_a_deferral_is_no_answer(mail_server: MailServer, said: dict[str, bytes]) -> None:
    findings = examine(before(mail_server(**said)))
    assert findings.problems == []
    (warning,) = findings.warnings
    assert "could not be found out" in warning
    assert "'450 4.7.1 greylisted?, later'" in warning
    assert "kamaelia-grey -c" in warning


def test_a_deferral_does_not_hide_that_another_sender_is_relayed(mail_server: MailServer) -> None:
    findings = examine(before(mail_server(RCPT=[LATER, OK])))
    assert "from <> for" in findings.problems[0]


def test_a_server_that_takes_no_sender_is_not_known_to_be_good(mail_server: MailServer) -> None:
    findings = examine(before(mail_server(MAIL=b"530 5.7.0 STARTTLS first\r\n")))
    assert findings.problems == []
    (warning,) = findings.warnings
    assert "not known" in warning


def test_a_foreign_domain_is_never_one_of_ours(mail_server: MailServer) -> None:
    server = mail_server(RCPT=DENIED)
    probe(before(server, allowed_domains=frozenset({"example.net", ".example.com"})))
    assert b"RCPT TO:<relay-test@example.org>" in server.visit().commands
    every = frozenset({"example.net", "example.com", "example.org"})
    other = mail_server(RCPT=DENIED)
    probe(before(other, allowed_domains=every))
    assert b"RCPT TO:<relay-test@relay-test.invalid>" in other.visit().commands


def test_without_domains_the_sender_is_one_of_our_name(mail_server: MailServer) -> None:
    server = mail_server(RCPT=DENIED)
    probe(before(server, allowed_domains=frozenset()))
    assert b"MAIL FROM:<relay-check@mx.example.org>" in server.visit().commands


def test_it_can_be_left_out(mail_server: MailServer) -> None:
    server = mail_server()
    findings = examine(before(server), relaying=False)
    assert findings.problems == []
    assert len(findings.notes) == 1
    assert server.wait_for_verb("QUIT").verbs() == ["EHLO", "QUIT"]


def test_each_server_is_asked_once(mail_server: MailServer) -> None:
    good, bad = mail_server(RCPT=DENIED), mail_server()
    rows = tuple(
        (*server.address, 1, domain)
        for server, domain in ((good, "*"), (bad, "example.org"), (good, "example.com"))
    )
    findings = examine(Settings(backends=rows))
    assert len(findings.notes) == 2
    (problem,) = findings.problems
    assert f"port {bad.address[1]} relays" in problem


def test_lmtp_begins_with_its_own_greeting(scripted: Callable[..., Scripted]) -> None:
    refusals = (b"550 no\r\n", b"250 ok\r\n") * 2
    server = scripted(b"220 hi\r\n", b"250 hi\r\n", *refusals)
    config = Settings(smtp_port=server.address[1], backend_protocol=ServerProtocol.LMTP)
    assert "took no sender" in examine(config).warnings[0]
    assert server.received.startswith(b"LHLO mx.example.org\r\n")


def test_a_server_that_knows_only_helo_is_asked_too(mail_server: MailServer) -> None:
    server = mail_server(EHLO=b"500 what?\r\n", RCPT=DENIED)
    findings = examine(before(server))
    assert findings.notes[0].endswith("offers nothing but mail")
    assert server.visit().verbs()[:3] == ["EHLO", "HELO", "MAIL"]


# ---- who the client is


def test_xclient_tells_of_a_stranger(scripted: Callable[..., Scripted]) -> None:
    server = scripted(
        *(b"220 hi\r\n", XCLIENT_EHLO, b"220 hi again\r\n", b"250 hi\r\n"),
        *(b"250 ok\r\n", DENIED, b"250 ok\r\n", b"250 ok\r\n", DENIED, b"250 ok\r\n"),
    )
    config = Settings(smtp_port=server.address[1], client_info=ClientInfo.XCLIENT)
    assert probe(config) == []
    server.close()
    assert server.received.split(b"\r\n")[1:3] == [
        b"XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.1",
        b"EHLO mx.example.org",
    ]


def test_xclient_that_is_not_offered_is_a_problem(mail_server: MailServer) -> None:
    server = mail_server(RCPT=DENIED)
    (problem,) = probe(before(server, client_info=ClientInfo.XCLIENT))
    assert "smtpd_authorized_xclient_hosts" in problem


@pytest.mark.parametrize("how", [ClientInfo.PROXY1, ClientInfo.PROXY2])
def test_the_proxy_protocol_tells_of_a_stranger(how: ClientInfo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        heard: list[bytes] = []

        def serve() -> None:
            sock, _ = door.accept()
            with sock, suppress(OSError):
                heard.append(sock.recv(1000))
                sock.sendall(b"554 5.7.1 relaying? no\r\n")
                sock.recv(1000)

        thread = threading.Thread(target=serve)
        thread.start()
        port = door.getsockname()[1]
        findings = examine(Settings(smtp_port=port, client_info=how))
        thread.join(10)
    assert "does it take the PROXY protocol" in findings.warnings[0]
    if how is ClientInfo.PROXY1:
        assert heard == [f"PROXY TCP4 192.0.2.1 127.0.0.1 50000 {port}\r\n".encode()]
    else:
        addresses = b"\xc0\x00\x02\x01\x7f\x00\x00\x01" + (50_000).to_bytes(2) + port.to_bytes(2)
        assert heard == [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + addresses]


# ---- TLS


def test_it_is_asked_in_tls(scripted: Callable[..., Scripted]) -> None:
    server = scripted(
        b"220 hi\r\n",
        b"250-hi\r\n250 STARTTLS\r\n",
        *(b"220 go\r\n", b"TLS", b"250-hi\r\n250 SIZE 5\r\n", b"221 bye\r\n"),
        context=tls.server_context(),
    )
    config = Settings(smtp_port=server.address[1], backend_tls_name=tls.NAME)
    findings = examine(config, tls.client_context(), relaying=False)
    assert findings.warnings == []
    assert findings.notes[0].endswith("offers SIZE 5")
    server.close()
    greeting = b"EHLO mx.example.org\r\n"
    assert server.received == greeting + b"STARTTLS\r\n" + greeting + b"QUIT\r\n"


def test_a_certificate_that_is_not_for_it_is_said(scripted: Callable[..., Scripted]) -> None:
    server = scripted(
        *(b"220 hi\r\n", b"250-hi\r\n250 STARTTLS\r\n"),
        *(b"220 go\r\n", b"TLS"),
        context=tls.server_context(),
    )
    config = Settings(smtp_port=server.address[1], backend_tls_name="other.example.org")
    (warning,) = examine(config, tls.client_context()).warnings
    assert "TLS failed" in warning


def test_more_than_220_before_tls_is_not_believed(scripted: Callable[..., Scripted]) -> None:
    server = scripted(
        b"220 hi\r\n", b"250-hi\r\n250 STARTTLS\r\n", b"220 go\r\n250 planted\r\n", b""
    )
    (warning,) = examine(Settings(smtp_port=server.address[1]), tls.client_context()).warnings
    assert "more than 220" in warning


# ---- servers that cannot be asked


def test_a_server_that_is_down_is_a_warning(mail_server: MailServer) -> None:
    server = mail_server()
    server.stop_listening()
    findings = examine(before(server))
    assert findings.problems == []
    (warning,) = findings.warnings
    assert "could not be asked: Connection refused" in warning


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"BANNER": b"554 5.7.1 go away\r\n"}, "'554 5.7.1 go away'"),
        ({"BANNER": Act.DROP}, "it closed the connection"),
        ({"BANNER": b"SSH-2.0-OpenSSH\r\n"}, "that is no mail server: it said 'SSH-2.0-OpenSSH'"),
        ({"BANNER": b"x" * 3000}, "its line has no end"),
        ({"BANNER": b"220-x\r\n" * 200}, "that is no mail server"),
        ({"BANNER": b"220 \x1b[31m\xff\r\n", "EHLO": b"421 \x1b[31m\r\n", "HELO": b"421 \x07\r\n"},
         "'421 ?' to HELO"),
    ],
)  # fmt: skip
def test_a_server_that_is_none_is_a_warning(
    mail_server: MailServer, said: dict[str, bytes], why: str
) -> None:
    findings = examine(before(mail_server(**said)))
    assert findings.problems == []
    (warning,) = findings.warnings
    assert why in warning
    assert "\x1b" not in warning


def test_silence_has_an_end(mail_server: MailServer) -> None:
    findings = examine(before(mail_server(BANNER=Act.STALL)), time_limit=0.05)
    assert "timed out" in findings.warnings[0]


def test_a_trickle_has_an_end(mail_server: MailServer) -> None:
    ticks = iter(range(0, 1_000, 4))
    findings = examine(
        before(mail_server(RCPT=DENIED)), time_limit=10.0, clock=lambda: float(next(ticks))
    )
    assert "it took too long" in findings.warnings[0]


def test_many_silent_servers_do_not_add_up(mail_server: MailServer) -> None:
    ticks = iter(range(1_000))
    server = mail_server(RCPT=DENIED)
    rows = tuple((f"127.0.0.{last}", server.address[1], 1, "*") for last in range(2, 12))
    # Each look at the clock is a second: nobody answers at these addresses, but it takes long.
    findings = examine(Settings(backends=rows), time_limit=2.0, clock=lambda: float(next(ticks)))
    assert len(findings.warnings) == 10
    assert sum("it took too long" in line for line in findings.warnings) >= 7


def test_words_of_strangers_are_made_harmless() -> None:
    assert shown("a\x1b[1mb\n\u202e" + "x" * 500) == "a?[1mb??" + "x" * 152


@pytest.mark.parametrize("mode", [ServerTLS.REQUIRE, ServerTLS.VERIFY])
def test_required_encryption_that_is_not_offered_is_a_problem(mode: ServerTLS) -> None:
    server = FakeServer()
    try:
        (problem,) = probe(before(server, backend_tls=mode))
    finally:
        server.close()
    assert "does not offer STARTTLS: let it, or set backend_tls = may" in problem
