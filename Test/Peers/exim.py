"""
A real Exim, as the server behind the proxy or as a client with a queue
=======================================================================
It takes mail for the users of its domain and delivers it into maildirs; with `relay_to` it hands
all other mail to that port of loopback, and tries again every second what was deferred.
"""

from pathlib import Path

from Test.Peers.peer import USERS, Peer
from Test.Peers.world import World

PROGRAM = "/usr/sbin/exim4"
CONFIGURATION = "/etc/exim4/exim4.conf"  # given by -C it would cost Exim its privileges
TEXT = """
primary_hostname = mail.{domain}
exim_path = {program}
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
disable_ipv6 = true
tls_advertise_hosts =
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
chunking_advertise_hosts =
message_size_limit = 20M
never_users = root
keep_environment =
host_lookup =
rfc1413_hosts =
acl_smtp_rcpt = recipients

begin acl
recipients:
  accept local_parts = {users}
         domains = {domain}
  deny   domains = {domain}
         message = 5.1.1 nobody of that name here
  {relays} hosts = 127.0.0.1
  deny   message = 5.7.1 we do not relay

begin routers
users:
  driver = accept
  domains = {domain}
  local_parts = {users}
  transport = maildir
onward:
  driver = manualroute
  route_list = * 127.0.0.1
  transport = onward
  self = send

begin transports
maildir:
  driver = appendfile
  maildir_format
  create_directory
  directory = /mail/$local_part_data
  user = Debian-exim
  return_path_add
onward:
  driver = smtp
  port = {relay_to}
  allow_localhost
  {tls} = *
  hosts_try_fastopen =

begin retry
* * F,1h,1s
"""


class Exim(Peer):
    """Exim(folder, domain="example.org", relay_to=0, tls=False) -> the server.

    tls: hand mail on with STARTTLS, or not at all."""

    def __init__(
        self, folder: Path, domain: str = "example.org", relay_to: int = 0, *, tls: bool = False
    ) -> None:
        super().__init__("exim", folder, domain)
        self._relay_to = relay_to
        self._tls = tls

    def furnish(self) -> World:
        world = World("exim4-daemon-light", [PROGRAM], ["Debian-exim"])
        for name in ("/var/spool/exim4", "/var/log/exim4", "/mail"):
            world.folder(name, "Debian-exim")
        return world

    def start(self) -> None:
        text = TEXT.format(
            program=PROGRAM,
            domain=self.domain,
            port=self.port,
            users=" : ".join(USERS),
            relays="accept" if self._relay_to else "deny",
            relay_to=self._relay_to,
            tls="hosts_require_tls" if self._tls else "hosts_avoid_tls",
        )
        self.world.write(CONFIGURATION, text)
        self.spawn(self.world.command(PROGRAM, "-bdf", "-q1s"))
        self.wait_till_it_listens()

    def queued(self) -> int:
        return int(self.world.run(PROGRAM, "-bpc"))

    def flush(self) -> None:
        self.world.run(PROGRAM, "-qff")

    def said(self) -> str:
        log = self.world.path("/var/log/exim4/mainlog")
        return super().said() + (log.read_text("utf-8", "replace") if log.exists() else "")
