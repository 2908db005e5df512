"""
Talk without end
================
Sends the same greeting again and again, for trying out what comes behind: a display, a server, a
limit.

Example Usage
-------------
Three greetings, then it is told to stop::

    from Axon.Ipc import shutdownMicroprocess
    from Axon.Testing import harness
    from Kamaelia.Util.Chargen import Chargen

    with harness(Chargen()) as h:
        h.run_for(0.3)
        print(*h.take("outbox"), sep="")
        h.finish(shutdownMicroprocess())

It prints::

    Hello World
    Hello World
    Hello World

``Chargen(per_second=1000)`` talks faster, and ``Chargen(greeting=b"hello")`` in bytes, as sockets
need them. The original sent as fast as it could, which fills the memory unless the receiver's box
is limited.
"""

from __future__ import annotations

from Kamaelia.Util.Clock import CheapAndCheerfulClock


class Chargen(CheapAndCheerfulClock):
    """Chargen(per_second=10, greeting="Hello World\\n") -> sends the greeting, so often."""

    Outboxes = {
        "outbox": "object: the greeting",
        "signal": "the shutdown that came in",
    }

    def __init__(
        self, per_second: float = 10, greeting: object = "Hello World\n", **attributes: object
    ) -> None:
        if not per_second > 0:
            raise ValueError(f"per_second must be more than 0, not {per_second!r}")
        super().__init__(1 / per_second, tick_mesg=greeting, **attributes)


__kamaelia_components__ = (Chargen,)
