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

It prints::

    one two three

Rules:

* The boxes are linked at once, so a wrong box is an error where the Pipeline is made. The members
  are activated, and become its children, when it runs.
* It sends nothing of its own, and ends when all its members have ended. Stopping it from outside
  (``stop()``) stops them.
* ``Pipeline(..., circular=True)``: the last member feeds the first, and nothing comes out.
* A number before a member limits the messages that may wait in its "inbox" (None: no limit), so
  ``Pipeline(reader, 5, writer)`` lets a slow writer hold a fast reader back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING

from Axon.Box import Inbox, Outbox
from Axon.Component import component
from Axon.Ipc import newComponent, stops_at_once
from Axon.Linkage import Passthrough
from Axon.Sinks import append_though_full

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

    def _start_in_place(self, member: component) -> newComponent:
        """As _start; and for as long as the member lives our inbox and outbox are its own.

        Raises KeyError if it has none."""
        try:
            place = member.inboxes["inbox"].final()
            limit = place.getSize()
            place.setSize(None)  # what waits for it here may be more than it takes at a time
            try:
                self.link((self, "inbox"), (member, "inbox"), Passthrough.INBOX_TO_INBOX)
            finally:
                place.setSize(limit)
            self.link((member, "outbox"), (self, "outbox"), Passthrough.OUTBOX_TO_OUTBOX)
        except KeyError as error:
            error.add_note(f"{self.name} passes its 'inbox' and 'outbox' on to {member.name}")
            raise
        # In the very moment of its end: what comes then waits here for the next one.
        member.call_on_close(lambda: self.unlink(member))
        return self._start(member)

    def _tell(self, member: component, message: object) -> Iterator[object]:
        """Put a message into a member's control, when there is room; without waiting for that once
        we are to stop at once. One that has none, and so cannot be told that, is stopped."""
        control = member.inboxes.get("control")
        if control is None:
            if stops_at_once(message):
                member.stop()
            return
        ours = self.inboxes["control"]
        while isinstance(place := control.final(), Inbox) and place.isFull():
            if any(map(stops_at_once, (message, *ours.q))):
                break
            place.wake_on_collection(self)
            self.pause()
            yield 1
        deliver_though_full(control, message)

    def stop(self) -> None:
        """End it and its members without another turn of theirs."""
        with ExitStack() as stops:  # each is called, whatever another one raises
            stops.callback(super().stop)
            for member in reversed(self.children):
                if not member._isStopped():
                    stops.callback(member.stop)


class Pipeline(MembersMixin, component):
    """Pipeline(*components, circular=False, **attributes) -> the components, linked in a line; an
    int or None before one is the size of its inbox.

    Raises ValueError if there are none or a size is negative, TypeError for what is no component,
    KeyError for a member without the boxes that link it."""

    Inboxes = {
        "inbox": "object: handed to the first member",
        "control": "the shutdown: handed to the first member",
    }
    Outboxes = {
        "outbox": "object: what the last member sends",
        "signal": "the shutdown of the last member",
    }

    circular = False

    def __init__(self, *components: component | int | None, **attributes: object) -> None:
        members, sizes = _members_and_sizes(components)
        if not members:
            raise ValueError("Pipeline() is empty: give it at least one component")
        super().__init__(**attributes)
        self.components = tuple(members)
        first, last = members[0], members[-1]
        for one, following in pairwise(members):
            self._join(one, following)
        self._join(self, first, Passthrough.INBOX_TO_INBOX)
        if self.circular:
            self._join(last, first)
        else:
            self._join(last, self, Passthrough.OUTBOX_TO_OUTBOX)
        for member, size in sizes:
            limit_inbox(member, "inbox", size)

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


def limit_inbox(thecomponent: component, box: str, size: int | None) -> None:
    """Let so many messages wait where this inbox leads, which may be the inbox of a member.

    Raises KeyError, TypeError or ValueError."""
    place = thecomponent.inboxes[box].final()
    if size is not None and (not isinstance(size, int) or isinstance(size, bool)):
        raise TypeError(f"the size of a box is a number of messages or None, not {size!r}")
    if size is not None and size < 0:
        raise ValueError(f"the size of a box is 0 messages or more, not {size}")
    place.setSize(size)


def deliver_though_full(box: Inbox | Outbox, message: object) -> None:
    """Put in the last word of who ends: it cannot wait until there is room where this box leads."""
    place = box.final()
    if isinstance(place, Inbox):
        append_though_full(place.deliver, place, message)


_Sizes = list[tuple[component, int | None]]


def _members_and_sizes(
    arguments: tuple[component | int | None, ...],
) -> tuple[list[component], _Sizes]:
    """The components among the arguments, and the sizes that stand before some of them."""
    members: list[component] = []
    sizes: _Sizes = []
    of_next: list[int | None] = []
    for place, item in enumerate(arguments, 1):
        if isinstance(item, component):
            members.append(item)
            sizes += [(item, size) for size in of_next]
            of_next = []
        elif (item is None or isinstance(item, int)) and place < len(arguments) and not of_next:
            of_next = [item]
        else:
            raise TypeError(
                f"Pipeline takes component instances, and a size before one; argument {place}:"
                f" {item!r}"
            )
    return members, sizes


__kamaelia_components__ = (Pipeline,)
