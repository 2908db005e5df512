"""
One component after another, on request
=======================================
A Carousel makes a component for each message at "next", with a function that it was given, and runs
one at a time in its own place: its "inbox" and "outbox" are those of the component that runs now.
What is made can so depend on what is asked for: a reader for each file, a player for each song.

Example Usage
-------------
A source for each list, the next when the one before has ended::

    from Kamaelia.Chassis.Carousel import Carousel
    from Kamaelia.Chassis.Prefab import JoinChooserToCarousel
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Chooser import ForwardIteratingChooser
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource

    lists = ForwardIteratingChooser([["one\\n", "two\\n"], ["eins\\n", "zwei\\n"]])
    Pipeline(JoinChooserToCarousel(lists, Carousel(DataSource)), ConsoleEchoer()).run()

It prints::

    one
    two
    eins
    zwei

Rules:

* A message at "next" while a component runs: that one gets a shutdownMicroprocess, and is replaced
  once it has ended.
* A component that ends by itself: "NEXT" is sent to "requestNext", unless something waits at "next"
  already, or the Carousel was told to stop. With ``make1stRequest`` also at the start.
* producerFinished: what waits at "next" is still dealt with, then the last component is handed the
  message. shutdownMicroprocess: the component that runs is handed it at once. Either way the
  message goes out of "signal" once that component has ended.
* What a component says at its "signal" goes nowhere: its end is not the Carousel's.
* What comes to "inbox" while no component runs waits for the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from Axon.Component import component
from Axon.Ipc import newComponent, shutdownMicroprocess, stops_at_once
from Kamaelia.Chassis.Pipeline import MembersMixin, deliver_though_full, limit_inbox


class Carousel(MembersMixin, component):
    """Carousel(componentFactory, make1stRequest=False, boxsize=None) -> runs what the factory makes
    of each message at "next", one at a time; boxsize limits what waits at its inbox.

    Raises TypeError for a factory that cannot be called or makes no component, KeyError for a
    component without "inbox", "outbox" and "control"."""

    Inboxes = {
        "inbox": "object: handed to the component that runs",
        "next": "object: what the factory is to make the next component of",
        "control": "the shutdown: handed to the component that runs",
    }
    Outboxes = {
        "outbox": "object: what the component that runs sends",
        "signal": "the shutdown that came in, once the last component has ended",
        "requestNext": "str: NEXT, when a component has ended by itself",
        "_signal": "object: the shutdown for the component that runs",
    }

    announces_end = True
    woken_by_collection = False  # it asks isFull(), or puts

    def __init__(
        self,
        componentFactory: Callable[[Any], component],
        make1stRequest: bool = False,
        boxsize: int | None = None,
        **attributes: object,
    ) -> None:
        if not callable(componentFactory):
            raise TypeError(f"Carousel takes a function or class, not {componentFactory!r}")
        super().__init__(**attributes)
        self.factory = componentFactory
        self.boxsize = boxsize
        if boxsize is not None:
            limit_inbox(self, "inbox", boxsize)
        self._wants_next = make1stRequest
        self._current: component | None = None
        self._told: object = None  # the shutdown that the component which runs was sent

    def main(self) -> Iterator[object]:
        self._request_next()
        while True:
            stop = self.told_to_stop()
            if self._current is not None and self._current._isStopped():
                self._let_go(self._current)
                self._wants_next = not (stop or self.dataReady("next"))
            if self._current is not None:
                self._tell_current(stop)
            elif not stops_at_once(stop) and self.dataReady("next"):
                self._wants_next = False
                yield self._make(self.recv("next"))
                continue
            elif stop:
                break
            else:
                self._request_next()
            self.pause()  # until a message comes, the component ends, or a full box has room
            yield 1
        yield from self.put(stop, "signal")

    def _request_next(self) -> None:
        if self._wants_next and not self.outboxes["requestNext"].isFull():
            self._wants_next = False
            self.send("NEXT", "requestNext")

    def _make(self, wish: object) -> newComponent:
        """Put the component for this message in its place; what this returns starts it."""
        made = self.factory(wish)
        if not isinstance(made, component):
            raise TypeError(f"the factory of {self.name} made no component of {wish!r}: {made!r}")
        if "control" not in made.inboxes:
            raise KeyError(f"{made.name} has no 'control': {self.name} could not tell it to end")
        start = self._start_in_place(made)
        self.link((self, "_signal"), (made, "control"))
        if self.boxsize is not None:
            limit_inbox(made, "inbox", self.boxsize)
        self._current, self._told = made, None
        return start

    def _tell_current(self, stop: object) -> None:
        """Ask the component that runs to end, if there is a reason to; each way once."""
        message: object = stop
        if not stops_at_once(stop) and self.dataReady("next"):
            message = shutdownMicroprocess()
        if stops_at_once(message):
            new = not stops_at_once(self._told)
        else:
            new = message is not None and self._told is None
            new = new and not self.outboxes["_signal"].isFull()
        if new:
            self._told = message
            deliver_though_full(self.outboxes["_signal"], message)

    def _let_go(self, ended: component) -> None:
        self._current = None
        self.removeChild(ended)


__kamaelia_components__ = (Carousel,)
