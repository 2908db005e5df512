"""A real Postfix behind the running program: TLS between the two, or what is wrong with it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from Test.Peers.arrivals import only_copy, received
from Test.Peers.papers import Papers
from Test.System.clients import Answer, Mail, deliver
from Test.System.postfix_server import PostfixServer, door
from Test.System.processes import FRIEND, Grey, free_port

NAME = "mail.example.org"
TLSMGR = "tlsmgr unix - - n 1000? 1 tlsmgr\n"
pytestmark = pytest.mark.needs("postfix")


@dataclass(frozen=True, slots=True)
class Servers:
    """A Postfix that encrypts on one port and not on another; `others` has signed nothing of it."""

    postfix: PostfixServer
    encrypting: int
    papers: Papers
    others: Papers

    @property
    def plain(self) -> int:
        return self.postfix.port


@pytest.fixture(scope="module")
def servers(
    postfix: PostfixServer,  # only root can start one
    tmp_path_factory: pytest.TempPathFactory,
    find_program: Callable[[str], Path],
) -> Iterator[Servers]:
    del postfix
    papers, others = (Papers(tmp_path_factory.mktemp(name)) for name in ("papers", "others"))
    papers.issue("mail", NAME)
    port = free_port()
    encrypting = door(
        port,
        smtpd_tls_security_level="may",
        smtpd_tls_chain_files=papers.path("mail"),
        smtpd_tls_received_header="yes",
    )
    with PostfixServer(find_program("postfix"), master=encrypting + TLSMGR) as made:
        yield Servers(made, port, papers, others)


def send(grey: Grey, mail: Mail) -> tuple[Answer, str]:
    """What a friend hears, and what the proxy has written about it."""
    with grey:
        return deliver(grey.address, mail, FRIEND), grey.said()


@pytest.mark.parametrize("mode", ["off", "may", "require", "verify"])
def test_mail_is_encrypted_on_its_way_as_it_is_set(
    mode: str, servers: Servers, tmp_path: Path
) -> None:
    mail = Mail(f"tls-{mode}", size=300_000)
    settings: dict[str, Any] = {"backend_tls": mode}
    if mode == "verify":
        settings |= {"backend_tls_name": NAME, "backend_tls_ca": servers.papers.ca}
    answer, said = send(Grey(tmp_path, servers.encrypting, relay_check="yes", **settings), mail)
    assert answer.code == 250, said
    assert ("(using TLSv1.3 " in received(only_copy(servers.postfix, mail))) == (mode != "off")
    assert "WARNING" not in said


def test_mail_goes_in_clear_if_it_may_and_the_server_does_not_encrypt(
    servers: Servers, tmp_path: Path
) -> None:
    mail = Mail("tls-not-there")
    answer, said = send(Grey(tmp_path, servers.plain, backend_tls="may"), mail)
    assert answer.code == 250, said
    assert "using TLS" not in received(only_copy(servers.postfix, mail))


def test_mail_waits_if_the_server_must_encrypt_and_does_not(
    servers: Servers, tmp_path: Path
) -> None:
    answer, said = send(Grey(tmp_path, servers.plain, backend_tls="require"), Mail("no-tls"))
    assert (answer.code, answer.text[:5]) == (451, "4.3.2")
    server = f"mail server 127.0.0.1 port {servers.plain}"
    assert re.search(f"WARNING .*{server} cannot be used now: .*tls", said, re.IGNORECASE), said


@pytest.mark.parametrize(
    ("name", "signed", "why"),
    [
        ("other.example.org", True, "certificate is not valid for 'other.example.org'"),
        (NAME, False, "unable to get local issuer certificate"),
    ],
)
def test_mail_waits_and_the_log_says_why_if_the_certificate_is_not_good(
    name: str, signed: bool, why: str, servers: Servers, tmp_path: Path
) -> None:
    grey = Grey(
        tmp_path,
        servers.encrypting,
        relay_check="yes",
        backend_tls="verify",
        backend_tls_name=name,
        backend_tls_ca=(servers.papers if signed else servers.others).ca,
    )
    answer, said = send(grey, Mail("wrong-certificate"))
    assert (answer.code, answer.text[:5]) == (451, "4.3.2")
    server = f"127.0.0.1 port {servers.encrypting}"
    assert f"mail server {server} could not be asked: TLS failed: " in said  # by relay_check
    assert re.search(rf"WARNING .*{server}: .*{re.escape(why)}", said), said
    assert f"mail server {server} cannot be used now: " in said
