"""
Not to end before those one looks after
=======================================
A component that has made others, and has told them to stop, gives them time for that. Whoever
still runs when it ends itself is stopped, and so are all when it is stopped. What nobody has read
by then is dropped.

Example Usage
-------------
At the end of a main, when the children have been told::

    yield from self._see_them_end()
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from Kamaelia.Chassis.ConnectedServer import stop_tree

if TYPE_CHECKING:
    from Axon.Component import component

    _Base = component
else:
    _Base = object

STOP_SECONDS = 5.0


class CaretakerMixin(_Base):
    """To be mixed into a component."""

    __slots__ = ()

    def _see_them_end(self) -> Iterator[object]:
        """Until all children have ended, or STOP_SECONDS are over."""
        until = self.now() + STOP_SECONDS
        while any(not child._isStopped() for child in self.children):
            left = until - self.now()
            if left <= 0:
                return
            self.pause(left)
            yield 1

    def _forget_what_came(self) -> None:
        # A last word of a child may name who had it told to stop, and boxes hold on to each other:
        # all of a connection would wait for the garbage collector.
        for name in self.inboxes:
            for _ in self.Inbox(name):
                pass

    def stop(self) -> None:
        # Called at every end of a component, not only when it is stopped.
        with ExitStack() as stops:  # each is called, whatever another one raises
            stops.callback(self._forget_what_came)
            stops.callback(super().stop)
            for child in self.children:
                if not child._isStopped():
                    stops.callback(stop_tree, child)
