# ends: ctrl-c
"""
A milter: it puts a header into each message, and turns one recipient away.

    python Examples/Mail/milter.py [PORT]

Postfix asks it if its main.cf says the first, Sendmail if its .mc file says the second:

    smtpd_milters = inet:127.0.0.1:8891
    INPUT_MAIL_FILTER(`stamp', `S=inet:8891@127.0.0.1, F=T')

    mail server --bytes--> Stamp --bytes--> mail server        (one for each of its connections)

The Wishes say what we may edit, what we are told of, and which commands wait for our answer (R:
each recipient; the end of a message always does). All else goes on without us. `take` hears what
the mail server's client does, event by event; a `match` on their classes says what to do.
"""

import sys
from contextlib import suppress

from Kamaelia.Chassis.ConnectedServer import FastRestartServer
from Kamaelia.Protocol.Milter import MilterSession
from Kamaelia.Support.Protocol.Milter.Commands import Command, EndOfMessage, Recipient
from Kamaelia.Support.Protocol.Milter.Negotiation import Action, Wishes
from Kamaelia.Support.Protocol.Milter.Responses import CONTINUE, add_header, reply

WISHES = Wishes(Action.ADD_HEADERS, replies=b"R")


class Stamp(MilterSession):
    """Stamp(WISHES, peer, ...) -> one connection of a mail server."""

    def take(self, event: Command) -> None:
        match event:
            case Recipient(address) if "nobody@" in address:
                self.answer(reply(550, "5.1.1", "nobody reads this"))
            case Recipient():
                self.answer(CONTINUE)
            case EndOfMessage():
                queue_id = self.session.macro("i") or "unknown"
                self.answer(add_header("X-Seen-By", f"an example, as {queue_id}") + CONTINUE)


def protocol(peer: str, peerport: int, localip: str, localport: int) -> Stamp:
    return Stamp(WISHES, peer=peer, peerport=peerport, localip=localip, localport=localport)


port = int(sys.argv[1]) if sys.argv[1:] else 8891
server = FastRestartServer(protocol=protocol, host="127.0.0.1", port=port)
with suppress(KeyboardInterrupt):
    server.activate()
    print("smtpd_milters = inet:{}:{}".format(*server.address), flush=True)
    server.run()
