"""
A real OpenSMTPD, as the server behind the proxy or as a client with a queue
============================================================================
It takes mail for the users of its domain and delivers it into maildirs; with `relay_to` it hands
all other mail to that port of loopback. Its schedule of retries cannot be set (the first is after
some minutes), so a test calls flush().
"""

import os
from pathlib import Path

from Test.Peers.peer import USERS, Peer
from Test.Peers.world import World

PROGRAM = "/usr/sbin/smtpd"
CONTROL = "/usr/sbin/smtpctl"
CONFIGURATION = "/etc/smtpd.conf"
TEXT = """
smtp max-message-size 20M
listen on 127.0.0.1 port {port} hostname mail.{domain}{listen}
table users {{ {users} }}
action "local" maildir "/mail/%{{rcpt.user}}" virtual <users>
match from any for domain "{domain}" rcpt-to {{ {addresses} }} action "local"
"""
RELAY = """
action "onward" relay host {scheme}://127.0.0.1:{relay_to}{tls} helo mail.{domain}
match from any for any action "onward"
"""


class OpenSmtpd(Peer):
    """OpenSmtpd(folder, domain="example.org", relay_to=0, tls=False, listen="") -> the server.

    tls: hand mail on with STARTTLS, or not at all; listen: more words for that line."""

    def __init__(
        self,
        folder: Path,
        domain: str = "example.org",
        relay_to: int = 0,
        *,
        tls: bool = False,
        listen: str = "",
    ) -> None:
        super().__init__("opensmtpd", folder, domain)
        self._relay_to = relay_to
        self._tls = tls
        self._listen = listen

    def furnish(self) -> World:
        agent = "/usr/libexec/opensmtpd/mail.maildir"
        world = World(
            "opensmtpd", [PROGRAM, CONTROL, agent], ["opensmtpd", "opensmtpq", "mailboxes"]
        )
        world.folder("/var/lib/opensmtpd/empty")
        world.folder("/var/spool/smtpd", mode=0o711)
        world.folder("/run")
        world.path("/var/run").symlink_to("/run")
        world.folder("/mail", "mailboxes")
        control = world.path(CONTROL)  # it insists on belonging to the group of the queue
        os.chown(control, 0, world.users["opensmtpq"])
        control.chmod(0o2755)
        return world

    def start(self) -> None:
        text = TEXT + RELAY if self._relay_to else TEXT
        text = text.format(
            port=self.port,
            domain=self.domain,
            users=", ".join(f'"{user}" = "mailboxes"' for user in USERS),
            addresses=", ".join(f'"{user}@{self.domain}"' for user in USERS),
            relay_to=self._relay_to,
            scheme="smtp+tls" if self._tls else "smtp",
            tls=" tls no-verify" if self._tls else "",
            listen=f" {self._listen}" if self._listen else "",
        )
        self.world.write(CONFIGURATION, text)
        self.spawn(self.world.command(PROGRAM, "-d", "-f", CONFIGURATION))
        self.wait_till_it_listens()

    def queued(self) -> int:
        return len(self.world.run(CONTROL, "show", "queue").splitlines())

    def flush(self) -> None:
        self.world.run(CONTROL, "schedule", "all")
