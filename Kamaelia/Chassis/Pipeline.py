"""
A line of components
====================
Each member's "outbox" and "signal" lead to the next one's "inbox" and "control". The Pipeline is a
component itself: what is sent to it goes to its first member, and what its last one sends comes out
of it, so a Pipeline may be a member of another.

Example Usage
-------------
Count to three::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource

    Pipeline(DataSource(["one ", "two ", "three"]), ConsoleEchoer()).run()

Rules:

* The boxes are linked at once, so a wrong box is an error where the Pipeline is made. The members
  are activated, and become its children, when it runs.
* It sends nothing of its own, and ends when all its members have ended. Stopping it from outside
  (``stop()``) stops them.
* ``Pipeline(..., circular=True)``: the last member feeds the first, and nothing comes out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING

from Axon.Component import component
from Axon.Ipc import newComponent
from Axon.Linkage import Passthrough

if TYPE_CHECKING:
    _Base = component
else:
    _Base = object


class MembersMixin(_Base):
    """What a chassis does with its members beside linking them; to be mixed into a component."""

    __slots__ = ()

    announces_end = False  # what its members say, and when, is all that it says

    def _start(self, *members: component) -> newComponent:
        """Make them children; what this returns is to be yielded, and activates them."""
        self.addChildren(*members)
        return newComponent(*members)

    @staticmethod
    def _ended(members: list[component]) -> bool:
        """True if all have ended; takes those away from the end of the list that have.

        Called whenever a member ends: looking only at the list's end costs each of ten thousand
        members the same as each of two."""
        while members and members[-1]._isStopped():
            members.pop()
        return not members

    def stop(self) -> None:
        """End it and its members without another turn of theirs."""
        with ExitStack() as stops:  # each is called, whatever another one raises
            stops.callback(super().stop)
            for member in reversed(self.children):
                if not member._isStopped():
                    stops.callback(member.stop)


class Pipeline(MembersMixin, component):
    """Pipeline(*components, circular=False, **attributes) -> the components, linked in a line.

    Raises ValueError if there are none, TypeError for what is no component, KeyError for a member
    without the boxes that link it."""

    Inboxes = {
        "inbox": "object: handed to the first member",
        "control": "the shutdown: handed to the first member",
    }
    Outboxes = {
        "outbox": "object: what the last member sends",
        "signal": "the shutdown of the last member",
    }

    circular = False

    def __init__(self, *components: component, **attributes: object) -> None:
        if not components:
            raise ValueError("Pipeline() is empty: give it at least one component")
        for place, member in enumerate(components, 1):
            if not isinstance(member, component):
                raise TypeError(f"Pipeline takes component instances; argument {place}: {member!r}")
        super().__init__(**attributes)
        self.components = components
        first, last = components[0], components[-1]
        for one, following in pairwise(components):
            self._join(one, following)
        self._join(self, first, Passthrough.INBOX_TO_INBOX)
        if self.circular:
            self._join(last, first)
        else:
            self._join(last, self, Passthrough.OUTBOX_TO_OUTBOX)

    def _join(
        self,
        one: component,
        other: component,
        direction: Passthrough = Passthrough.OUTBOX_TO_INBOX,
    ) -> None:
        ins, outs = ("inbox", "control"), ("outbox", "signal")
        sources = ins if direction is Passthrough.INBOX_TO_INBOX else outs
        sinks = outs if direction is Passthrough.OUTBOX_TO_OUTBOX else ins
        for source, sink in zip(sources, sinks, strict=True):
            try:
                self.link((one, source), (other, sink), direction)
            except KeyError as error:
                error.add_note(f"a Pipeline links {one.name} {source!r} to {other.name} {sink!r}")
                raise

    def main(self) -> Iterator[object]:
        yield self._start(*self.components)
        members = list(self.components)
        while not self._ended(members):
            self.pause()  # until one of them ends: that wakes us
            yield 1


__kamaelia_components__ = (Pipeline,)
