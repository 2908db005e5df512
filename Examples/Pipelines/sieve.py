"""
A graph: numbers go through a sieve with two outlets, each to a printer of its own.

    python Examples/Pipelines/sieve.py

A Pipeline has one way through. When there are more, a Graphline links boxes by name.
"""

from collections.abc import Iterator

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Util.Console import ConsoleEchoer
from Kamaelia.Util.DataSource import DataSource


class EvenOdd(component):
    """EvenOdd() -> numbers in, the even and the odd ones out by different boxes."""

    Inboxes = {"inbox": "int: a number", "control": "the shutdown: ends it"}
    Outboxes = {
        "even": "int: an even number",
        "odd": "int: an odd number",
        "signal": "the shutdown that came in",
    }

    def main(self) -> Iterator[object]:
        while True:
            for number in self.Inbox("inbox"):
                self.send(number, "odd" if number % 2 else "even")
            for message in self.Inbox("control"):
                if isinstance(message, producerFinished | shutdownMicroprocess):
                    self.send(message, "signal")
                    return
            self.pause()
            yield 1


Graphline(
    NUMBERS=DataSource(range(10)),
    SIEVE=EvenOdd(),
    EVEN=ConsoleEchoer(tag="\neven "),
    ODD=ConsoleEchoer(tag="\n odd "),
    linkages={
        ("NUMBERS", "outbox"): ("SIEVE", "inbox"),
        ("NUMBERS", "signal"): ("SIEVE", "control"),
        ("SIEVE", "even"): ("EVEN", "inbox"),
        ("SIEVE", "odd"): ("ODD", "inbox"),
        # One box leads to one place, so the printers hand the shutdown from one to the other.
        ("SIEVE", "signal"): ("ODD", "control"),
        ("ODD", "signal"): ("EVEN", "control"),
    },
).run()
print()
