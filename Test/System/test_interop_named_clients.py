"""Who the client is, handed on: real servers behind the running program hear it from it, and it
hears it from a real haproxy before it."""

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from Test.Peers.arrivals import body_of, only_copy, received
from Test.Peers.dovecot import Dovecot
from Test.Peers.haproxy import Haproxy
from Test.Peers.opensmtpd import OpenSmtpd
from Test.Peers.papers import Papers
from Test.System.clients import Address, Client, Mail, deliver, deliver_until_taken
from Test.System.postfix_server import PostfixServer, door
from Test.System.processes import PATIENCE_SECONDS, Grey, free_port

FindProgram = Callable[[str], Path]
STRANGERS = ("127.0.0.77", "127.0.0.78")
OF_OURS = "127.0.0.79"  # may send to anywhere as far as the proxy is asked
US = "127.0.0.1"
HANDSHAKE_RECORD = b"\x16"  # RFC 8446, section 5.1


class Doors(PostfixServer):
    """A Postfix that trusts 127.0.0.1, with ports that hear from it who the client is."""

    def __init__(self, program: Path) -> None:
        xclient, proxy = free_port(), free_port()
        self.ports = {"xclient": xclient, "proxy1": proxy, "proxy2": proxy}
        main = f"mynetworks = {US}\nsmtpd_recipient_restrictions =\n"
        doors = door(xclient, smtpd_authorized_xclient_hosts=US)
        super().__init__(
            program, main, doors + door(proxy, smtpd_upstream_proxy_protocol="haproxy")
        )


@pytest.fixture(scope="module")
def doors(postfix: PostfixServer, find_program: FindProgram) -> Iterator[Doors]:
    del postfix  # only root can start one
    with Doors(find_program("postfix")) as server:
        yield server


def send_two(address: Address, name: str) -> dict[str, Mail]:
    """Send a mail for each of the strangers till it is taken; they are deferred first."""
    mails = {
        source: Mail(f"{name}-{source}", size=100_000, sender=f"{name}-{source}@example.net")
        for source in STRANGERS
    }
    for source, mail in mails.items():
        assert deliver(address, mail, source).code == 451
    for source, mail in mails.items():
        deliver_until_taken(address, mail, source)
    return mails


@pytest.mark.needs("postfix")
@pytest.mark.parametrize("how", ["xclient", "proxy1", "proxy2"])
def test_postfix_sees_the_clients_and_does_not_relay_for_them_though_it_trusts_us(
    how: str, doors: Doors, tmp_path: Path
) -> None:
    settings = {"client_info": how, "relay_check": "yes", "allowed_sender_nets": OF_OURS}
    with Grey(tmp_path, doors.ports[how], **settings) as grey:
        for source, mail in send_two(grey.address, how).items():
            message = only_copy(doors, mail)
            # The PROXY protocol has no place for the name in HELO.
            name = "client.example.net" if how == "xclient" else "mx.example.org"
            assert f"from {name} (unknown [{source}]) " in received(message)
            assert body_of(message) == body_of(mail.content())
            assert f"client=unknown[{source}]" in doors.said()
        with Client(grey.address, OF_OURS) as client:
            (answer,) = client.begin("a@example.net", ["b@example.com"])
            assert answer.text == "4.7.1 <b@example.com>: Relay access denied"


@pytest.mark.needs("postfix")
@pytest.mark.parametrize(
    "how",
    [
        "xclient",
        "proxy1",
        "proxy2",
    ],
)
def test_postfix_says_what_it_offers_to_us_when_we_have_no_client(
    how: str, doors: Doors, tmp_path: Path
) -> None:
    with Grey(tmp_path, doors.ports[how], client_info=how) as grey:
        offer = r"mail server .* offers PIPELINING, SIZE 52428800, .*DSN"
        assert re.search(offer, grey.said()), grey.said()
        assert "WARNING" not in grey.said()


@pytest.mark.needs("postfix")
@pytest.mark.parametrize(
    "how",
    [
        "proxy1",
        "proxy2",
    ],
)
def test_mail_waits_and_the_log_says_why_if_postfix_takes_no_header(
    how: str, doors: Doors, tmp_path: Path
) -> None:
    settings = {"client_info": how, "allowed_sender_nets": OF_OURS}
    with Grey(tmp_path, doors.port, **settings) as grey:
        assert deliver(grey.address, Mail("no-header"), OF_OURS).code == 451
        # The probe may hear of it after the client has.
        grey.wait_for(rf"mail server 127\.0\.0\.1 port {doors.port} cannot be used now: ")
        assert "Traceback" not in grey.said()


@pytest.mark.needs(Dovecot.needs)
@pytest.mark.parametrize("how", ["xclient", "proxy1", "proxy2"])
def test_dovecot_sees_the_clients(how: str, tmp_path: Path) -> None:
    listener = "" if how == "xclient" else "haproxy = yes"
    allows = "login" if how == "xclient" else "haproxy"
    settings = {"client_info": how, "backend_protocol": "lmtp", "relay_check": "yes"}
    with ExitStack() as running:
        dovecot = Dovecot(tmp_path, listener, f"{allows}_trusted_networks = {US}")
        running.enter_context(dovecot)
        grey = running.enter_context(Grey(tmp_path, dovecot.port, **settings))
        for source, mail in send_two(grey.address, how).items():
            message = only_copy(dovecot, mail)
            assert f"([{source}]) by mail.example.org with LMTP" in received(message)
            assert body_of(message) == body_of(mail.content())
        assert "WARNING" not in grey.said()


@pytest.mark.needs("opensmtpd")
def test_opensmtpd_sees_the_clients(tmp_path: Path) -> None:
    settings = {"client_info": "proxy2", "relay_check": "yes"}
    with ExitStack() as running:
        server = running.enter_context(OpenSmtpd(tmp_path, listen="proxy-v2"))
        grey = running.enter_context(Grey(tmp_path, server.port, **settings))
        for source, mail in send_two(grey.address, "proxy2").items():
            message = only_copy(server, mail)
            assert f"[{source}]) by mail.example.org (OpenSMTPD)" in received(message)
            assert body_of(message) == body_of(mail.content())
        assert "WARNING" not in grey.said()


@pytest.mark.needs("postfix", "haproxy")
@pytest.mark.parametrize("how", ["send-proxy", "send-proxy-v2"])
def test_behind_haproxy_each_client_is_itself_up_to_postfix(
    how: str, doors: Doors, find_program: FindProgram, tmp_path: Path
) -> None:
    settings = {"proxy_protocol_from": US, "client_info": "proxy2"}
    with ExitStack() as running:
        grey = running.enter_context(Grey(tmp_path, doors.ports["proxy2"], **settings))
        balancer = Haproxy(find_program("haproxy"), tmp_path, grey.address[1], how)
        running.enter_context(balancer)
        balancer.wait_for(r"Health check for server proxies/grey succeeded.* status: 3/3 UP")
        for source, mail in send_two(balancer.address, how).items():
            message = only_copy(doors, mail)
            assert f"(unknown [{source}]) by mail.example.org" in received(message)
            assert body_of(message) == body_of(mail.content())
            grey.wait_for_log("event=decision", f"client={source} ", "reason=new")
            grey.wait_for_log("event=message", f"client={source} ", "outcome=delivered")
        assert not grey.logged(f"client={US} ")
        assert "WARNING" not in grey.said()
        assert "is DOWN" not in balancer.said()


@pytest.mark.needs("haproxy")
def test_haproxy_that_does_not_say_who_its_client_is_gets_no_greeting(
    find_program: FindProgram, tmp_path: Path
) -> None:
    with ExitStack() as running:
        grey = running.enter_context(Grey(tmp_path, free_port(), proxy_protocol_from=US))
        balancer = Haproxy(find_program("haproxy"), tmp_path, grey.address[1], "")
        running.enter_context(balancer)
        client = running.enter_context(closing(Client(balancer.address)))
        client.say("EHLO client.example.net")
        assert client.sock.recv(1_000) == b""
        grey.wait_for(rf"connection from front {re.escape(US)} closed: PROXY header")


def test_the_header_may_come_in_one_piece_with_the_beginning_of_tls(tmp_path: Path) -> None:
    """As haproxy sends it for most clients that begin with TLS."""
    papers, port = Papers(tmp_path), free_port()
    papers.issue("mx", "mx.example.org")
    settings: dict[str, Any] = {
        "tls_certificate": papers.path("mx"),
        "tls_port": port,
        "proxy_protocol_from": US,
    }
    header = f"PROXY TCP4 {STRANGERS[0]} {US} 40000 465\r\n".encode("ascii")
    with ExitStack() as running:
        running.enter_context(Grey(tmp_path, free_port(), **settings))
        sock = running.enter_context(socket.create_connection((US, port), PATIENCE_SECONDS))
        sock.sendall(header + client_hello())
        assert sock.recv(1) == HANDSHAKE_RECORD


def client_hello() -> bytes:
    """What a client of TLS says first."""
    hears, says = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(hears, says, server_hostname="mx.example.org")
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return says.read()
