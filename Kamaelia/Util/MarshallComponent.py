"""
Both ways through one class
===========================
A Marshaller and a DeMarshaller of the same class side by side: to be put between a component that
knows objects and a line that knows bytes.

Example Usage
-------------
What goes out is heard again::

    from Kamaelia.Chassis.Graphline import Graphline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.MarshallComponent import BasicMarshallComponent


    class Decimal:
        @staticmethod
        def marshall(number):
            return str(number).encode("ascii")

        @staticmethod
        def demarshall(digits):
            return int(digits)


    Graphline(
        SOURCE=DataSource([1, 23]),
        BOTH=BasicMarshallComponent(Decimal),
        SINK=ConsoleEchoer(use_repr=True),
        linkages={
            ("SOURCE", "outbox"): ("BOTH", "marshall"),
            ("SOURCE", "signal"): ("BOTH", "control"),
            ("BOTH", "marshalled"): ("BOTH", "demarshall"),
            ("BOTH", "demarshalled"): ("SINK", "inbox"),
            ("BOTH", "signal"): ("SINK", "control"),
        },
    ).run()

It prints::

    123

A shutdown at "control" ends first the way out and then the way back.
"""

from __future__ import annotations

from typing import Protocol

from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Util.Marshalling import CanDemarshall, CanMarshall, DeMarshaller, Marshaller


class CanBoth(CanMarshall, CanDemarshall, Protocol):
    """What is needed for both ways."""


def BasicMarshallComponent(klass: CanBoth) -> Graphline:  # noqa: N802 - the original's name
    """BasicMarshallComponent(klass) -> what comes to "marshall" goes out of "marshalled", what
    comes to "demarshall" out of "demarshalled"."""
    return Graphline(
        MARSHALLER=Marshaller(klass),
        DEMARSHALLER=DeMarshaller(klass),
        linkages={
            ("self", "marshall"): ("MARSHALLER", "inbox"),
            ("MARSHALLER", "outbox"): ("self", "marshalled"),
            ("self", "demarshall"): ("DEMARSHALLER", "inbox"),
            ("DEMARSHALLER", "outbox"): ("self", "demarshalled"),
            ("self", "control"): ("MARSHALLER", "control"),
            ("MARSHALLER", "signal"): ("DEMARSHALLER", "control"),
            ("DEMARSHALLER", "signal"): ("self", "signal"),
        },
    )


__kamaelia_prefabs__ = (BasicMarshallComponent,)
