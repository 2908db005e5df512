# ends: ctrl-c
"""
A working greylister on one screen: strangers have to come back, and no mail is lost.

    python Examples/Grey/one_screen.py [PORT [PORT-OF-THE-MAIL-SERVER [SECONDS]]]

It is for mail to example.org, and brings a mail server of its own if it is told none. In another
terminal, twice, ten seconds apart (451 at first, and then 250):

    swaks --server 127.0.0.1:8025 --from me@example.net --to anna@example.org

    client <-bytes-> SESSION <-events, replies-> DESK <-attempts, decisions-> DECIDER (our own)
    mail server <-bytes-> RELAY <-commands, replies-/       (such a graph for each client)
Whomever the DECIDER lets in speaks with the real server from there on: a 250 is always its word.
"""

import sys
from contextlib import suppress
from time import monotonic, time

from Kamaelia.Apps.Grey.Core.Types import Attempt, Decision, Reason, Verdict
from Kamaelia.Apps.Grey.Demo import Mailbox, small_mail_server
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend, offered_by
from Kamaelia.Apps.Grey.FrontDoor.ProxyDesk import ProxyDesk
from Kamaelia.Chassis.ConnectedServer import FastRestartServer
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Protocol.SMTP import SMTPServerSession
from Kamaelia.Protocol.SMTPClient import SMTPClientSession
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerSession
from Kamaelia.Util.PureTransformer import PureTransformer

NAME, MOST_REMEMBERED = "mx.example.org", 100_000
OFFER = Capabilities(size=10_000_000, eightbitmime=True, enhancedstatuscodes=True)
LINKAGES = {  # as in the picture
    ("self", "inbox"): ("SESSION", "inbox"),
    ("self", "control"): ("SESSION", "control"),
    ("SESSION", "outbox"): ("self", "outbox"),
    ("SESSION", "signal"): ("self", "signal"),
    ("SESSION", "events"): ("DESK", "inbox"),
    ("DESK", "outbox"): ("SESSION", "replies"),
    ("DESK", "attempts"): ("DECIDER", "inbox"),
    ("DECIDER", "outbox"): ("DESK", "decisions"),
    ("DESK", "to_backend"): ("RELAY", "inbox"),
    ("DESK", "abandon"): ("RELAY", "abandon"),
    ("RELAY", "outbox"): ("DESK", "backend"),
    ("DESK", "signal"): ("DECIDER", "control"),  # the client is gone
    ("DECIDER", "signal"): ("RELAY", "control"),
}
arguments = [int(word) for word in sys.argv[1:]]
port, mail_port, seconds = [*arguments, *(8025, 0, 10)[len(arguments) :]]
first_seen: dict[tuple[str, str, str], float] = {}  # forgotten at the end, and that is all


class Decider(PureTransformer):
    """Decider() -> an Attempt in, a Decision out."""

    def processMessage(self, attempt: Attempt) -> Decision:
        if attempt.recipient_domain.lower() != "example.org":
            return Decision(Verdict.REJECT, Reason.RELAY_DENIED)
        who = attempt.client, attempt.sender, attempt.recipient
        wait = first_seen.setdefault(who, monotonic()) + seconds - monotonic()
        if len(first_seen) > MOST_REMEMBERED:
            del first_seen[next(iter(first_seen))]  # the oldest: we stay up whoever floods us
        if wait > 0:
            return Decision(Verdict.DEFER, Reason.TOO_EARLY, wait_seconds=int(wait) + 1)
        return Decision(Verdict.PASS, Reason.RETRIED)


def protocol(peer: str, **_: object) -> Graphline:
    session = ServerSession(NAME, capabilities=lambda: offered_by([backend], OFFER))
    return Graphline(
        LINKAGES,
        SESSION=SMTPServerSession(session),
        DESK=ProxyDesk(peer, "one-screen", backend, time),
        DECIDER=Decider(),
        RELAY=SMTPClientSession(backend.host, backend.port, NAME),
    )


server = FastRestartServer(protocol=protocol, host="127.0.0.1", port=port)
with suppress(KeyboardInterrupt):
    mail_port = mail_port or small_mail_server(Mailbox()).activate().address[1]
    backend = Backend("127.0.0.1", mail_port)
    server.activate()
    print(f"swaks --server 127.0.0.1:{server.address[1]} --to anna@example.org", flush=True)
    server.run()
