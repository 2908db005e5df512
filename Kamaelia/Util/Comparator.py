"""
Compare two streams
===================
Takes one message of each of two inboxes at a time and sends whether they are equal; a subclass
makes something else of the pair.

Example Usage
-------------
The same text by two ways, one of which changes something::

    from Axon.Ipc import producerFinished
    from Axon.Testing import drive
    from Kamaelia.Util.Comparator import Comparator

    print(drive(Comparator(), inA="hello", inB="hallo")["outbox"])


    class Sum(Comparator):
        def combine(self, a, b):
            return a + b


    print(drive(Sum(), inA=[1, 2, 3], inB=[10, 20], control=[producerFinished()])["outbox"])

It prints::

    [True, False, True, True, True]
    [11, 22]

A message without a partner waits for it, and is thrown away at the end. The "inbox" of the original
is there, and leads nowhere in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from Kamaelia.Util.MessageLoop import MessageLoop


class Comparator(MessageLoop):
    """Comparator() -> sends combine(a, b) for each pair of messages."""

    Inboxes = {
        "inbox": "object: not read",
        "inA": "object: first of a pair",
        "inB": "object: second of a pair",
        "control": "producerFinished (finish the pairs that arrived) or shutdownMicroprocess"
        " (stop now)",
    }
    Outboxes = {
        "outbox": "object: what combine() returned, True or False unless a subclass decides",
        "signal": "the shutdown that came in",
    }

    def combine(self, a: object, b: object) -> object:
        """For subclasses: what goes out for a pair."""
        return a == b

    def arrivals(self) -> Iterator[tuple[object, object]]:
        while self.dataReady("inA") and self.dataReady("inB"):
            yield self.recv("inA"), self.recv("inB")

    def results(self, message: tuple[object, object]) -> Iterable[object]:
        return (self.combine(*message),)


comparator = Comparator  # the original's older name

__kamaelia_components__ = (Comparator,)
