"""
Slides on request: RETURN shows the next one, b and RETURN the one before, ctrl-D ends the show.

    python Examples/Pipelines/carousel.py

    +------+       +--------+       +---------+       +----------+       +------+
    | KEYS | ----> | REMOTE | ----> | CHOOSER | ----> | CAROUSEL | ----> | SHOW |
    +------+ lines +--------+ NEXT  +---------+ slide +----------+ text  +------+
                              PREV                     runs a Slide
The Carousel makes a component of each item that comes, and has it run in its place until the next.
"""

from contextlib import suppress

from Axon.Ipc import shutdownMicroprocess
from Axon.OnMessage import AsyncComponent, MessageComponent
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Experimental.Chassis import InboxControlledCarousel
from Kamaelia.Util.Chooser import Chooser
from Kamaelia.Util.Console import ConsoleEchoer, ConsoleReader

SLIDES = (
    "1. A component knows nobody.\n   It has boxes,\n   and works on what comes in.\n",
    "2. Whoever wires them\n   decides who talks to whom.\n   So each can be used again.\n",
    "3. Nobody polls.\n   This program sleeps\n   until you press RETURN.\n",
)


class Remote(MessageComponent):
    """Remote() -> lines typed in, NEXT or PREV out."""

    def on_inbox(self, line: str) -> None:
        self.send("PREV" if line.strip() == "b" else "NEXT")

    def on_stop(self) -> None:
        # No more keys is not the end of a show by itself: a Chooser ends on this message only.
        self.send(shutdownMicroprocess(self), "signal")


class Slide(AsyncComponent):
    """Slide(text) -> the text, line by line, no faster than one can read."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.lines = text.splitlines(keepends=True)

    async def main(self) -> None:
        for line in self.lines:
            self.send(line)
            await self.sleep(0.3)


with suppress(KeyboardInterrupt):
    Pipeline(
        ConsoleReader(prompt=""),
        Remote(),
        Chooser(SLIDES),
        InboxControlledCarousel(Slide),  # a Carousel whose "inbox" is the box for requests
        ConsoleEchoer(),
    ).run()
