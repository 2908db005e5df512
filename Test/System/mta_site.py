"""
Mail servers that ask before they take mail
===========================================
kamaelia-grey with a greylist.conf of free text and no port for mail, a real Postfix or sendmail
that takes the mail and asks it, and a mail server behind that shows what arrived. All of it is on
loopback and in folders that are thrown away. The three FACES are Postfix with a milter, Postfix
with a policy service, and sendmail with a milter::

    with running_site(Face.POSTFIX_MILTER, find_program, folder) as site:
        grey = Filter(folder, site.door)
        grey.write("racl greylist default delay 1s\\n")
        with grey:
            assert site.asks("a@example.net", "anna@example.org").code == 451

The mail server knows where to ask before anybody is there to be asked, so one serves many tests,
each with a kamaelia-grey of its own, and a kamaelia-grey may be killed and started again.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Protocol

import pytest
from aiosmtpd.smtp import Envelope

from Test.Peers.sendmail import Sendmail
from Test.System.clients import Answer
from Test.System.policy_site import Mailboxes, Site, Visitor
from Test.System.postfix_server import PostfixServer, settings
from Test.System.processes import free_port, wait_until

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

STRANGER = "127.0.12.1"
LETTER = b"Subject: hello\r\n\r\nhello\r\n"
# The lines of milter-greylist are taken as they are, and our own settings beside them.
BASE = """
servername = mx.example.org
greylist_delay = 1s
network_prefix4 = 32
nospf = yes
report = all
database = {folder}/greylist.sqlite3
greylist_log = {folder}/mail.log
drain_timeout = 2s
"""
# Mail for example.org goes to a port of loopback; a deferral lasts a second, and other work on
# this machine does not make Postfix slow down.
POSTFIX = """
virtual_transport = smtp:[127.0.0.1]:{sink}
smtp_host_lookup = native
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
in_flow_delay = 0
default_destination_concurrency_limit = 20
smtpd_peername_lookup = no
"""
POSTFIX_MILTER = """
smtpd_milters = {at}
milter_connect_timeout = 10s
milter_command_timeout = 20s
"""
# What Postfix refuses for good behind our question wins over a deferral of ours.
POSTFIX_POLICY = """
smtpd_recipient_restrictions = {first}, check_policy_service {at}, reject_unlisted_recipient
smtpd_policy_service_timeout = 20s
"""
POSTFIX_MASTER = "smtp unix - - n - - smtp\ntlsmgr unix - - n 1000? 1 tlsmgr\n"


class Face(Enum):
    """How a mail server asks."""

    POSTFIX_MILTER = "postfix-milter"
    POSTFIX_POLICY = "postfix-policy"
    SENDMAIL_MILTER = "sendmail-milter"

    @property
    def needs(self) -> str:
        """The program for the mark `needs`."""
        return "sendmail-bin" if self is Face.SENDMAIL_MILTER else "postfix"


FindProgram = Callable[[str], Path]


class MailServer(Protocol):
    """What takes the mail; it defers it with 4xx while it has nobody to ask."""

    port: int

    def queued(self) -> int: ...
    def flush(self) -> None: ...
    def said(self) -> str: ...


class Door:
    """Door(face, path=None) -> where kamaelia-grey is asked: a port of loopback, or a socket."""

    def __init__(self, face: Face, path: Path | None = None) -> None:
        self.face = face
        self.path = path
        self.port = 0 if path else free_port()

    @property
    def setting(self) -> str:
        """The line of greylist.conf that opens it."""
        at = f"unix:{self.path}" if self.path else f"inet:{self.port}@127.0.0.1"
        return f"policy_socket = {at}\n" if self._is_policy else f'socket "{at}"\n'

    @property
    def for_postfix(self) -> str:
        return f"unix:{self.path}" if self.path else f"inet:127.0.0.1:{self.port}"

    @property
    def for_sendmail(self) -> str:
        """A path is as sendmail sees it in its world."""
        return f"local:{self.path}" if self.path else f"inet:{self.port}@127.0.0.1"

    @property
    def _is_policy(self) -> bool:
        return self.face is Face.POSTFIX_POLICY

    def connect(self) -> socket.socket:
        """A connection as a mail server makes it."""
        if self.path is None:
            return socket.create_connection(("127.0.0.1", self.port), timeout=30)
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(30)
            sock.connect(str(self.path))
        except OSError:
            sock.close()
            raise
        return sock

    def is_open(self) -> bool:
        with suppress(OSError), self.connect():
            return True
        return False


class Filter(Site):
    """Filter(folder, *doors) -> kamaelia-grey with these doors, and what write() was given."""

    def __init__(self, folder: Path, *doors: Door) -> None:
        super().__init__(folder, smtp_port=0, resolver=None)
        self._doors = doors
        lines = "".join(door.setting for door in doors)
        self._base = BASE.format(folder=folder) + lines

    def start(self, *options: object) -> None:
        if not self.config.exists():
            self.write("")
        self.spawn(self.command("-D", *options))
        for door in self._doors:
            wait_until(f"{door.setting} to open", partial(self._opens, door))

    def _opens(self, door: Door) -> bool:
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            raise RuntimeError(f"kamaelia-grey ended with {code}:\n{self.said()}")
        return door.is_open()


@contextmanager
def mail_server(
    door: Door, find_program: FindProgram, sink: int, folder: Path, main: str = ""
) -> Iterator[MailServer]:
    """The mail server of that door's face, whose mail goes to the port `sink`; main: more lines
    of Postfix's main.cf."""
    if door.face is Face.SENDMAIL_MILTER:
        at = door.for_sendmail
        with Sendmail(folder, sink, "example.org", filter_at=at, traffic=False) as sendmail:
            yield sendmail
        return
    how = POSTFIX_POLICY if door.face is Face.POSTFIX_POLICY else POSTFIX_MILTER
    asks = how.format(at=door.for_postfix, first="reject_unauth_destination")
    text = settings(POSTFIX.format(sink=sink), asks, main)
    with PostfixServer(find_program("postfix"), text, POSTFIX_MASTER) as postfix:
        yield postfix


class MailSite:
    """MailSite(door, server, boxes) -> all of it but kamaelia-grey; one for several tests."""

    def __init__(self, door: Door, server: MailServer, boxes: Mailboxes) -> None:
        self.door = door
        self.server = server
        self._boxes = boxes

    @contextmanager
    def client(
        self, source: str = STRANGER, sender: str = "a@example.net", helo: str = "client.x.test"
    ) -> Iterator[Visitor]:
        """A client of the mail server, after its MAIL."""
        with Visitor(("127.0.0.1", self.server.port), source) as client:
            yield client.introduce(sender, helo)
            with suppress(OSError):
                client.ask("QUIT")

    def asks(self, sender: str, recipient: str, source: str = STRANGER) -> Answer:
        """What a client is told about one recipient, or before that if it gets no further."""
        return self._says(source, f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>")

    def sends(
        self, sender: str, recipient: str, content: bytes = LETTER, source: str = STRANGER
    ) -> Answer:
        """What a client is told in the end of a message to one recipient."""
        lines = (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>")
        return self._says(source, *lines, content=content)

    def _says(self, source: str, *lines: str, content: bytes | None = None) -> Answer:
        with Visitor(("127.0.0.1", self.server.port), source) as client:
            answer = client.banner
            for line in ("EHLO client.x.test", *lines):
                if answer.code < 300:
                    answer = client.ask(line)
            if content is not None and answer.code == 250:
                answer = client.send(content)
            if answer.code != 421:
                client.ask("QUIT")
            return answer

    def sends_till_taken(self, sender: str, recipient: str, content: bytes = LETTER) -> list[int]:
        """The codes that a client got that tried again and again, as with a queue."""
        codes: list[int] = []

        def taken() -> bool:
            if codes:
                pass_time(0.3)
            codes.append(self.sends(sender, recipient, content).code)
            return codes[-1] == 250

        wait_until(f"mail of {sender} to be taken", taken)
        return codes

    def arrived(self, sender: str, times: int = 1) -> list[Envelope]:
        """What the server behind has of that sender, once there is so much."""

        def found() -> list[Envelope]:
            return [one for one in self._boxes.taken if one.mail_from == sender]

        wait_until(f"mail of {sender} to arrive", lambda: len(found()) >= times)
        return found()

    def letter(self, sender: str) -> bytes:
        """The only message of that sender, once it is there."""
        (envelope,) = self.arrived(sender)
        assert isinstance(envelope.content, bytes)
        return envelope.content


def pass_time(seconds: float) -> None:
    """Of real clocks, that real programs look at."""
    over = monotonic() + seconds
    wait_until("some time to pass", lambda: monotonic() > over)


def header_of(message: bytes, name: bytes) -> list[bytes]:
    """The values of all header lines of that name, unfolded."""
    head = message.partition(b"\r\n\r\n")[0].replace(b"\r\n\t", b" ").replace(b"\r\n ", b" ")
    begin = name.lower() + b":"
    lines = head.split(b"\r\n")
    return [line[len(begin) :].strip() for line in lines if line.lower().startswith(begin)]


def sites(*faces: Face) -> list[ParameterSet]:
    """Parameters of a fixture: a face each, that is skipped where its mail server is missing."""
    return [
        pytest.param(face, marks=pytest.mark.needs(face.needs), id=face.value) for face in faces
    ]


@contextmanager
def running_site(face: Face, find_program: FindProgram, folder: Path) -> Iterator[MailSite]:
    """The whole site of that face, on ports of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can start these mail servers")
    door = Door(face)
    with Mailboxes() as boxes, mail_server(door, find_program, boxes.port, folder) as server:
        yield MailSite(door, server, boxes)


@pytest.fixture
def grey(site: MailSite, tmp_path: Path) -> Iterator[Filter]:
    """For modules with a site: a kamaelia-grey that it asks, not started."""
    made = Filter(tmp_path, site.door)
    yield made
    made.end_if_running()
