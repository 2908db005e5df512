"""A real Postfix behind the running program, which asks a real Dovecot who may log in: clients log
in through the proxy, and no password is written down anywhere by it."""

import base64
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from Test.Peers.arrivals import only_copy
from Test.Peers.dovecot import Dovecot, asked_by_postfix
from Test.Peers.papers import Papers
from Test.System.clients import Client, Mail
from Test.System.postfix_server import PostfixServer, door
from Test.System.processes import PATIENCE_SECONDS, Grey, free_port, takes_connections, wait_until

USER, PASSWORD = "anna@example.org", "correct+horse-battery"
WRONG = "wrong+horse-battery"
STRANGER = "127.0.0.77"
AUTH_ERROR = 28  # swaks(1): "error with AUTH"
LOGIN = """
mynetworks =
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{port}
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_tls_chain_files = {chain}
smtpd_recipient_restrictions =
default_transport = discard:
"""
MASTER = "discard unix - - n - - discard\ntlsmgr unix - - n 1000? 1 tlsmgr\n"
pytestmark = pytest.mark.needs("postfix", "swaks", Dovecot.needs)


@dataclass(frozen=True, slots=True)
class Behind:
    """A Postfix that users may log in to, and kamaelia-grey before it."""

    postfix: PostfixServer
    grey: Grey
    settings: dict[str, Any]  # of grey
    hearing: int  # a port of Postfix that hears who the client is
    swaks: Path

    def send(self, mail: Mail, *options: str) -> subprocess.CompletedProcess[str]:
        """Have swaks send it, from a stranger's address."""
        command = [
            *(str(self.swaks), "--server", "127.0.0.1", "--port", str(self.grey.address[1])),
            *("--local-interface", STRANGER, "--helo", "client.example.net"),
            *("--from", mail.sender, "--to", mail.recipient, "--header", f"X-Id: {mail.name}"),
            *options,
        ]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )

    def log_in_and_send(
        self, mail: Mail, how: str, password: str = PASSWORD
    ) -> subprocess.CompletedProcess[str]:
        words = ("--auth", how, "--auth-user", USER, "--auth-password", password)
        return self.send(mail, "--tls", *words)

    def all_that_was_written(self) -> str:
        files = [self.grey.folder / name for name in ("mail.log", "debug.log", "grey.out")]
        return "".join(path.read_text("utf-8") for path in files)


@pytest.fixture(scope="module")
def behind(
    postfix: PostfixServer,
    find_program: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Behind]:
    del postfix  # only root can start one
    folder, asks = tmp_path_factory.mktemp("grey"), free_port()
    papers = Papers(folder)
    papers.issue("mx", "mx.example.org")
    papers.issue("mail", "mail.example.org")
    with ExitStack() as running:
        users = Dovecot(
            folder, more=asked_by_postfix(asks, "plain login cram-md5"), password=PASSWORD
        )
        running.enter_context(users)
        wait_until("Dovecot to answer", lambda: takes_connections(asks))
        main = LOGIN.format(port=asks, chain=papers.path("mail"))
        hearing = free_port()
        master = MASTER + door(hearing, smtpd_authorized_xclient_hosts="127.0.0.1")
        server = running.enter_context(PostfixServer(find_program("postfix"), main, master))
        settings: dict[str, Any] = {
            "tls_certificate": papers.path("mx"),
            "backend_tls": "verify",
            "backend_tls_name": "mail.example.org",
            "backend_tls_ca": papers.ca,
            "relay_check": "yes",
        }
        grey = Grey(folder, server.port, greylist_debuglog=folder / "debug.log", **settings)
        running.enter_context(grey)
        yield Behind(server, grey, settings, hearing, find_program("swaks"))


def encoded(text: str) -> str:
    return base64.b64encode(text.encode("ascii")).decode("ascii")


@pytest.mark.parametrize("how", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_who_has_logged_in_may_relay_and_is_not_greylisted(how: str, behind: Behind) -> None:
    sender = f"{how.lower()}@example.org"
    away = Mail(f"away-{how}", sender=sender, recipient=f"{how}@example.com")
    here = Mail(f"here-{how}", sender=sender, recipient="bert@example.org")
    for mail in (away, here):
        done = behind.log_in_and_send(mail, how)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "235 2.7.0 Authentication successful" in done.stdout
        # A wait is for strangers, and so is "relaying denied".
        behind.grey.wait_for_log("event=decision", f"to={mail.recipient}", sender)
        (decision,) = behind.grey.logged("event=decision", f"to={mail.recipient}", sender)
        assert "verdict=pass reason=authenticated" in decision
    login = f"sasl_method={how}, sasl_username={USER}"
    wait_until("its log", lambda: behind.postfix.said().count(login) == 2)
    only_copy(behind.postfix, here)
    sent = rf"to=<{away.recipient}>, relay=none, "
    wait_until("it to go out", lambda: sent in behind.postfix.said())


def test_postfix_hears_who_the_client_is_that_logs_in(behind: Behind, tmp_path: Path) -> None:
    settings = behind.settings | {"client_info": "xclient"}
    mail = Mail("named", sender="named@example.org", recipient="named@example.com")
    with Grey(tmp_path, behind.hearing, **settings) as grey:
        done = replace(behind, grey=grey).log_in_and_send(mail, "PLAIN")
        assert done.returncode == 0, done.stdout + done.stderr
    login = f"client=unknown[{STRANGER}], sasl_method=PLAIN, sasl_username={USER}"
    wait_until("its log", lambda: login in behind.postfix.said())


def test_a_stranger_of_the_same_address_is_greylisted_and_may_not_relay(behind: Behind) -> None:
    done = behind.send(Mail("strange", recipient="bert@example.org"), "--tls")
    assert "451 4.7.1 Greylisting in action" in done.stdout
    done = behind.send(Mail("strange", recipient="b@example.com"), "--tls")
    assert "550 5.7.1 relaying denied" in done.stdout


@pytest.mark.parametrize("how", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_a_wrong_password_is_refused_in_the_servers_words(how: str, behind: Behind) -> None:
    done = behind.log_in_and_send(Mail("wrong", recipient="b@example.com"), how, WRONG)
    assert done.returncode == AUTH_ERROR
    assert "535 5.7.8 Error: authentication failed: " in done.stdout
    assert not behind.grey.logged("event=decision", "to=b@example.com", "verdict=pass")


def test_auth_is_neither_offered_nor_taken_in_clear(behind: Behind) -> None:
    mail = Mail("clear", recipient="b@example.com")
    words = ("--auth", "PLAIN", "--auth-user", USER, "--auth-password", PASSWORD)
    done = behind.send(mail, *words)
    assert done.returncode == AUTH_ERROR
    assert "did not advertise authentication" in done.stderr
    with Client(behind.grey.address, STRANGER) as client:
        assert "AUTH" not in client.ask("EHLO client.example.net").text
        answer = client.ask(f"AUTH PLAIN {encoded(f'{chr(0)}{USER}{chr(0)}{PASSWORD}')}")
        assert (answer.code, answer.text[:6]) == (538, "5.7.11")


def test_what_was_said_to_log_in_is_written_nowhere(behind: Behind) -> None:
    for how in ("PLAIN", "LOGIN", "CRAM-MD5"):
        behind.log_in_and_send(Mail(f"secret-{how}", recipient="bert@example.org"), how)
        behind.log_in_and_send(Mail(f"secret-{how}", recipient="bert@example.org"), how, WRONG)
    behind.grey.wait_for_log("event=decision", "to=bert@example.org", times=3)
    written = behind.all_that_was_written()
    assert "235 2.7.0" not in written
    for password in (PASSWORD, WRONG):
        assert password not in written
        assert encoded(password) not in written
        assert encoded(f"\0{USER}\0{password}") not in written
    # The answer to a challenge is "user digest"; every third letter ends a group of base64.
    assert encoded(USER + " ")[: len(USER) // 3 * 4] not in written
