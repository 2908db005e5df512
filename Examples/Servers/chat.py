# ends: ctrl-c
"""
A chat server: whatever one says, all hear. The first line that one types is one's name.

    python Examples/Servers/chat.py [PORT]

In two other terminals, or more:

    nc 127.0.0.1 1500

    socket --bytes--> LINES --lines--> GUEST --text--> PublishTo ---> Backplane "CHAT"
    socket <--bytes-- WIRE <----------------text---- SubscribeTo <---/    (a set for each client)

A SubscribeTo also hands on what comes to its "inbox", so that all of a client's set is a Pipeline.
"""

import sys
from collections.abc import Iterator
from contextlib import suppress

from Kamaelia.Chassis.ConnectedServer import FastRestartServer
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Util.Backplane import Backplane, PublishTo, SubscribeTo, WhenFull
from Kamaelia.Util.LineSplit import LineSplit
from Kamaelia.Util.MessageLoop import MessageLoop
from Kamaelia.Util.PureTransformer import PureTransformer


class Guest(MessageLoop):
    """Guest() -> lines of one person in, what all are to read out."""

    name_given = ""

    def results(self, line: bytes) -> Iterator[str]:
        text = line.decode("utf-8", "replace").strip()
        # What strangers type goes to the terminals of others, and must not steer them.
        text = "".join(letter if letter.isprintable() else "?" for letter in text)
        if self.name_given:
            yield f"{self.name_given}: {text}\n"
        elif text:
            self.name_given = text[:20]
            yield f"* {self.name_given} is here\n"

    def last_results(self) -> Iterator[str]:
        if self.name_given:
            yield f"* {self.name_given} has left\n"


def member(**_: object) -> Pipeline:
    lines, wire = LineSplit(limit=1000), PureTransformer(str.encode)
    return Pipeline(lines, Guest(), PublishTo("CHAT"), SubscribeTo("CHAT"), wire)


port = int(sys.argv[1]) if sys.argv[1:] else 1500
Backplane("CHAT", WhenFull.DROP_OLDEST).activate()  # who does not read, does not stop the others
server = FastRestartServer(protocol=member, host="127.0.0.1", port=port)
with suppress(KeyboardInterrupt):
    server.activate()
    print("chat: nc", *server.address, flush=True)
    server.run()
