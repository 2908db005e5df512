"""
The proxies that are compared, and how each is started
======================================================
Each starter gets a `Site` (a folder of its own, the sink's port) and gives a running `Target`, or
raises `Unavailable` with the reason, which the report repeats. All listen on loopback only, and end
with the site's exit stack.

    direct          no proxy: what load generator and sink can do
    kamaelia-grey   ours, with everything on: SQLite store, a line in the log for each decision and
                    each message, all time-outs
    aiosmtpd        the library's Proxy handler; no greylisting
    haproxy         copies bytes, knows no SMTP: the least that a proxy costs; one thread
    postfix         smtpd before the sink as its content filter (smtpd_proxy_filter), no queue and
                    no greylisting; needs root, because its master does

Those that greylist, too, are in rivals.py.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from processes import HOST, Child, free_port

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DELAY_SECONDS = 1


class Unavailable(Exception):  # noqa: N818 - no error: it is left out, and the report says why
    """This target cannot run here."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a target is set up."""

    folder: Path
    sink_port: int
    sink_pid: int
    stack: ExitStack
    tree: Path = ROOT  # whose kamaelia-grey is measured
    haraka: Path | None = None  # the folder with Haraka's node_modules

    def start(self, port: int, *command: str, **environment: str) -> int:
        """Start a program that answers on the port; its process id."""
        log = self.folder / "output.log"
        child = self.stack.enter_context(Child(command, log, environment))
        child.wait_for_port(port)
        return child.pid

    def start_helper(self, port: int, *command: str) -> int:
        """Start a program that others need, on a port where nobody says hello; its process id."""
        log = self.folder / f"{Path(command[0]).name}.log"
        child = self.stack.enter_context(Child(command, log))
        child.wait_for_port(port, greets=False)
        return child.pid


@dataclass(frozen=True, slots=True)
class Target:
    """A proxy that runs."""

    name: str
    port: int
    pid: int
    version: str
    greylists: bool = False
    helpers: tuple[int, ...] = ()  # programs that belong to the price, too
    connections: int | None = None  # it needs so many to be busy; None: as many as the others

    @property
    def pids(self) -> tuple[int, ...]:
        return (self.pid, *self.helpers)


class Counted(Protocol):
    """What the clients of a measurement were told, by whichever load generator."""

    @property
    def done(self) -> int: ...
    @property
    def errors(self) -> int: ...
    @property
    def first_error(self) -> str: ...
    @property
    def number_sum(self) -> int: ...


def problems_of(
    where: str, target: Target, outcome: Counted, came: Mapping[str, int], *, messages: bool
) -> list[str]:
    """What is wrong with a measurement: errors, and messages that were lost, doubled or came from
    strangers. outcome: what the clients were told; came: what the sink has got meanwhile."""
    problems = []
    if outcome.errors or not outcome.done:
        problems.append(
            f"{where}: {outcome.done} done, {outcome.errors} errors: {outcome.first_error}"
        )
    if messages and (came["messages"], came["number_sum"]) != (outcome.done, outcome.number_sum):
        problems.append(
            f"{where}: {outcome.done} messages acknowledged, {came['messages']} at the sink"
        )
    elif not messages and came["messages"]:
        problems.append(f"{where}: {came['messages']} messages at the sink from nowhere")
    if target.greylists and came["strangers"]:
        problems.append(f"{where}: {came['strangers']} strangers got through to the sink")
    return problems


def direct(site: Site) -> Target:
    return Target("direct", site.sink_port, site.sink_pid, "the sink itself")


GREYLIST_CONF = f"""\
listen:
    {HOST}
port = %(port)d
servername = mx.example.org
smtp_ip = {HOST}
smtp_port = %(sink_port)d
allowed_domains:
    example.org
greylist_delay = {DELAY_SECONDS}s
network_prefix4 = 24
pass_lifetime = 36d
nospf = yes
database = %(folder)s/greylist.sqlite3
greylist_log = %(folder)s/mail.log
max_connections = 9950
drain_timeout = 3s
# The sink takes everything, and all clients are on this machine.
relay_check = no
max_client_connections = 0
new_per_network = 0
# As the rivals do, which ask nobody about a recipient.
verify_recipients = cached
"""


def kamaelia_grey(site: Site) -> Target:
    port = free_port()
    path = site.folder / "greylist.conf"
    names = {"port": port, "sink_port": site.sink_port, "folder": site.folder}
    path.write_text(GREYLIST_CONF % names)
    program = (sys.executable, "-m", "Kamaelia.Apps.Grey", "-D", "-f", str(path))
    pid = site.start(port, *program, PYTHONPATH=str(site.tree))
    tree = "this tree" if site.tree == ROOT else site.tree.name
    version = f"{tree}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return Target("kamaelia-grey", port, pid, version, greylists=True)


def aiosmtpd(site: Site) -> Target:
    try:
        version = importlib.metadata.version("aiosmtpd")
    except importlib.metadata.PackageNotFoundError:
        raise Unavailable("not installed") from None
    port = free_port()
    program = str(HERE / "aiosmtpd_relay.py")
    pid = site.start(port, sys.executable, program, str(port), str(site.sink_port))
    return Target("aiosmtpd", port, pid, version)


HAPROXY_CFG = f"""\
global
    nbthread 1
    maxconn 9950
defaults
    mode tcp
    maxconn 9950
    timeout connect 5s
    timeout client 300s
    timeout server 300s
listen smtp
    bind {HOST}:%(port)d backlog 4096
    server sink {HOST}:%(sink_port)d maxconn 9950
"""


def haproxy(site: Site) -> Target:
    program = find("haproxy")
    port = free_port()
    path = site.folder / "haproxy.cfg"
    path.write_text(HAPROXY_CFG % {"port": port, "sink_port": site.sink_port})
    pid = site.start(port, program, "-db", "-f", str(path))
    return Target("haproxy", port, pid, said(program, "-v").split()[2])


POSTFIX_MAIN_CF = f"""\
compatibility_level = 3.6
queue_directory = %(folder)s/queue
data_directory = %(folder)s/data
maillog_file = %(folder)s/mail.log
maillog_file_prefixes = %(folder)s
myhostname = mx.example.org
mydestination =
inet_interfaces = {HOST}
inet_protocols = ipv4
mynetworks = {HOST}/32
relay_domains = example.org
local_recipient_maps =
alias_maps =
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtpd_client_connection_count_limit = 0
smtpd_soft_error_limit = 1000000
smtpd_hard_error_limit = 1000000
smtpd_junk_command_limit = 1000000
smtpd_error_sleep_time = 0
smtpd_policy_service_default_action = 451 4.3.5 the policy service is down
message_size_limit = 52428800
"""
POSTFIX_MASTER_CF = f"""\
{HOST}:%(port)d inet n - n - - smtpd -o smtpd_proxy_filter={HOST}:%(sink_port)d%(more)s
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
cleanup unix n - n - 0 cleanup
postlog unix-dgram n - n - 1 postlogd
"""


def postfix(site: Site) -> Target:
    return with_postfix(site, "postfix", "")


def with_postfix(site: Site, name: str, more: str) -> Target:
    """Postfix with `more` in its smtpd's line of master.cf."""
    if os.geteuid() != 0:
        raise Unavailable("its master needs root")
    control = find("postfix")
    port = free_port()
    names = {"port": port, "sink_port": site.sink_port, "folder": site.folder, "more": more}
    (site.folder / "main.cf").write_text(POSTFIX_MAIN_CF % names)
    (site.folder / "master.cf").write_text(POSTFIX_MASTER_CF % names)
    # Its processes run as the user postfix, who has to get at the queue from above.
    site.folder.chmod(0o755)
    site.folder.parent.chmod(0o711)
    for folder in ("queue", "data"):
        (site.folder / folder).mkdir()
    shutil.chown(site.folder / "data", "postfix")
    asked = ("-h", "mail_version", "daemon_directory")
    version, daemons = said(find("postconf"), "-c", str(site.folder), *asked).split()
    # Makes the folders below the queue's. It grumbles about what is not there; starting decides.
    subprocess.run(
        [control, "-c", str(site.folder), "check"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=30,
    )
    pid = site.start(port, f"{daemons}/master", "-c", str(site.folder), "-d")
    return Target(name, port, pid, version)


STARTERS: dict[str, Callable[[Site], Target]] = {
    "direct": direct,
    "kamaelia-grey": kamaelia_grey,
    "aiosmtpd": aiosmtpd,
    "haproxy": haproxy,
    "postfix": postfix,
}


def find(program: str) -> str:
    # Servers lie in folders that are not in everybody's path.
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        raise Unavailable("not installed")
    return path


def said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout
