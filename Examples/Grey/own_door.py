# ends: ctrl-c
"""
A door of one's own: the greylister, asked by whatever can write a line to a port.

    python Examples/Grey/own_door.py [PORT [SECONDS]]

In another terminal, twice, ten seconds apart:

    $ echo '192.0.2.7 bob@example.net anna@example.org' | nc -N 127.0.0.1 1525
    defer 451 4.7.1 Greylisting in action, please come back in 00:00:10 (0a51c6ce8b)
    $ echo '192.0.2.7 bob@example.net anna@example.org' | nc -N 127.0.0.1 1525
    pass retried (5d1c24a1f0)

    client --bytes--> LineSplit --line--> AskDoor --Attempt--> decider of the GreyServer
                                client <--bytes-- AskDoor <--Decision--'

A door turns what somebody says into Attempts, and Decisions into what he hears; records, rules,
look-ups and the log are behind the decider, the same for all doors. The GreyServer here has none of
its own (`listening=[]`); leave that out, and it opens those of its configuration, too.
"""

import secrets
import sys
from collections.abc import Iterator
from contextlib import suppress

from Axon.Component import component
from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Core.Access.Evaluate import RuleSet
from Kamaelia.Apps.Grey.Core.Types import Attempt, Decision, Verdict
from Kamaelia.Apps.Grey.FrontDoor.Words import said
from Kamaelia.Apps.Grey.Server import GreyServer
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Chassis.ConnectedServer import FastRestartServer
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Util.LineSplit import LineSplit

LONGEST, MOST_LINES = 1_000, 100  # bytes of a line; lines that wait


class AskDoor(component):
    """AskDoor(decider) -> lines "CLIENT SENDER RECIPIENT" in, a line for each out, in order."""

    Inboxes = {
        "inbox": "bytes: a line; a null sender is <>",
        "decisions": "Decision: for the Attempt under way",
        "control": "producerFinished (answer what arrived) or shutdownMicroprocess (the same)",
    }
    Outboxes = {
        "outbox": "bytes: an answer, a line",
        "attempts": "Attempt: for the decider",
        "signal": "the shutdown that came in",
    }

    def __init__(self, decider: component) -> None:
        super().__init__()
        self.setInboxSize("inbox", MOST_LINES)  # then TCP holds the client back
        self.link((self, "attempts"), (decider, "inbox"))
        self._asked = ""  # the session that waits for its Decision; the next line waits, too

    def main(self) -> Iterator[object]:
        while True:
            if self.dataReady("decisions"):  # nearly always within the send of its Attempt
                self._answer(self.recv("decisions"))
            elif not self._asked and self.dataReady("inbox"):
                self._ask(self.recv("inbox"))
            elif not self._asked and (stop := self.told_to_stop()):
                break
            else:
                self.pause()
            yield 1
        self.send(stop, "signal")

    def _ask(self, line: bytes) -> None:
        words = line.decode("utf-8", "backslashreplace").split()
        if len(words) != 3:
            self.send(b"? CLIENT SENDER RECIPIENT\n", "outbox")
            return
        client, sender, recipient = (word.strip("<>") for word in words)
        local, _, domain = recipient.rpartition("@")
        self._asked = secrets.token_hex(5)  # to find it in the log by
        attempt = Attempt(
            *(client, "", sender, recipient, self._asked, local, domain),
            mta=True,  # whoever asks knows for whom he takes mail
            reply_to=(self, "decisions"),
        )
        self.send(attempt, "attempts")

    def _answer(self, decision: Decision) -> None:
        passed = decision.verdict is Verdict.PASS
        words = decision.reason.value if passed else " ".join(map(str, said(decision)))
        line = f"{decision.verdict.value} {words} ({self._asked})\n"
        self.send(line.encode("ascii"), "outbox")
        self._asked = ""


class Grey(GreyServer):
    """Grey(config, ...) -> the greylister with its decider in sight. A reload makes another."""

    def make_decider(self, config: Config, rules: RuleSet, lookups: component | None) -> component:
        self.decider = super().make_decider(config, rules, lookups)
        return self.decider


port, seconds = [*map(int, sys.argv[1:]), *(1525, 10)[len(sys.argv) - 1 :]]
config = loads(f"greylist_delay = {seconds}s\nnospf = yes\nallowed_senders =\n")
grey = Grey(config, open_store=MemoryStore, listening=[])
server = FastRestartServer(
    protocol=lambda **_: Pipeline(LineSplit(limit=LONGEST), AskDoor(grey.decider)),
    host="127.0.0.1",
    port=port,
)
with suppress(KeyboardInterrupt):
    grey.activate()
    server.activate()
    print("ask: nc -N", *server.address, flush=True)
    server.run()
