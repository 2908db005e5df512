"""
A real Postfix in a throw-away folder
=====================================
It listens on a free port of loopback, takes mail for the users of example.org and delivers it into
maildirs. Nothing of a Postfix that the machine may run is touched: configuration, queue and data
are its own. Starting one needs root, since Postfix changes users for each of its programs.
"""

import os
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from Test.System.processes import (
    PATIENCE_SECONDS,
    free_port,
    is_running,
    nobody,
    takes_connections,
    wait_until,
)

# What is in the mailboxes of the first five, some tests count.
USERS = ("anna", "bert", "carl", "dora", "emil", "fred", "gina", "hans")

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
mail_owner = postfix
myhostname = mail.example.org
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
local_header_rewrite_clients =
virtual_mailbox_domains = example.org
virtual_mailbox_maps = texthash:{folder}/users
virtual_mailbox_base = {folder}/mail
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_mailbox_limit = 0
message_size_limit = 52428800
smtpd_recipient_restrictions = reject_unauth_destination
"""

# service type private unprivileged chroot wakeup maxproc command
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
postlog   unix-dgram n - n - 1 postlogd
"""


class PostfixServer:
    """PostfixServer(program, main="", master="") -> the server.

    program: the `postfix` command; main: settings besides those of MAIN, or in their place; master:
    lines for the end of master.cf."""

    def __init__(self, program: Path, main: str = "", master: str = "") -> None:
        self._program = program
        self._more = (main, master)
        self.port = free_port()
        # pytest's own folder is for root alone, and Postfix is several users.
        self._folder = Path(tempfile.mkdtemp(prefix="grey-postfix-"))
        self._folder.chmod(0o755)
        self._configuration = self._folder / "etc"

    def __enter__(self) -> Self:
        try:
            self._write_configuration()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start it, for the first time or again."""
        self._command("start")
        wait_until("Postfix", lambda: takes_connections(self.port))

    def stop(self) -> None:
        """End all of it; what it has, it keeps."""
        pid_file = self._folder / "queue" / "pid" / "master.pid"
        if pid_file.exists():
            master = int(pid_file.read_text(encoding="ascii").strip())
            if is_running(master):
                os.kill(master, signal.SIGTERM)
                wait_until("Postfix to end", lambda: not is_running(master))

    def configure(self, *arguments: str) -> None:
        """Run postconf on its files, and have it read them again."""
        self._run("postconf", *arguments)
        self._command("reload")

    def mailbox(self, user: str) -> list[bytes]:
        """The messages that were delivered to the user, with the server's own header lines."""
        new = self._folder / "mail" / user / "new"
        return [path.read_bytes() for path in sorted(new.iterdir())] if new.exists() else []

    def queued(self) -> int:
        """How many messages wait in its queue."""
        return len(self._run("postqueue", "-j").splitlines())

    def flush(self) -> None:
        """Have it try again, now, all that waits."""
        self._run("postqueue", "-f")

    def said(self) -> str:
        log = self._folder / "maillog"
        return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""

    def _write_configuration(self) -> None:
        uid, gid = nobody()
        for name in ("etc", "queue", "data", "mail"):
            (self._folder / name).mkdir()
        shutil.chown(self._folder / "data", "postfix")
        os.chown(self._folder / "mail", uid, gid)
        users = "".join(f"{user}@example.org {user}/\n" for user in USERS)
        files = {
            "etc/main.cf": settings(
                MAIN.format(folder=self._folder, uid=uid, gid=gid), self._more[0]
            ),
            "etc/master.cf": MASTER.format(port=self.port) + self._more[1],
            "users": users,
        }
        for name, text in files.items():
            (self._folder / name).write_text(text, encoding="utf-8")
            (self._folder / name).chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IROTH)

    def _command(self, verb: str) -> None:
        self._run(self._program.name, verb)

    def _run(self, name: str, *arguments: str) -> str:
        done = subprocess.run(
            [self._program.with_name(name), "-c", self._configuration, *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{name} {arguments}: {done.stdout}{done.stderr}{self.said()}")
        return done.stdout


def door(port: int, **settings: object) -> str:
    """Lines of master.cf for one more port on which it takes mail, with settings of its own."""
    own = "".join(f"  -o {{ {name} = {value} }}\n" for name, value in settings.items())
    return f"127.0.0.1:{port} inet n - n - - smtpd\n{own}"


def settings(*texts: str) -> str:
    """All lines of main.cf, of each setting only the last.

    Of a setting that is there twice each of Postfix's programs warns when it starts; the one that
    writes the log warns, too, and waits for itself for ever if the others were quicker."""
    lines = [line for text in texts for line in text.splitlines() if line]
    last = {line.partition(" =")[0]: line for line in lines}
    return "\n".join(last.values()) + "\n"
