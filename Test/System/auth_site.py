"""
Mail servers whose clients encrypt, show certificates and log in
================================================================
The sites of mta_site.py with STARTTLS and SASL: Postfix asks a Dovecot who may log in, sendmail
looks into a sasldb2. Of a client a certificate is asked for, but it need not have one. There are
two, for the same name: one by an authority that the mail server knows, one by another::

    with secure_site(Face.SENDMAIL_MILTER, find_program, folder) as site:
        with ReadAgain(folder, site.door) as grey:
            assert site.tries(How.UNVERIFIED, "a@example.net").code == 451
            assert site.tries(How.VERIFIED, "b@example.net").code == 250
            grey.read("noauth = yes\\n")
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path

import trustme

from Test.Peers.dovecot import Dovecot, asked_by_postfix
from Test.Peers.sendmail import Sendmail
from Test.Peers.world import PEERS, World
from Test.System.clients import Answer
from Test.System.mta_site import (
    LETTER,
    STRANGER,
    Door,
    Face,
    Filter,
    FindProgram,
    MailServer,
    MailSite,
    mail_server,
)
from Test.System.policy_site import Mailboxes, Visitor
from Test.System.processes import free_port, takes_connections, wait_until

HOST = "mail.example.org"  # as both mail servers call themselves
CLIENT = "client.example.net"  # in the certificates of clients
USER, PASSWORD = "anna@example.org", "correct+horse-battery"
NEEDS = {
    Face.SENDMAIL_MILTER: ("sendmail-bin", "sasl2-bin", "libsasl2-modules"),
    Face.POSTFIX_MILTER: ("postfix", Dovecot.needs),
    Face.POSTFIX_POLICY: ("postfix", Dovecot.needs),
}
POSTFIX = """
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_tls_chain_files = {chain}
smtpd_tls_CAfile = {ca}
smtpd_tls_ask_ccert = yes
smtpd_tls_fingerprint_digest = sha256
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{port}
"""
SENDMAIL = """
define(`confCACERT_PATH', `/etc/mail/tls')dnl
define(`confCACERT', `/etc/mail/tls/ca.pem')dnl
define(`confSERVER_CERT', `/etc/mail/tls/server.pem')dnl
define(`confSERVER_KEY', `/etc/mail/tls/server.pem')dnl
define(`confAUTH_MECHANISMS', `PLAIN')dnl
define(`confAUTH_OPTIONS', `p')dnl
"""
SASLDB = "/etc/sasldb2"
SASL = f"""pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {SASLDB}
mech_list: plain
"""
SASLPASSWD = "/usr/sbin/saslpasswd2"


class Papers:
    """Papers(folder) -> the certificates of a site, in files there."""

    def __init__(self, folder: Path) -> None:
        ours, others = trustme.CA(), trustme.CA()
        self.ca, self.server = folder / "ca.pem", folder / "server.pem"
        ours.cert_pem.write_to_path(str(self.ca))
        ours.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(str(self.server))
        self.server.chmod(0o600)
        self.trusted = folder / "trusted.pem"
        self.untrusted = folder / "untrusted.pem"
        for authority, path in ((ours, self.trusted), (others, self.untrusted)):
            made = authority.issue_cert(CLIENT, common_name=CLIENT)
            made.private_key_and_cert_chain_pem.write_to_path(str(path))

    def fingerprint(self, path: Path) -> str:
        """The SHA-256 of a client's certificate, as Postfix writes it."""
        pem = path.read_text(encoding="ascii")
        first = pem[pem.index("-----BEGIN CERT") :].partition("-----END CERTIFICATE-----")
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(first[0] + first[1])).hexdigest().upper()
        return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


class How(Enum):
    """What a client does before its mail."""

    PLAIN = "nothing"
    ENCRYPTED = "encrypts"
    UNVERIFIED = "shows a certificate that anybody can make"
    VERIFIED = "shows a certificate that the mail server can verify"
    REFUSED = "does not know the password"
    LOGGED_IN = "logs in"


class SecureVisitor(Visitor):
    """A client that encrypts, if the server offers it, and logs in."""

    def prepare(self, how: How, papers: Papers) -> None:
        """All that comes before MAIL."""
        assert self.banner.code == 220, self.banner
        offered = self.ask("EHLO client.x.test").text.splitlines()
        assert "STARTTLS" in offered
        if how is How.PLAIN:
            return
        context = ssl.create_default_context(cafile=str(papers.ca))
        if how in (How.VERIFIED, How.UNVERIFIED):
            context.load_cert_chain(papers.trusted if how is How.VERIFIED else papers.untrusted)
        assert self.ask("STARTTLS").code == 220
        self._stream.close()
        self.sock = context.wrap_socket(self.sock, server_hostname=HOST)
        self._stream = self.sock.makefile("rb")
        offered = self.ask("EHLO client.x.test").text.splitlines()
        if how in (How.LOGGED_IN, How.REFUSED):
            assert "AUTH PLAIN" in offered, offered
            password = PASSWORD if how is How.LOGGED_IN else "wrong"
            words = base64.b64encode(f"\0{USER}\0{password}".encode()).decode()
            told = self.ask(f"AUTH PLAIN {words}")
            assert told.code == (235 if how is How.LOGGED_IN else 535), told


class SecureSendmail(Sendmail):
    """SecureSendmail(papers, ...) -> a Sendmail whose clients may encrypt and log in."""

    def __init__(self, papers: Papers, folder: Path, relay_to: int, filter_at: str) -> None:
        super().__init__(folder, relay_to, "example.org", filter_at=filter_at, traffic=False)
        self._more += SENDMAIL
        self._papers = papers

    def furnish(self) -> World:
        world = super().furnish()
        shutil.copy2(PEERS / "sasl2-bin" / SASLPASSWD.lstrip("/"), world.path(SASLPASSWD))
        # Its libraries sendmail has, too. That of the database comes with libsasl2 itself.
        for root in (Path("/"), PEERS / "sasl2-bin", PEERS / "libsasl2-modules"):
            for found in root.glob("usr/lib/*/sasl2/lib*.so*"):
                path = world.path(str(found.relative_to(root)))
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, path)
        world.folder("/etc/mail/tls")
        for path in (self._papers.ca, self._papers.server):
            shutil.copy2(path, world.path("/etc/mail/tls"))
        world.write("/etc/sasl2/Sendmail.conf", SASL)
        name, _, realm = USER.partition("@")
        world.run("/bin/sh", "-c", f"echo '{PASSWORD}' | {SASLPASSWD} -p -c -u {realm} {name}")
        return world


class SecureSite(MailSite):
    """SecureSite(papers, door, server, boxes) -> all of it but kamaelia-grey."""

    def __init__(self, papers: Papers, door: Door, server: MailServer, boxes: Mailboxes) -> None:
        super().__init__(door, server, boxes)
        self.papers = papers

    def tries(
        self, how: How, sender: str, recipient: str = USER, content: bytes = LETTER
    ) -> Answer:
        """What a client is told about its recipient, or its message if that gets so far."""
        with SecureVisitor(("127.0.0.1", self.server.port), STRANGER) as client:
            client.prepare(how, self.papers)
            assert (answer := client.ask(f"MAIL FROM:<{sender}>")).code == 250, answer
            answer = client.to(recipient)
            if answer.code == 250:
                answer = client.send(content)
            client.ask("QUIT")
            return answer


class ReadAgain(Filter):
    """ReadAgain(folder, *doors) -> kamaelia-grey whose file is changed while it runs."""

    _reads = 0

    def read(self, text: str) -> None:
        """Have it go on with this file."""
        self.write(text)
        self._reads += 1
        os.kill(self.pid, signal.SIGHUP)
        self.wait_for("new sessions have the new configuration", self._reads)


@contextmanager
def secure_site(face: Face, find_program: FindProgram, folder: Path) -> Iterator[SecureSite]:
    """The whole site of that face, on ports of its own."""
    papers, door = Papers(folder), Door(face)
    with ExitStack() as stack:
        boxes = stack.enter_context(Mailboxes())
        server: MailServer
        if face is Face.SENDMAIL_MILTER:
            server = SecureSendmail(papers, folder, boxes.port, door.for_sendmail)
            stack.enter_context(server)
        else:
            asks = free_port()
            users = Dovecot(folder, more=asked_by_postfix(asks, "plain"), password=PASSWORD)
            stack.enter_context(users)
            wait_until("Dovecot to answer", lambda: takes_connections(asks))
            main = POSTFIX.format(chain=papers.server, ca=papers.ca, port=asks)
            made = mail_server(door, find_program, boxes.port, folder, main)
            server = stack.enter_context(made)
        yield SecureSite(papers, door, server, boxes)
