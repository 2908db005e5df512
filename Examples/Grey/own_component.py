"""
A component of one's own between the proxy's desk and the decider.

    python Examples/Grey/own_component.py

The session graph (Kamaelia/Apps/Grey/FrontDoor/SMTPProxy.py) has a box for everything that passes
between two of its members, so something new goes in by wiring, and nothing is edited. Here
recipients lose their "+tag" on the way to the decider: whoever may write to anna+shop@example.org
may write to anna+news@example.org without a second wait.

      DESK --Attempt--> UNTAG --Attempt--> DECIDER --Decision--> DESK
"""

import logging
import smtplib
import sys
from collections.abc import Iterator
from dataclasses import replace

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock
from Axon.ThreadedComponent import threadedcomponent
from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Demo import Mailbox, small_mail_server
from Kamaelia.Apps.Grey.Server import GreyServer
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.IPC import serverShutdown


class Untag(component):
    """Untag() -> Attempts, their recipients without what follows the first "+"."""

    Inboxes = {
        "inbox": "Attempt: one a recipient",
        "control": "producerFinished or shutdownMicroprocess: ends it",
    }
    Outboxes = {
        "outbox": "Attempt: the same, its recipient untagged; never fewer, never in another order",
        "signal": "the shutdown that came in",
    }

    def main(self) -> Iterator[object]:
        while True:
            for attempt in self.Inbox("inbox"):
                person = attempt.recipient_local.partition("+")[0]
                # Only the key is changed: recipient_local is what the decider searches for hidden
                # paths, and the real server gets the address as the client wrote it.
                key = f"{person}@{attempt.recipient_domain}"
                self.send(replace(attempt, recipient=key), "outbox")
            for message in self.Inbox("control"):
                if isinstance(message, producerFinished | shutdownMicroprocess):
                    self.send(message, "signal")
                    return
            self.pause()
            yield 1


class UntaggingServer(GreyServer):
    """A GreyServer whose deciders have an Untag before them."""

    def make_decider(self) -> component:
        """What the proxy takes for a decider: the two together, with the boxes of one."""
        return Graphline(
            {
                ("self", "inbox"): ("UNTAG", "inbox"),
                ("UNTAG", "outbox"): ("DECIDER", "inbox"),
                ("DECIDER", "outbox"): ("self", "outbox"),
                ("DECIDER", "log"): ("self", "log"),
                ("self", "control"): ("UNTAG", "control"),
                ("UNTAG", "signal"): ("DECIDER", "control"),
                ("DECIDER", "signal"): ("self", "signal"),
            },
            UNTAG=Untag(),
            DECIDER=super().make_decider(),
        )


class Sender(threadedcomponent):
    """Sender(port, clock) -> two mails to two tags of one person."""

    def __init__(self, port: int, clock: FakeClock) -> None:
        super().__init__()
        self._port = port
        self._clock = clock

    def main(self) -> None:
        self._ask("anna+shop@example.org")
        self._clock.advance(300)
        self._ask("anna+news@example.org")

    def _ask(self, recipient: str) -> None:
        with smtplib.SMTP("127.0.0.1", self._port, timeout=10) as connection:
            connection.ehlo("client.example.net")
            connection.mail("me@example.net")
            code, text = connection.rcpt(recipient)
            print(recipient, code, text.decode("ascii"), flush=True)


logging.basicConfig(level=logging.INFO, format="   %(message)s", stream=sys.stdout)

mail_server = small_mail_server(Mailbox()).activate()
clock = FakeClock(1_800_000_000)  # seconds since the epoch, as time.time() gives them
config = replace(
    loads("listen = 127.0.0.1\nallowed_domains = example.org\nallowed_senders ="),
    port=0,
    smtp_port=mail_server.address[1],
)
grey = UntaggingServer(config, clock=clock, open_store=MemoryStore).activate()

sender = Sender(grey.addresses[0][1], clock)
sender.call_on_close(lambda: grey.shut_down("both mails were tried"))
grey.call_on_close(lambda: mail_server.inboxes["control"].deliver(serverShutdown(grey)))
sender.run()
