"""
A graph with a way back: a number is halved if it is even and else 3n + 1, again and again until 1.

    python Examples/Pipelines/graphline.py [NUMBER]

           +--------+ even --> HALVE ----+
    +----> | SORTER |                    |
    |      |        | odd ---> TRIPLE --+|
    |      +--------+                   ||
    |          | seen                   ||
    |          +-------------> SHOW     ||
    +-----------------------------------++

A Pipeline has one way through. When there are more, a Graphline links boxes by name: an outbox to
one inbox, while an inbox may be the end of many. The end goes its own way, along the "signal"s.
"""

import sys

from Axon.OnMessage import AsyncComponent
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Util.Console import ConsoleEchoer
from Kamaelia.Util.PureTransformer import PureTransformer


class Sorter(AsyncComponent):
    """Sorter() -> numbers in, the even and the odd ones out by different boxes; ends after a 1."""

    ExtraOutboxes = {"even": "int: an even one", "odd": "int: an odd one", "seen": "str: each"}

    async def main(self) -> None:
        async for number in self.messages():
            self.send(f"{number} ", "seen")
            if number == 1:
                return  # which Axon says at "signal"
            self.send(number, "odd" if number % 2 else "even")


sorter = Sorter()
sorter.inboxes["inbox"].deliver(max(1, int(sys.argv[1])) if sys.argv[1:] else 7)
Graphline(
    SORTER=sorter,
    HALVE=PureTransformer(lambda number: number // 2),
    TRIPLE=PureTransformer(lambda number: 3 * number + 1),
    SHOW=ConsoleEchoer(),
    linkages={
        ("SORTER", "even"): ("HALVE", "inbox"),
        ("SORTER", "odd"): ("TRIPLE", "inbox"),
        ("HALVE", "outbox"): ("SORTER", "inbox"),
        ("TRIPLE", "outbox"): ("SORTER", "inbox"),
        ("SORTER", "seen"): ("SHOW", "inbox"),
        ("SORTER", "signal"): ("HALVE", "control"),
        ("HALVE", "signal"): ("TRIPLE", "control"),
        ("TRIPLE", "signal"): ("SHOW", "control"),
    },
).run()
print()
