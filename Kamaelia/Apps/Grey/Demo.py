"""
The demo: greylisting as a story on the terminal
================================================
Runs on loopback and needs no file, no root and no network: a small real mail server, the greylister
before it, and three senders that speak SMTP with the standard library. What the story says happened
did happen: every line is said only after the server's answer was seen, and at the end the mail is
looked for where it should be.

``--once`` plays it and ends, with 0 if everything went as it should, 1 if not. Without it the
servers stay up afterwards, so that you can send mail of your own, until Ctrl-C.

How does it work?
-----------------
The mail server is built from the same pieces as the greylister: SMTPServerSession in a Graphline
under a ServerCore. The senders live in one threaded component, since smtplib blocks.
"""

from __future__ import annotations

import argparse
import logging
import smtplib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_network
from pathlib import Path

from Axon.AxonExceptions import normalShutdown
from Axon.Component import component
from Axon.ThreadedComponent import threadedcomponent
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.Server import GreyServer
from Kamaelia.Chassis.ConnectedServer import ServerCore
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.IPC import serverShutdown
from Kamaelia.Protocol.SMTP import SMTPServerSession
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Events import (
    DataReceived,
    DataRequested,
    MessageComplete,
    RecipientGiven,
    SessionEnded,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerSession

DELAY_SECONDS = 5
FRIEND, STRANGER, RELAYER = "127.0.0.2", "127.0.0.77", "127.0.0.99"
USUAL_PORT = 8025
ABILITIES = Capabilities(
    size=10_000_000, size_offered=True, eightbitmime=True, pipelining=True, enhancedstatuscodes=True
)

Say = Callable[[str], None]


@dataclass(slots=True)
class Mailbox:
    """What the small mail server has taken: one text for each message."""

    messages: list[bytes] = field(default_factory=list)


class MailboxKeeper(component):
    """MailboxKeeper(mailbox, domain=b"example.org") -> owner of one SMTP session: takes mail for
    anybody in that domain into the mailbox; domain None: for anybody."""

    Inboxes = {
        "inbox": "ServerEvent: what the client does",
        "control": "object: unused, the last event is a SessionEnded",
    }
    Outboxes = {
        "outbox": "Reply: to each event that needs one",
        "signal": "object: unused",
    }

    def __init__(self, mailbox: Mailbox, domain: bytes | None = b"example.org") -> None:
        super().__init__()
        self._mailbox = mailbox
        self._domain = domain
        self._parts: list[bytes] = []

    def main(self) -> Iterator[object]:
        ended = False
        while not ended:
            for event in self.Inbox("inbox"):
                match event:
                    case RecipientGiven(path=path):
                        known = self._domain in (None, path.domain.lower())
                        self.send(OK if known else UNKNOWN_USER, "outbox")
                    case DataRequested():
                        self._parts.clear()
                        self.send(GO_ON, "outbox")
                    case DataReceived(data=data):
                        self._parts.append(data)
                    case MessageComplete():
                        self._mailbox.messages.append(b"".join(self._parts))
                        self.send(KEPT, "outbox")
                    case SessionEnded():
                        ended = True
            if not ended:
                self.pause()
                yield 1


OK = Reply.of(250, "2.1.5", "Ok")
UNKNOWN_USER = Reply.of(550, "5.1.1", "no such user here")
GO_ON = Reply.of(354, "", "go on")
KEPT = Reply.of(250, "2.0.0", "Ok: kept")


def small_mail_server(mailbox: Mailbox, port: int = 0) -> ServerCore:
    """A real SMTP server on loopback that keeps what it takes in the mailbox. Port 0: any."""

    def protocol(**_: object) -> Graphline:
        session = ServerSession("mail.example.org", capabilities=lambda: ABILITIES)
        return Graphline(
            {
                ("self", "inbox"): ("SESSION", "inbox"),
                ("self", "control"): ("SESSION", "control"),
                ("SESSION", "outbox"): ("self", "outbox"),
                ("SESSION", "signal"): ("self", "signal"),
                ("SESSION", "events"): ("KEEPER", "inbox"),
                ("KEEPER", "outbox"): ("SESSION", "replies"),
            },
            SESSION=SMTPServerSession(session),
            KEEPER=MailboxKeeper(mailbox),
        )

    return ServerCore(protocol=protocol, host="127.0.0.1", port=port)


class Story(threadedcomponent):
    """Story(port, mailbox, delay, say) -> plays the senders' parts; its result is in
    ``went_well``."""

    Inboxes = {
        "inbox": "object: unused",
        "control": "object: unused, the story is short",
    }
    Outboxes = {
        "outbox": "object: unused",
        "signal": "object: unused",
    }

    def __init__(self, port: int, mailbox: Mailbox, delay: int, say: Say) -> None:
        super().__init__()
        self._port = port
        self._mailbox = mailbox
        self._delay = delay
        self._say = say
        self.went_well = True
        self.told = False

    def main(self) -> None:
        try:
            self._first_act()
            self._second_act()
            self._third_act()
            self._fourth_act()
        except (OSError, smtplib.SMTPException) as error:
            self._expect(False, f"that went wrong: {error}")
        self.told = True

    def _first_act(self) -> None:
        self._say("1. A stranger writes to anna@example.org for the first time.")
        code, text = self._send(STRANGER, "anna@example.org", "Hello, do you know me?")
        self._expect(code == 451, f"he is asked to come back: {code} {text}")
        self._expect(not self._mailbox.messages, "anna's mailbox is still empty")

    def _second_act(self) -> None:
        self._say(f"2. He is a real mail server, so he does, {self._delay} seconds later.")
        self._count_down(self._delay + 1)
        code, text = self._send(STRANGER, "anna@example.org", "Hello, do you know me?")
        self._expect(code == 250, f"he gets in: {code} {text}")
        self._expect(self._holds("do you know me"), "the mail lies in anna's mailbox, unchanged")
        code, text = self._send(STRANGER, "anna@example.org", "It's me again.")
        self._expect(code == 250, f"his next mail does not wait at all: {code} {text}")

    def _third_act(self) -> None:
        self._say("3. A friend whom the administrator listed in allowed_senders writes.")
        code, text = self._send(FRIEND, "anna@example.org", "Lunch at noon?")
        self._expect(code == 250, f"she is let through at once: {code} {text}")
        self._expect(self._holds("Lunch at noon"), "her mail is there, too")

    def _fourth_act(self) -> None:
        self._say("4. A spammer tries to send through us to somebody else.")
        code, text = self._send(RELAYER, "victim@elsewhere.example", "Buy now!")
        self._expect(code == 550, f"he is sent away for good: {code} {text}")
        kept = len(self._mailbox.messages)
        self._expect(kept == 3, f"{kept} mails were taken, {kept} are kept: none lost, none twice")

    def _send(self, source: str, recipient: str, body: str) -> tuple[int, str]:
        """Send one mail with smtplib; returns the code and text of the decisive reply."""
        letter = (
            f"From: <sender@[{source}]>\r\nTo: <{recipient}>\r\nSubject: hello\r\n\r\n{body}\r\n"
        )
        client = smtplib.SMTP(timeout=30, source_address=(source, 0))
        try:
            client.connect("127.0.0.1", self._port)
            client.ehlo(f"[{source}]")
            client.mail(f"sender@[{source}]")
            code, text = client.rcpt(recipient)
            if code == 250:
                code, text = client.data(letter)
            client.quit()
        finally:
            client.close()
        return code, text.decode("ascii", "backslashreplace")

    def _holds(self, words: str) -> bool:
        return any(words.encode() in message for message in self._mailbox.messages)

    def _count_down(self, seconds: int) -> None:
        until = self.scheduler.clock() + seconds if self.scheduler else 0.0
        while self.scheduler and (left := until - self.scheduler.clock()) > 0:
            self.pause(left)

    def _expect(self, fulfilled: bool, text: str) -> None:
        self._say(f"   {'ok ' if fulfilled else 'BAD'}  {text}")
        self.went_well = self.went_well and fulfilled


class Stage(component):
    """Stage(once, delay, say, folder) -> sets up the servers, has the story played, and takes them
    down again."""

    Inboxes = {
        "inbox": "object: unused",
        "control": "object: unused",
    }
    Outboxes = {
        "outbox": "object: unused",
        "signal": "object: unused",
    }

    def __init__(self, once: bool, delay: int, say: Say, folder: Path) -> None:
        super().__init__()
        self._once = once
        self._delay = delay
        self._say = say
        self._folder = folder
        self.went_well = False

    def main(self) -> Iterator[object]:
        mailbox = Mailbox()
        mail_server = small_mail_server(mailbox)
        mail_server.activate(self.scheduler)
        grey = self._greylister(mail_server.address[1])
        port = grey.addresses[0][1]
        self._say(f"The real mail server listens on 127.0.0.1 port {mail_server.address[1]},")
        self._say(f"the greylister before it on 127.0.0.1 port {port}.\n")
        # Until the probe has asked it what it offers.
        while not all(backend.known for backend in grey.pool.backends.all):
            self.pause(0.05)
            yield 1
        story = Story(port, mailbox, self._delay, self._say)
        self.addChildren(story, grey, mail_server)
        story.activate(self.scheduler)
        while not story._isStopped():
            self.pause()
            yield 1
        self.went_well = story.went_well and story.told
        if not self._once:
            self._invite(port)
            while True:
                self.pause()
                yield 1
        grey.shut_down("the demo is over")
        while not grey._isStopped():
            self.pause()
            yield 1
        mail_server.inboxes["control"].deliver(serverShutdown(self))

    def _greylister(self, mail_port: int) -> GreyServer:
        make = partial(
            Config,
            listen=("127.0.0.1",),
            servername="demo.example.org",
            smtp_port=mail_port,
            allowed_domains=frozenset({"example.org"}),
            allowed_senders=Networks([ip_network(FRIEND)]),
            greylist_delay=self._delay,
            network_prefix4=24,
            nospf=True,  # no name is looked up in a demonstration
            database=self._folder / "greylist.sqlite3",
            greylist_log=self._folder / "mail.log",
            drain_timeout=5,
        )
        try:
            return GreyServer(make(port=USUAL_PORT)).activate(self.scheduler)
        except OSError:  # taken: any other will do
            return GreyServer(make(port=0)).activate(self.scheduler)

    def _invite(self, port: int) -> None:
        self._say("\nNow it is your turn, while this runs (Ctrl-C ends it). For instance:")
        self._say(
            f"   swaks --server 127.0.0.1:{port} --to anna@example.org --from you@example.net"
        )
        self._say(f"Every decision is written to {self._folder / 'mail.log'}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the demo; returns the exit code."""
    parser = argparse.ArgumentParser(prog="demo", description="Greylisting as a story.")
    parser.add_argument("--once", action="store_true", help="play it unattended, then end")
    parser.add_argument(
        "--delay", type=int, default=DELAY_SECONDS, metavar="S", help="seconds a stranger waits"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="kamaelia-grey-") as folder:
        stage = Stage(options.once, max(1, options.delay), _say, Path(folder))
        try:
            stage.run()
        except (KeyboardInterrupt, normalShutdown):
            print("\nGood-bye.")
    if options.once:
        print("\nEverything went as it should." if stage.went_well else "\nSomething went wrong.")
    return 0 if stage.went_well else 1


def _say(text: str) -> None:
    print(text, flush=True)


__kamaelia_components__ = (MailboxKeeper, Story, Stage)

if __name__ == "__main__":
    sys.exit(main())
