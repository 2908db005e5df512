"""
A greylister inside a program of one's own, on an afternoon that is over in a moment.

    python Examples/Grey/own_program.py

GreyServer is a component like any other. This program hands it its settings, a store that forgets,
and a clock of its own, so the stranger's retry five minutes later happens at once.
"""

import smtplib
from dataclasses import replace

from Axon.Testing import FakeClock
from Axon.ThreadedComponent import threadedcomponent
from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Demo import Mailbox, small_mail_server
from Kamaelia.Apps.Grey.Server import GreyServer
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.IPC import serverShutdown

SETTINGS = """
servername = mx.example.org
listen = 127.0.0.1
allowed_domains = example.org
allowed_senders =               # not even those on this machine
greylist_delay = 4m
nospf = yes                     # SPF is looked up in the DNS
"""
MAIL = "Subject: hello\n\nIt's me."


class Stranger(threadedcomponent):
    """Stranger(port, clock) -> sends one mail, and again five minutes later.

    smtplib blocks, so this is a threaded component: its main runs in a thread of its own.
    """

    def __init__(self, port: int, clock: FakeClock) -> None:
        super().__init__()
        self._port = port
        self._clock = clock

    def main(self) -> None:
        self._try()
        self._clock.advance(300)
        self._try()

    def _try(self) -> None:
        try:
            with smtplib.SMTP("127.0.0.1", self._port, timeout=10) as connection:
                connection.sendmail("me@example.net", "anna@example.org", MAIL)
            print("the mail was taken")
        except smtplib.SMTPRecipientsRefused as refused:
            code, text = refused.recipients["anna@example.org"]
            print(code, text.decode("ascii"))


mailbox = Mailbox()
mail_server = small_mail_server(mailbox).activate()

clock = FakeClock(1_800_000_000)  # seconds since the epoch, as time.time() gives them
# Port 0, any that is free, makes sense in a program only: a file has to name one.
config = replace(loads(SETTINGS), port=0, smtp_port=mail_server.address[1])
grey = GreyServer(config, clock=clock, open_store=MemoryStore).activate()

stranger = Stranger(grey.addresses[0][1], clock)
# When one has ended the next is told to, until nothing is left and the scheduler returns.
stranger.call_on_close(lambda: grey.shut_down("the mail is in"))
grey.call_on_close(lambda: mail_server.inboxes["control"].deliver(serverShutdown(grey)))
stranger.run()

print(len(mailbox.messages), "message in the mailbox")
