"""
A real Dovecot that takes mail by LMTP
======================================
It delivers mail for the users of example.org into maildirs. It runs from the installed package with
a configuration and folders of its own, as root, since each of its processes has a user of its own.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from Test.Peers.peer import USERS
from Test.System.processes import Program, free_port, nobody, takes_connections, wait_until

PROGRAM = "/usr/sbin/dovecot"
TEXT = """
protocols = lmtp
base_dir = {folder}/run
state_dir = {folder}/state
log_path = /dev/stderr
ssl = no
hostname = mail.example.org
postmaster_address = postmaster@example.org
mail_location = maildir:{folder}/mail/%n
mail_home = {folder}/mail/%n
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
first_valid_gid = 0
passdb {{  # without one there are no users, even if nobody logs in
  driver = passwd-file
  args = username_format=%u {folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
{listener}
  }}
}}
{more}
"""
_ASKED = """
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
service anvil {{  # all come from one address, and would wait for each other's failures
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  inet_listener postfix {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""


class Dovecot(Program):
    """Dovecot(folder, listener="", more="", password="") -> the server.

    listener: settings of the port for LMTP; more: of the whole; password: every user's."""

    needs = "/usr/lib/dovecot/lmtp"  # of the package dovecot-lmtpd, which needs that of PROGRAM

    def __init__(
        self, folder: Path, listener: str = "", more: str = "", password: str = ""
    ) -> None:
        super().__init__("dovecot", folder)
        self.port = free_port()
        self._more = {"listener": listener, "more": more}
        self._password = f"{{PLAIN}}{password}" if password else ""
        # pytest's own folder is for root alone, and Dovecot is several users.
        self._home = Path(tempfile.mkdtemp(prefix="grey-dovecot-"))

    def start(self) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root can start Dovecot")
        self._home.chmod(0o755)
        uid, gid = nobody()
        (self._home / "mail").mkdir()
        os.chown(self._home / "mail", uid, gid)
        users = "".join(f"{user}@example.org:{self._password}::::::\n" for user in USERS)
        (self._home / "users").write_text(users, encoding="ascii")
        configuration = self._home / "dovecot.conf"
        text = TEXT.format(folder=self._home, uid=uid, gid=gid, port=self.port, **self._more)
        configuration.write_text(text, encoding="utf-8")
        self.spawn([PROGRAM, "-F", "-c", configuration])
        wait_until("Dovecot", lambda: takes_connections(self.port))

    def __exit__(self, *_: object) -> None:
        try:
            super().__exit__()
        finally:
            shutil.rmtree(self._home)

    def mailbox(self, user: str) -> list[bytes]:
        """The messages that were delivered to the user, with the server's own header lines."""
        new = self._home / "mail" / user / "new"
        return [path.read_bytes() for path in sorted(new.iterdir())] if new.exists() else []


def asked_by_postfix(port: int, mechanisms: str) -> str:
    """As `more`: a Postfix asks at that port whether somebody may log in, in these ways."""
    return _ASKED.format(port=port, mechanisms=mechanisms)
