"""
Asking a milter: the MTA's side as a component
==============================================
A thin component over Kamaelia.Support.Protocol.Milter.MTASession: tells a filter what a client
does, one command after the other, and hands on what the filter says to each. (The other side is
Kamaelia.Protocol.Milter.)

Example Usage
-------------
What does a milter say to these recipients? For one on a port put a TCPClient in its place::

    from Kamaelia.Chassis.Graphline import Graphline
    from Kamaelia.Protocol.Milter import MilterSession
    from Kamaelia.Protocol.MilterClient import MilterClient
    from Kamaelia.Support.Protocol.Milter.Commands import Connect, MailFrom, Quit, Recipient
    from Kamaelia.Support.Protocol.Milter.Negotiation import Wishes
    from Kamaelia.Support.Protocol.Milter.Responses import CONTINUE, reply
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.PureTransformer import PureTransformer

    class Choosy(MilterSession):
        def take(self, event):
            if isinstance(event, Recipient):
                known = "anna" in event.address
                self.answer(CONTINUE if known else reply(550, "5.1.1", "never heard of"))

    def line(answered):
        if isinstance(answered.command, Recipient):
            return f"{answered.command.address} {answered.final.text or 'goes on'}\\n"

    commands = [
        Connect("mx.example.net", "4", 25, "192.0.2.7"),
        MailFrom("<bob@example.net>"),
        Recipient("<anna@example.org>"),
        Recipient("<carl@example.org>"),
        Quit(),
    ]
    Graphline(
        ASK=DataSource(commands),
        MTA=MilterClient(),
        MILTER=Choosy(Wishes(replies=b"R")),
        LINES=PureTransformer(line),
        SHOW=ConsoleEchoer(),
        linkages={
            ("ASK", "outbox"): ("MTA", "commands"),
            ("MTA", "outbox"): ("MILTER", "inbox"),
            ("MILTER", "outbox"): ("MTA", "inbox"),
            ("MTA", "answers"): ("LINES", "inbox"),
            ("LINES", "outbox"): ("SHOW", "inbox"),
            ("MTA", "signal"): ("LINES", "control"),
            ("LINES", "signal"): ("SHOW", "control"),
        },
    ).run()

It prints::

    <anna@example.org> goes on
    <carl@example.org> 550 5.1.1 never heard of

Rules. There is one Answered for each command, in order; `final` is None if the filter does not wish
to be told, or the command is not answered. A command waits until the one before has its answer. A
Macros command belongs to the one behind it and has no Answered. When the filter goes away, or says
what no filter may say, the component ends, and what has no Answered was not answered: whoever asks
for a decision then makes one of his own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from Axon.Component import component
from Kamaelia.Support.Protocol.Milter.Commands import Command, Macros, Negotiate, Quit
from Kamaelia.Support.Protocol.Milter.MTASession import FULL_OFFER, MTASession, Response
from Kamaelia.Support.Protocol.Milter.Packets import MilterProtocolError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answered:
    """What a filter said to a command: edits (at the end of a message only) and its answer."""

    command: Command
    edits: tuple[Response, ...] = ()
    final: Response | None = None


class MilterClient(component):
    """MilterClient(offer=FULL_OFFER) -> a connection to a filter, for an MTA that offers this."""

    Inboxes = {
        "inbox": "bytes: from the filter, sliced anywhere",
        "control": "producerFinished or shutdownMicroprocess: the connection is over",
        "commands": "Command: what a client does, in order; a Quit ends it",
    }
    Outboxes = {
        "outbox": "bytes: to the filter",
        "answers": "Answered: one a command, in order",
        "signal": "the shutdown that came in, or producerFinished after a Quit or a bad answer",
    }

    def __init__(self, offer: Negotiate = FULL_OFFER) -> None:
        super().__init__()
        self.session = MTASession(offer)
        self._asked: Command | None = None
        self._edits: list[Response] = []
        self._macros: dict[str, str] | None = None
        self._over = False

    def main(self) -> Iterator[object]:
        self.send(self.session.negotiate(), "outbox")
        while not self.told_to_stop():
            try:
                for data in self.Inbox("inbox"):
                    self.session.receive_data(data)
                    self._hear()
                if self.session.agreement is not None:
                    self._ask()
            except MilterProtocolError as error:
                log.warning("milter left: %s", error)
                return
            if self._over:
                return
            self.pause()
            yield 1

    def _hear(self) -> None:
        while (response := self.session.next_response()) is not None:
            if response.final:
                self._answered(response)
            elif response.kind not in (b"O", b"p"):
                self._edits.append(response)
            self._ask()

    def _ask(self) -> None:
        """Tell all that can be told now."""
        session = self.session
        while not (session.waiting or self._over) and self.dataReady("commands"):
            command = self.recv("commands")
            if isinstance(command, Macros):
                self._macros = command.values
                continue
            wire = session.tell(command, self._macros)
            self._asked, self._macros = command, None
            if wire:
                self.send(wire, "outbox")
            if not session.waiting:
                self._answered(None)
            self._over = isinstance(command, Quit)

    def _answered(self, final: Response | None) -> None:
        if self._asked is not None:
            self.send(Answered(self._asked, tuple(self._edits), final), "answers")
            self._asked, self._edits = None, []


__kamaelia_components__ = (MilterClient,)
