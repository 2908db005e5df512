"""
The console as components
=========================
A ConsoleReader sends the lines that are typed, a ConsoleEchoer shows the messages that it gets.
Together with any component between them they make it something to talk to.

Example Usage
-------------
Type lines, see them again; the end of input (ctrl-D) ends it::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer, ConsoleReader

    Pipeline(ConsoleReader(prompt="say> "), ConsoleEchoer()).run()

Bytes are shown as Python writes them, b'...': which text they are is not the console's to guess,
and a peer's escape sequences never reach the terminal. With text that a stranger wrote use
``use_repr=True`` for the same reason.

Waiting for a line blocks the reader's thread, so a shutdown takes effect after the next line or
the end of input; ``stop()``, and with it ctrl-C, at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.ThreadedComponent import threadedcomponent


class ConsoleReader(threadedcomponent):
    r"""ConsoleReader(prompt=">>> ", eol="\n") -> sends each line typed, with eol after it."""

    Inboxes = {
        "inbox": "object: not read",
        "control": "the shutdown: looked at after each line",
    }
    Outboxes = {
        "outbox": "str: a line and eol",
        "signal": "the shutdown that came in, or producerFinished at the end of input",
    }

    def __init__(self, prompt: str = ">>> ", eol: str = "\n") -> None:
        super().__init__()
        self.prompt = prompt
        self.eol = eol

    def main(self) -> None:
        while not self.told_to_stop():
            try:
                line = input(self.prompt) + self.eol
            except EOFError:
                return
            self._send_when_there_is_room(line)

    def _send_when_there_is_room(self, line: str) -> None:
        while True:
            try:
                self.send(line, "outbox")
            except noSpaceInBox:  # a file may be read faster than its lines are used
                self.pause()
            else:
                return


class ConsoleEchoer(component):
    """ConsoleEchoer(forwarder=False, use_repr=False, tag="") -> writes messages to standard output.

    Each is written as str() or repr() makes it, with tag before it and nothing after it; a
    forwarder also sends it on."""

    Inboxes = {
        "inbox": "object: to be shown",
        "control": "the shutdown: any message here ends it, after what came before it was shown",
    }
    Outboxes = {
        "outbox": "object: what was shown, if it is a forwarder",
        "signal": "the shutdown that came in",
    }

    def __init__(
        self,
        forwarder: bool = False,
        use_repr: bool = False,
        tag: str = "",
        **attributes: object,
    ) -> None:
        super().__init__(**attributes)
        self.forwarder = forwarder
        self.tag = tag
        self.serialise = repr if use_repr else str

    def main(self) -> Iterator[object]:
        while True:
            stopping = self.dataReady("control")
            while self.dataReady("inbox"):
                message = self.recv("inbox")
                sys.stdout.write(f"{self.tag}{self.serialise(message)}")
                if self.forwarder:
                    sys.stdout.flush()  # the next line may take as long as the receiver likes
                    yield from self.put(message, "outbox")
            sys.stdout.flush()  # once for all that was there: a prompt is seen, a flood is quick
            if stopping:
                break
            self.pause()
            yield 1
        for message in self.Inbox("control"):
            self.send(message, "signal")


__kamaelia_components__ = (ConsoleReader, ConsoleEchoer)
