"""
Messages of the network components
==================================
What a server, a connection and the Selector say to each other, beside the data. Two are shutdown
messages and so may go to any "control" box: a component that knows nothing of sockets understands
them as what they derive from.

    producerFinished
        socketShutdown      the peer, or the network, ended this connection
    shutdownMicroprocess
        serverShutdown      to a server: stop listening
    notify(caller, payload), the payload is kept as ``object``
        newServer           a listening socket is there
        newCSA              a connection came: its component, and its socket
        shutdownCSA         that component is done with its socket
        newReader newWriter newExceptional           payload ((component, inbox name), selectable)
        removeReader removeWriter removeExceptional  payload selectable

Example Usage
-------------
A protocol that wants to know how its connection ended::

    for message in self.Inbox("control"):
        match message:
            case socketShutdown():
                log.info("the peer is gone: %s", message.message)
            case producerFinished() | shutdownMicroprocess():
                log.info("we were told to stop")
"""

from __future__ import annotations

from Axon.Ipc import notify, producerFinished, shutdownMicroprocess


class socketShutdown(producerFinished):
    """socketShutdown(caller=None, message=None): no more will come from this connection; message
    says why."""

    __slots__ = ()


class serverShutdown(shutdownMicroprocess):
    """serverShutdown(*microprocesses): stop listening, and end."""

    __slots__ = ()


class newCSA(notify):
    """newCSA(caller, CSA, sock=None): the connection adapter CSA was made for a new connection."""

    __slots__ = ("sock",)

    def __init__(
        self,
        caller: object,
        CSA: object,  # noqa: N803 - the original's keyword
        sock: object = None,
    ) -> None:
        super().__init__(caller, CSA)
        self.sock = sock

    def handlesWriting(self) -> bool:
        """True: the payload wants to know when it can write, not only when it can read."""
        return True


class shutdownCSA(notify):
    """shutdownCSA(caller, payload): the adapter (alone, or with its socket) is done."""

    __slots__ = ()


class newServer(notify):
    """newServer(caller, payload): a listening socket is to be watched."""

    __slots__ = ()


class newReader(notify):
    """newReader(caller, ((component, inbox name), selectable)): tell once when it is readable."""

    __slots__ = ()


class newWriter(notify):
    """newWriter(caller, ((component, inbox name), selectable)): tell once when it is writable."""

    __slots__ = ()


class newExceptional(notify):
    """newExceptional(caller, ((component, inbox name), selectable)): tell once of urgent data."""

    __slots__ = ()


class removeReader(notify):
    """removeReader(caller, selectable): forget the newReader."""

    __slots__ = ()


class removeWriter(notify):
    """removeWriter(caller, selectable): forget the newWriter."""

    __slots__ = ()


class removeExceptional(notify):
    """removeExceptional(caller, selectable): forget the newExceptional."""

    __slots__ = ()


__all__ = [
    "newCSA",
    "newExceptional",
    "newReader",
    "newServer",
    "newWriter",
    "notify",
    "producerFinished",
    "removeExceptional",
    "removeReader",
    "removeWriter",
    "serverShutdown",
    "shutdownCSA",
    "shutdownMicroprocess",
    "socketShutdown",
]
