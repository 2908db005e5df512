"""
Drop those who are idle
=======================
For connections: ``NoActivityTimeout`` makes a kind of ConnectedSocketAdapter that closes when no
byte has gone either way for a time, to be given to a server as its ``CSA``. For other components:
what is in an ``InactivityChassis`` is told to finish when nothing has come to its inbox or out of
its outbox for a time.

Example Usage
-------------
An echo server that forgets clients which say nothing for a minute::

    # ends: ctrl-c
    from Kamaelia.Chassis.ConnectedServer import ServerCore
    from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
    from Kamaelia.Internet.TCPServer import TCPServer
    from Kamaelia.Internet.TimeOutCSA import NoActivityTimeout
    from Kamaelia.Protocol.EchoProtocol import EchoProtocol


    class PatientTCPServer(TCPServer):
        CSA = NoActivityTimeout(ConnectedSocketAdapter, timeout=60)


    ServerCore(protocol=EchoProtocol, port=1500, TCPS=PatientTCPServer).run()

How does it work?
-----------------
A connection has one timer in the scheduler. A byte moves the timer's time and touches nothing else,
so that activity costs next to nothing; there is no thread and no further component.

InactivityChassis is a Graphline of three: the component, an ActivityMonitor through which all its
messages pass, and a ResettableSender that is told of each. It ends with the component that is in
it. (In the original both had a thread for each connection, which outlived it.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import producerFinished
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
from Kamaelia.Util.PassThrough import PassThrough


def NoActivityTimeout(  # noqa: N802 - the original's name
    someclass: type[ConnectedSocketAdapter] = ConnectedSocketAdapter,
    timeout: float = 2,
    debug: bool = False,
) -> type[ConnectedSocketAdapter]:
    """A subclass of someclass that closes after timeout seconds without activity. debug is taken
    and not needed."""
    _check(timeout)
    return type(f"{someclass.__name__}WithTimeout", (someclass,), {"inactivity_timeout": timeout})


def _check(timeout: float) -> None:
    if timeout <= 0:
        raise ValueError(f"a time-out of {timeout} seconds leaves no time for anything")


class ActivityMonitor(PassThrough):
    """ActivityMonitor() -> hands messages on, and shows each at "observed"."""

    Inboxes = {
        "inbox": "object: goes to outbox",
        "inbox2": "object: goes to outbox2",
        "inbox3": "object: goes to outbox3",
        "control": "the shutdown: producerFinished ends it after all that came has gone out",
    }
    Outboxes = {
        "outbox": "object: from inbox",
        "outbox2": "object: from inbox2",
        "outbox3": "object: from inbox3",
        "observed": "object: each of them once more; those for which there is no room are left out",
        "signal": "the shutdown that came in, and whatever else came to control",
    }

    Connections = {"inbox": "outbox", "inbox2": "outbox2", "inbox3": "outbox3"}

    def _move(self) -> bool:
        """Each pair by itself: one that is full does not hold the others."""
        moved = [self._move_pair(*pair) for pair in self.Connections.items()]
        return all(moved)

    def _move_pair(self, inbox: str, outbox: str) -> bool:
        while self.dataReady(inbox):
            if self.outboxes[outbox].isFull():
                return False
            message = self.recv(inbox)
            self.send(message, outbox)
            with suppress(noSpaceInBox):  # that there is activity, it knows without this one
                self.send(message, "observed")
        return True


class ResettableSender(component):
    """ResettableSender(timeout=5, message="NEXT") -> sends message when nothing has come for
    timeout seconds; the next message that comes starts the time again."""

    Inboxes = {
        "inbox": "object: starts the time again",
        "control": "producerFinished or shutdownMicroprocess: end",
    }
    Outboxes = {
        "outbox": "object: message, once for each silence",
        "signal": "the shutdown that came in",
    }

    timeout: float = 5  # seconds
    message: object = "NEXT"

    def main(self) -> Iterator[object]:
        due: float | None = self.now() + self.timeout
        while not self.told_to_stop():
            for _activity in self.Inbox("inbox"):
                due = self.now() + self.timeout
            left = None if due is None else due - self.now()
            if left is not None and left <= 0:
                due = None
                yield from self.put(self.message)
            else:
                self.pause(left)
                yield 1


def InactivityChassis(  # noqa: N802 - the original's name
    component: component, timeout: float = 2, debug: bool = False
) -> Graphline:
    """The component in a Graphline with the same boxes; it is told producerFinished when for
    timeout seconds nothing has come to its inbox or out of its outbox. debug is taken and not
    needed."""
    _check(timeout)
    timer = ResettableSender(timeout=timeout, message=producerFinished())
    linkages = {
        ("self", "inbox"): ("MONITOR", "inbox"),
        ("MONITOR", "outbox"): ("OBSERVED", "inbox"),
        ("OBSERVED", "outbox"): ("MONITOR", "inbox2"),
        ("MONITOR", "outbox2"): ("self", "outbox"),
        ("MONITOR", "observed"): ("TIMER", "inbox"),
        ("TIMER", "outbox"): ("OBSERVED", "control"),
        # In this order, so that the end comes after the last data.
        ("self", "control"): ("OBSERVED", "control"),
        ("OBSERVED", "signal"): ("TIMER", "control"),
        ("TIMER", "signal"): ("MONITOR", "control"),
        ("MONITOR", "signal"): ("self", "signal"),
    }
    if "CreatorFeedback" in component.outboxes:
        linkages["OBSERVED", "CreatorFeedback"] = ("MONITOR", "inbox3")
        linkages["MONITOR", "outbox3"] = ("self", "CreatorFeedback")
    # For one that ends without a word, such as a ConnectedSocketAdapter.
    tell = timer.inboxes["control"].deliver
    component.call_on_close(lambda: tell(producerFinished()))
    return Graphline(linkages, OBSERVED=component, MONITOR=ActivityMonitor(), TIMER=timer)


def ExtendedInactivity(  # noqa: N802 - the original's name
    someclass: Callable[..., component],
) -> Callable[..., Graphline]:
    """A factory that takes someclass's arguments, and timeout= and debug= of InactivityChassis."""

    def make(*args: Any, timeout: float = 2, debug: bool = False, **attributes: Any) -> Graphline:  # noqa: ANN401
        return InactivityChassis(someclass(*args, **attributes), timeout, debug)

    return make


__kamaelia_components__ = (ActivityMonitor, ResettableSender)
__kamaelia_prefabs__ = (NoActivityTimeout, InactivityChassis, ExtendedInactivity)
