"""
A component of one's own between the parser and the decider.

    python Examples/Grey/own_component.py

The component stands in untag.py, beside this file, and the configuration names it: that is all an
administrator has to do. Here two mails go to two tags of one person; only the first has to wait.

      DESK --Attempt--> UNTAG --Attempt--> DECIDER --Decision--> DESK
"""

import logging
import smtplib
import sys
from dataclasses import replace
from pathlib import Path

from Axon.Testing import FakeClock
from Axon.ThreadedComponent import threadedcomponent
from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Demo import Mailbox, small_mail_server
from Kamaelia.Apps.Grey.Server import GreyServer
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.IPC import serverShutdown

CONFIGURATION = """
listen = 127.0.0.1
allowed_domains = example.org
allowed_senders =
greylist_delay = 60s
nospf = yes
"""
UNTAG = Path(__file__).with_name("untag.py")


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
    loads(CONFIGURATION),
    before_decider=((UNTAG, "Untag"),),  # in a file: "before_decider:", then "  untag.py  Untag"
    port=0,
    smtp_port=mail_server.address[1],
)
grey = GreyServer(config, clock=clock, open_store=MemoryStore).activate()

sender = Sender(grey.addresses[0][1], clock)
sender.call_on_close(lambda: grey.shut_down("both mails were tried"))
grey.call_on_close(lambda: mail_server.inboxes["control"].deliver(serverShutdown(grey)))
sender.run()
