"""
Numbered messages back into order
=================================
Takes pairs of a number and anything, such as those of a TagWithSequenceNumber, that have come over
a line which reorders and repeats, and sends them on in the order of their numbers, each once.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Protocol.RecoverOrder import RecoverOrder
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource

    packets = [(1, "to"), (3, "or"), (2, "be"), (3, "or"), (4, "not")]
    Pipeline(DataSource(packets), RecoverOrder(bufsize=2), ConsoleEchoer()).run()

It prints::

    (1, 'to')(2, 'be')(3, 'or')(4, 'not')

A message waits for those before it only as long as no more than ``bufsize`` are waiting; then the
missing ones are given up, and come too late if they come at all. At the beginning ``bufsize``
messages are collected first: a receiver that joins late does not know where the numbers begin.

Numbers begin again at 0 after ``modulo - 1``. If they begin again too soon, because the sender was
started anew, this is noticed after some 30 messages, which are lost.

What waits at the end is sent too. (The original kept it, and always held ``bufsize`` messages back,
also if none was missing.)
"""

from __future__ import annotations

from collections.abc import Iterable

from Kamaelia.Support.Data.SequenceWindow import SequenceWindow
from Kamaelia.Util.MessageLoop import MessageLoop


class RecoverOrder(MessageLoop):
    """RecoverOrder(bufsize=30, modulo=2**32) -> (number, ...) in any order in, in order out."""

    Inboxes = {
        "inbox": "(int, object): a number, and what is numbered",
        "control": "producerFinished (send what waits) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "(int, object): the same, in the order of the numbers",
        "signal": "the shutdown that came in",
    }

    def __init__(self, bufsize: int = 30, modulo: int = 2**32, **attributes: object) -> None:
        super().__init__(**attributes)
        self._window: SequenceWindow[object] = SequenceWindow(bufsize, modulo)

    def results(self, message: object) -> Iterable[object]:
        match message:
            case (int(number), *_):
                return self._window.add(number, message)
        raise self.refused(message, "tuples that begin with an int")

    def last_results(self) -> Iterable[object]:
        return self._window.rest()


__kamaelia_components__ = (RecoverOrder,)
