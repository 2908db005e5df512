"""
A real sendmail, as a client with a queue or as the server that asks a filter
=============================================================================
It takes mail from loopback and hands all of it to a port of loopback; what was deferred it tries
again every second. With `filter_at` it asks a milter about all that it takes::

    with Sendmail(folder, sink.port, "example.org", filter_at=f"inet:{port}@127.0.0.1") as mta:
        ...

A path of a unix socket is one of its own world: `world.path()` says where that is outside.
"""

from pathlib import Path

from Test.Peers.peer import Peer
from Test.Peers.world import World

PROGRAM = "/usr/libexec/sendmail/sendmail"
M4 = "/usr/bin/m4"
FEATURES = "/usr/share/sendmail/cf"
SOURCE = "/etc/mail/sendmail.mc"
CONFIGURATION = "/etc/mail/sendmail.cf"
TRAFFIC = "/var/spool/mqueue/traffic"  # all that it says and hears, in clear
TEXT = """
include(`{features}/m4/cf.m4')dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `mail.{domain}')dnl
define(`QUEUE_DIR', `/var/spool/mqueue')dnl
define(`STATUS_FILE', `/var/spool/mqueue/statistics')dnl
define(`confPID_FILE', `/var/run/sendmail.pid')dnl
define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.switch')dnl
define(`confDONT_PROBE_INTERFACES', `true')dnl
define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe')dnl
define(`confTO_IDENT', `0')dnl
define(`confMIN_QUEUE_AGE', `0')dnl
define(`SMTP_MAILER_ARGS', `TCP $h {relay_to}')dnl
define(`ESMTP_MAILER_ARGS', `TCP $h {relay_to}')dnl
define(`SMART_HOST', `esmtp:[127.0.0.1]')dnl
undefine(`ALIAS_FILE')dnl
FEATURE(`no_default_msa')dnl
DAEMON_OPTIONS(`Name=MTA, Addr=127.0.0.1, Port={port}')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`promiscuous_relay')dnl
{more}MAILER(`smtp')dnl
"""
# F=T: while nobody answers there, mail is deferred. Other work on this machine is no reason to
# refuse mail, as a load average is to sendmail.
FILTER = """
INPUT_MAIL_FILTER(`grey', `S={filter_at}, F=T, T=C:10s;S:10s;R:20s;E:1m')dnl
define(`confMILTER_MACROS_HELO', confMILTER_MACROS_HELO`, {{verify}}')dnl
define(`confQUEUE_LA', `9999')dnl
define(`confREFUSE_LA', `9999')dnl
"""


class Sendmail(Peer):
    """Sendmail(folder, relay_to, domain="example.net", filter_at="", traffic=True) -> the server.

    filter_at: the milter that it asks, as sendmail names its socket. traffic: keep all that it says
    and hears for said()."""

    def __init__(
        self,
        folder: Path,
        relay_to: int,
        domain: str = "example.net",
        filter_at: str = "",
        *,
        traffic: bool = True,
    ) -> None:
        super().__init__("sendmail", folder, domain)
        self._relay_to = relay_to
        self._more = FILTER.format(filter_at=filter_at) if filter_at else ""
        self._traffic = ("-X", TRAFFIC) if traffic else ()

    def furnish(self) -> World:
        world = World("sendmail-bin", [PROGRAM, M4], ["smmsp"])
        world.folder("/etc/mail")
        world.folder("/var/run")
        world.folder("/var/spool/mqueue", mode=0o700)
        return world

    def start(self) -> None:
        text = TEXT.format(
            features=FEATURES,
            domain=self.domain,
            port=self.port,
            relay_to=self._relay_to,
            more=self._more,
        )
        self.world.write(SOURCE, text)
        rules = self.world.run(M4, f"-D_CF_DIR_={FEATURES}/", SOURCE)
        self.world.write(CONFIGURATION, rules)
        self.world.write("/etc/mail/service.switch", "hosts files\naliases files\n")
        daemon = ("-C", CONFIGURATION, "-bD", "-q1s", *self._traffic)
        self.spawn(self.world.command(PROGRAM, *daemon))
        self.wait_till_it_listens()

    def queued(self) -> int:
        return len(list(self.world.path("/var/spool/mqueue").glob("qf*")))

    def flush(self) -> None:
        self.world.run(PROGRAM, "-C", CONFIGURATION, "-q")

    def said(self) -> str:
        traffic = self.world.path(TRAFFIC)
        heard = by_process(traffic.read_text("latin-1")) if traffic.exists() else ""
        return super().said() + heard


def by_process(traffic: str) -> str:
    """What all its processes wrote into one file, with the lines of each together."""

    def process(line: str) -> int:
        number = line.partition(" ")[0]
        return int(number) if number.isdecimal() else 0

    return "\n".join(sorted(traffic.split("\n"), key=process))
