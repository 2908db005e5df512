"""
Ways to be told to stop
=======================
What components share who may be told to stop while they wait: ``arrival`` waits for a message,
``offer`` sends as ``put`` does, but gives up when a shutdownMicroprocess comes while the receiver
has no room, and ``EndsOnAnyControl`` is for those that any message at "control" ends.

Example Usage
-------------
A source that never ends by itself, before a receiver that takes nothing; it stops when told::

    from Axon.Component import component
    from Axon.Ipc import shutdownMicroprocess
    from Axon.Testing import harness
    from Kamaelia.Util.Stopping import offer


    class Counter(component):
        def main(self):
            number = 0
            while (yield from offer(self, number)):
                number += 1


    with harness(Counter()) as h:
        h.limit(3)
        h.run_for(60)
        h.finish(shutdownMicroprocess())
        print(h.take("outbox"))

It prints::

    [0, 1, 2]

With ``put`` that source would sleep for ever: ``put`` waits for room and for nothing else.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from Axon.Ipc import producerFinished, stops_at_once

if TYPE_CHECKING:
    from Axon.Component import component

    _Base = component
else:
    _Base = object


def arrival(receiver: component) -> Generator[object, None, bool]:
    """Wait for a message: ``while (yield from arrival(self)): ... self.recv("inbox")``.

    Returns False once a shutdownMicroprocess has come to control, or another shutdown and nothing
    is left in the inbox."""
    while not stops_at_once(stop := receiver.told_to_stop()):
        if receiver.dataReady("inbox"):
            return True
        if stop:
            return False
        receiver.pause()
        yield 1
    return False


def offer(
    sender: component, message: object, boxname: str = "outbox", patient: bool = True
) -> Generator[object, None, bool]:
    """Send as soon as the receiver has room: ``if not (yield from offer(self, message)): return``.

    Returns False, with nothing sent, once a shutdownMicroprocess has come to control; not patient:
    or any other shutdown, since the message is worth nothing by then."""
    while not (stops_at_once(stop := sender.told_to_stop()) or (stop and not patient)):
        if not sender.outboxes[boxname].isFull():
            sender.send(message, boxname)
            return True
        sender.pause()  # until there is room, or something comes in
        yield 1
    return False


class EndsOnAnyControl(_Base):
    """Mixed in before component: any message at control ends it, and is handed on.

    One that is no shutdown message counts as a producerFinished from its sender."""

    _heard = False

    def told_to_stop(self, boxname: str = "control") -> Any:  # noqa: ANN401 - as the engine's
        self._heard = self._heard or bool(self.dataReady(boxname))
        return super().told_to_stop(boxname) or (producerFinished(self) if self._heard else None)
