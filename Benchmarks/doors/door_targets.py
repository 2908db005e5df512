"""
The greylisters that mail servers ask, and how each is started
==============================================================
Each starter gets a `Site` and gives a running `Target`, or raises `Unavailable` with the reason,
which the report repeats. All listen on loopback or in the file system, and end with the site's exit
stack.

    kamaelia-grey     ours, both doors in one process, with everything on: SQLite store, a line in
                      the log for each decision, all time-outs; no port for mail
    postgrey          a policy service
    milter-greylist   a milter; its setup here is from its manual and has not been run

All of them defer for a second. postgrey whitelists no whole clients, nor anybody from its lists;
milter-greylist must not ask for SPF records. Policy services are asked over TCP, milters over unix
sockets: so they are usually set up, and so were those that the goals come from.
"""

from __future__ import annotations

import platform
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.append(str(HERE.parent / "proxy"))

from processes import HOST, START_SECONDS, Child, StartError, free_port  # noqa: E402
from rivals import MILTER_GREYLIST_CONF, postgrey_command  # noqa: E402
from targets import DELAY_SECONDS, find, said  # noqa: E402

POLICY, MILTER = "policy", "milter"
OURS, POSTGREY, MILTER_GREYLIST = "kamaelia-grey", "postgrey", "milter-greylist"

Place = int | Path  # a port of loopback, or a unix socket


@dataclass(frozen=True, slots=True)
class Target:
    """A greylister that runs, and where it is asked in which protocol."""

    name: str
    pid: int
    version: str
    places: Mapping[str, Place]

    def options(self, protocol: str) -> tuple[str, ...]:
        """For the load generator: where to ask."""
        place = self.places[protocol]
        where = ("-u", str(place)) if isinstance(place, Path) else ("-p", str(place))
        return ("-d", protocol, *where)


@dataclass(frozen=True, slots=True)
class Site:
    """Where a target is set up. tree: whose kamaelia-grey is measured."""

    folder: Path
    stack: ExitStack
    tree: Path = ROOT

    def start(
        self,
        name: str,
        version: str,
        places: Mapping[str, Place],
        *command: str,
        **environment: str,
    ) -> Target:
        """Start a program, and wait until somebody takes connections at each place."""
        log = self.folder / "output.log"
        child = self.stack.enter_context(Child(command, log, environment))
        for place in places.values():
            if isinstance(place, Path):
                wait_for_socket(place, log)
            else:
                child.wait_for_port(place, greets=False)
        return Target(name, child.pid, version, places)


def wait_for_socket(path: Path, log: Path) -> None:
    """Return when somebody takes connections there; raises StartError."""
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            return
        time.sleep(0.02)
    words = log.read_text(errors="backslashreplace")[-500:].strip()
    raise StartError(f"nobody is at {path}; the program said: {words or 'nothing'}")


GREYLIST_CONF = f"""\
policy_socket = inet:%(port)d@{HOST}
socket = unix:%(path)s
servername = mx.example.org
greylist_delay = {DELAY_SECONDS}s
network_prefix4 = 24
pass_lifetime = 36d
nospf = yes
database = %(folder)s/greylist.sqlite3
greylist_log = %(folder)s/mail.log
max_connections = 9950
drain_timeout = 3s
# As the rivals, who count no strangers.
new_per_network = 0
"""


def kamaelia_grey(site: Site) -> Target:
    port, path = free_port(), site.folder / "milter.sock"
    conf = site.folder / "greylist.conf"
    conf.write_text(GREYLIST_CONF % {"port": port, "path": path, "folder": site.folder})
    tree = "this tree" if site.tree == ROOT else site.tree.name
    return site.start(
        OURS,
        f"{tree}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        {POLICY: port, MILTER: path},
        *(sys.executable, "-m", "Kamaelia.Apps.Grey", "-D", "-f", str(conf)),
        PYTHONPATH=str(site.tree),
    )


def postgrey(site: Site) -> Target:
    program, port = find("postgrey"), free_port()
    return site.start(
        POSTGREY,
        said(program, "--version").split()[1],
        {POLICY: port},
        *postgrey_command(program, port, site.folder),
    )


def milter_greylist(site: Site) -> Target:
    program = find("milter-greylist")
    conf = site.folder / "milter-greylist.conf"
    conf.write_text(MILTER_GREYLIST_CONF % {"folder": site.folder})
    places = {MILTER: site.folder / "milter.sock"}
    command = (program, "-D", "-f", str(conf))
    return site.start(MILTER_GREYLIST, "of this machine", places, *command)


STARTERS: dict[str, Callable[[Site], Target]] = {
    OURS: kamaelia_grey,
    POSTGREY: postgrey,
    MILTER_GREYLIST: milter_greylist,
}
