"""
Everything that Axon raises
===========================
All are direct subclasses of AxonException, which keeps its arguments as given in ``args``; each
docstring names the usual causes, because the name alone seldom tells a newcomer what to look for.

Example Usage
-------------
A sender that meets a full inbox::

    from Axon.AxonExceptions import noSpaceInBox

    try:
        self.send(message, "outbox")
    except noSpaceInBox as full:
        waiting, capacity = full.args
"""

_SHOWN = 200


class AxonException(Exception):
    """Base of all exceptions of Axon; ``args`` are kept as given."""


class normalShutdown(AxonException):
    """Raised inside the thread of a threaded component that was told to stop while it slept or
    wanted to receive."""


class invalidComponentInterface(AxonException):
    """A component does not declare the boxes that somebody requires of it."""


class noSpaceInBox(AxonException):
    """A message was sent to a size-limited inbox that is full; ``args`` are (messages waiting,
    capacity).

    The usual answer is to keep the message, ``pause()`` and try again: the sender is woken when
    there is room."""


class BadParentTracker(AxonException):
    """The parent given to a tracker is not a tracker."""


class ServiceAlreadyExists(AxonException):
    """A service of that name is registered already."""


class BadComponent(AxonException):
    """What was registered as a service is not a component."""


class BadInbox(AxonException):
    """The component registered as a service has no such inbox."""


class MultipleServiceDeletion(AxonException):
    """The service was deregistered before, or never registered."""


class NamespaceClash(AxonException):
    """A value of that name is tracked already."""


class AccessToUndeclaredTrackedVariable(AxonException):
    """A value was asked for, or updated, that nobody tracks."""


class ArgumentsClash(AxonException):
    """Arguments that exclude each other were given together."""


class BoxAlreadyLinkedToDestination(AxonException):
    """One box was linked to two destinations; ``args`` are (sink asked for, sink it has, source
    box).

    A message has one receiver. To send it to several put a Fanout or a Backplane between.
    """


class LinkageCycle(AxonException):
    """Linkages would lead from a box back to itself, so that a message on it would never arrive;
    ``args``: the box."""


class UnlinkedOutbox(AxonException):
    """In strict mode: a message was sent to an outbox that leads nowhere; ``args`` are (component's
    name, outbox's name, message).

    Usual causes: the outbox was never linked, another name was meant, or the receiver was unlinked
    before. Declare boxes that may stay open and link them to a NullSink."""

    def __str__(self) -> str:
        sender, boxname, message = self.args
        shown = repr(message)
        shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
        return f"{sender} sent {shown} to its outbox {boxname!r}, which is linked to nothing"
