"""
Objects to messages for a line, and back
========================================
A Marshaller sends ``klass.marshall(message)`` for each message, a DeMarshaller
``klass.demarshall(message)``. So one class says how something is written, and both ends use it.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Collate import Collate
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.Marshalling import DeMarshaller, Marshaller


    class Decimal:
        @staticmethod
        def marshall(number):
            return str(number).encode("ascii")

        @staticmethod
        def demarshall(digits):
            return int(digits)


    Pipeline(DataSource([1, 23]), Marshaller(Decimal), Collate(), ConsoleEchoer()).run()
    print()
    Pipeline(DataSource([b"4", b"56"]), DeMarshaller(Decimal), Collate(), ConsoleEchoer()).run()

It prints::

    [b'1', b'23']
    [4, 56]

The class may be any object that has the method. Each message becomes one, also if that is None. An
exception of the method is one of the component: to leave out what a peer sends wrongly, catch it in
the method and put a filter behind. What crosses a stream needs Kamaelia.Protocol.Framing around it,
which keeps messages apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from Kamaelia.Util.MessageLoop import MessageLoop


class CanMarshall(Protocol):
    """What a Marshaller needs."""

    def marshall(self, message: Any, /) -> object:  # noqa: ANN401 - the class says what
        """The message as it goes over the line."""


class CanDemarshall(Protocol):
    """What a DeMarshaller needs."""

    def demarshall(self, wire: Any, /) -> object:  # noqa: ANN401 - the class says what
        """What was made into this."""


class Marshaller(MessageLoop):
    """Marshaller(klass) -> sends klass.marshall(message) for each message."""

    Inboxes = {
        "inbox": "object: what klass.marshall() takes",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "object: what klass.marshall() returned",
        "signal": "the shutdown that came in",
    }

    def __init__(self, klass: CanMarshall, **attributes: object) -> None:
        super().__init__(**attributes)
        self.klass = klass

    def results(self, message: object) -> Iterable[object]:
        return (self.klass.marshall(message),)


class DeMarshaller(MessageLoop):
    """DeMarshaller(klass) -> sends klass.demarshall(message) for each message."""

    Inboxes = {
        "inbox": "object: what klass.demarshall() takes",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "object: what klass.demarshall() returned",
        "signal": "the shutdown that came in",
    }

    def __init__(self, klass: CanDemarshall, **attributes: object) -> None:
        super().__init__(**attributes)
        self.klass = klass

    def results(self, message: object) -> Iterable[object]:
        return (self.klass.demarshall(message),)


__kamaelia_components__ = (Marshaller, DeMarshaller)
