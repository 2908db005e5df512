"""
Step through a list on command
==============================
A Chooser stands at one item of a list, sends it, and goes to another one when told: a slide show
whose pages are turned by the messages NEXT, PREV, FIRST, LAST and SAME. A ForwardIteratingChooser
knows NEXT and SAME only, and so takes anything that can be iterated over, also without an end.

Example Usage
-------------
Turn some pages::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Chooser import ForwardIteratingChooser
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource

    pages = ForwardIteratingChooser(["one\\n", "two\\n", "three\\n"])
    Pipeline(DataSource(["NEXT", "SAME", "NEXT", "NEXT"]), pages, ConsoleEchoer()).run()

It prints::

    one
    two
    two
    three

A command that leads nowhere (NEXT at the last item of a Chooser that does not loop) sends nothing.
The end of the commands, a producerFinished, is not the end of the show: only a shutdownMicroprocess
stops a Chooser, and a ForwardIteratingChooser also ends when it is told NEXT after its last item.

A ForwardIteratingChooser takes the first item when it is made, each other one when it is asked for.
Unlike the original's, PREV at the first item goes to the last one if it loops, and sends nothing if
it does not; SAME, FIRST and LAST send the item again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from Axon.Component import component
from Axon.Ipc import stops_at_once
from Kamaelia.Util.Stopping import offer

log = logging.getLogger(__name__)

_MOST_SHOWN = 80  # letters of an unknown command in the log
_END = object()


class _Steps(component):
    """What both do: the current item first, then what the commands lead to."""

    woken_by_collection = False  # it asks isFull()

    def _commands(self) -> dict[str, Callable[[], bool]]:
        """For each command the step it stands for; that says whether an item is to be sent."""
        raise NotImplementedError

    def _at_item(self) -> bool:
        """Whether there is a current item."""
        raise NotImplementedError

    def _over(self) -> bool:
        return False

    def getCurrentChoice(self) -> Any:  # noqa: ANN401, N802 - anything; the original's name
        raise NotImplementedError

    def main(self) -> Iterator[object]:
        commands = self._commands()
        if self._at_item() and not (yield from offer(self, self.getCurrentChoice())):
            return
        while not (self._over() or stops_at_once(self.told_to_stop())):
            if not self.dataReady("inbox"):
                self.pause()
                yield 1
            elif self._obey(self.recv("inbox"), commands):
                yield from offer(self, self.getCurrentChoice())

    def _obey(self, command: object, commands: dict[str, Callable[[], bool]]) -> bool:
        step = commands.get(command) if isinstance(command, str) else None
        if step is None:
            shown = repr(command)[:_MOST_SHOWN]
            log.warning("%s: no such command: %s; it knows %s", self.name, shown, list(commands))
            return False
        return step()


class Chooser(_Steps):
    """Chooser(items=(), loop=False) -> sends the first item, then those that the commands lead to.

    loop: the last item is followed by the first."""

    Inboxes = {
        "inbox": "str: NEXT, PREV, FIRST, LAST or SAME",
        "control": "shutdownMicroprocess (stop now); a producerFinished changes nothing",
    }
    Outboxes = {
        "outbox": "object: the item it stands at now",
        "signal": "the shutdown that came in",
    }

    def __init__(self, items: Iterable[Any] = (), loop: bool = False, **attributes: object) -> None:
        super().__init__(**attributes)
        self.items = list(items)
        self.loop = loop
        self._at = 0

    def _commands(self) -> dict[str, Callable[[], bool]]:
        return {
            "NEXT": self.gotoNext,
            "PREV": self.gotoPrev,
            "FIRST": self.gotoFirst,
            "LAST": self.gotoLast,
            "SAME": self._at_item,
        }

    def _at_item(self) -> bool:
        return bool(self.items)

    def getCurrentChoice(self) -> Any:  # noqa: ANN401, N802 - anything; the original's name
        """The item it stands at. Raises IndexError if there are none."""
        return self.items[self._at]

    def gotoNext(self) -> bool:  # noqa: N802 - the original's name
        """Go to the next item; False if there is none."""
        return self._go(self._at + 1)

    def gotoPrev(self) -> bool:  # noqa: N802 - the original's name
        """Go to the item before; False if there is none."""
        return self._go(self._at - 1)

    def gotoFirst(self) -> bool:  # noqa: N802 - the original's name
        return self._go(0)

    def gotoLast(self) -> bool:  # noqa: N802 - the original's name
        return self._go(len(self.items) - 1)

    def _go(self, place: int) -> bool:
        if self.loop and self.items:
            place %= len(self.items)
        there = 0 <= place < len(self.items)
        if there:
            self._at = place
        return there


class ForwardIteratingChooser(_Steps):
    """ForwardIteratingChooser(items=()) -> sends the first item, the next one at each NEXT, and
    producerFinished at a NEXT after the last one."""

    Inboxes = {
        "inbox": "str: NEXT or SAME",
        "control": "shutdownMicroprocess (stop now); a producerFinished changes nothing",
    }
    Outboxes = {
        "outbox": "object: the item it stands at now",
        "signal": "the shutdownMicroprocess that came in, or producerFinished after the last item",
    }

    def __init__(self, items: Iterable[Any] = (), **attributes: object) -> None:
        super().__init__(**attributes)
        self.items = iter(items)  # those that come after the current one
        self._current: Any = next(self.items, _END)
        self._ended = self._current is _END

    def _commands(self) -> dict[str, Callable[[], bool]]:
        return {"NEXT": self.gotoNext, "SAME": self._at_item}

    def _at_item(self) -> bool:
        return self._current is not _END

    def _over(self) -> bool:
        return self._ended

    def getCurrentChoice(self) -> Any:  # noqa: ANN401, N802 - anything; the original's name
        """The item it stands at, to the end the last one. Raises IndexError if there are none."""
        if not self._at_item():
            raise IndexError(f"{self.name} has no items")
        return self._current

    def gotoNext(self) -> bool:  # noqa: N802 - the original's name
        """Go to the next item; False if there is none."""
        following = next(self.items, _END)
        self._ended = following is _END
        if not self._ended:
            self._current = following
        return not self._ended


__kamaelia_components__ = (Chooser, ForwardIteratingChooser)
