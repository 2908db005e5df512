"""
Components side by side
=======================
A PAR runs its members at the same time, and looks like one component from outside: all that they
send comes out of its "outbox", and what it is told goes to each of them. In a Seq it is the step in
which several things happen.

Example Usage
-------------
Two sources, one console::

    from Kamaelia.Chassis.PAR import PAR
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource

    numbers = DataSource(["one\\n", "two\\n"])
    letters = DataSource(["a\\n", "b\\n", "c\\n"])
    Pipeline(PAR(numbers, letters), ConsoleEchoer()).run()

It prints::

    one
    a
    two
    b
    c

Rules:

* Every message at "control" goes to the "control" of every member.
* It ends when all members have ended, and then hands on the producerFinished that it was told, or
  sends one of its own.
* A shutdownMicroprocess ends it at once, and is handed on. Its members have been told, and end by
  themselves in their own time; one without a "control" is stopped.
* What comes to "inbox" is discarded: nobody has said yet who is to have it (``policy`` is the place
  that the original kept for that).
* What a member says at its "signal" goes nowhere: unlike in the original, the end of one does not
  look like the end of all.
"""

from __future__ import annotations

from collections.abc import Iterator

from Axon.Component import component
from Axon.Ipc import is_shutdown, producerFinished, stops_at_once
from Axon.Linkage import Passthrough
from Kamaelia.Chassis.Pipeline import MembersMixin


class PAR(MembersMixin, component):
    """PAR(*components, **attributes) -> the components, running at the same time.

    Raises TypeError for what is no component."""

    Inboxes = {
        "inbox": "object: discarded",
        "control": "the shutdown: every message here goes to every member",
    }
    Outboxes = {
        "outbox": "object: what the members send",
        "signal": "the shutdown that came in, else a producerFinished when all members have ended",
        "_co": "object: unused; the original told its members by these two",
        "_cs": "object: unused; see _co",
    }

    announces_end = True

    policy: object = None

    def __init__(self, *components: component, **attributes: object) -> None:
        for place, member in enumerate(components, 1):
            if not isinstance(member, component):
                raise TypeError(f"PAR takes component instances; argument {place}: {member!r}")
        super().__init__(**attributes)
        self.components = components
        for member in components:
            if "outbox" in member.outboxes:
                self.link((member, "outbox"), (self, "outbox"), Passthrough.OUTBOX_TO_OUTBOX)

    def main(self) -> Iterator[object]:
        yield self._start(*self.components)
        members = list(self.components)
        stop: object = None
        while True:
            for _ in self.Inbox("inbox"):
                pass
            for message in self.Inbox("control"):
                for member in self.components:
                    yield from self._tell(member, message)
                if is_shutdown(message) and not stops_at_once(stop):
                    stop = message
            if stops_at_once(stop) or self._ended(members):
                break
            if not self.anyReady():  # to tell a member may have taken turns
                self.pause()
            yield 1
        self.children = []  # those that are left have been told: our end does not stop them
        yield from self.put(stop if stop is not None else producerFinished(self), "signal")


__kamaelia_components__ = (PAR,)
