"""
Acting on a message in the moment in which it is sent
=====================================================
Usually a message lies in an inbox until its component has a turn. Where a message only has to be
looked at and handed on, that turn costs more than the work. ``act_at_once`` makes an inbox call a
function with each message instead, inside the sender's own ``send``: a request to such a component
and its answer cost no turn of anybody.

Example Usage
-------------
A component that answers while it is asked::

    class Doubler(component):
        Inboxes = {"inbox": "int: to be doubled", "control": "the shutdown"}

        def __init__(self):
            super().__init__()
            act_at_once(self, "inbox", self.double)

        def double(self, number):
            self.send(2 * number, "outbox")

        def main(self):
            while not self.told_to_stop():
                self.pause()
                yield 1

Rules. The function is a method of the component; it must be short and must not wait, since it runs
in somebody else's turn. It must not send to whoever may be calling it something on which that one
acts at once, too: two such boxes that lead to each other would call each other for ever.

noSpaceInBox is raised in the sender's ``send``, as by any full box, and the sender is woken by the
box's ``collected()``; the box itself has no size. Any other exception is the component's own, not
its sender's: the component has failed, as if it had been its turn, and whoever isolates it is told.

A message from a sender to itself does not keep it from pausing: who sends to such a box and waits
for the answer looks into its own box before it pauses, as every component does. When the component
ends, its boxes take nothing more.

``act_when_idle`` is for a component that cannot always act: what comes while it is not ``idle``
lies in the box as usual, and wakes it. What comes while something lies there lies behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from Axon.AxonExceptions import noSpaceInBox
from Axon.Storage import Nobody

if TYPE_CHECKING:
    from Axon.Box import Inbox
    from Axon.Component import component

# Owner of such a box: nobody has to be woken. Not NOBODY itself, which says the owner has ended.
NEVER_ASLEEP = Nobody()


class AtOnce:
    """Storage of an inbox whose messages are acted on as they come; nothing ever lies in it."""

    __slots__ = ("_act", "_blame_sender", "holder")

    def __init__(
        self, holder: component, act: Callable[[Any], object], blame_sender: bool = False
    ) -> None:
        self._act = act
        self._blame_sender = blame_sender
        self.holder = holder  # whose box it is, for those who look into a running program

    def append(self, message: Any) -> None:
        """Act on the message."""
        try:
            self._act(message)
        except noSpaceInBox:
            raise
        except Exception as error:
            if self._blame_sender:
                raise
            _failed(self.holder, self._act, error)

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[object]:
        return iter(())

    def popleft(self) -> Any:
        """Raises IndexError: nothing lies here."""
        raise IndexError("what comes here is acted on at once")


class WhenIdle(list[Any]):
    """Storage of an inbox whose messages are acted on as they come while its holder is `idle`, and
    lie there otherwise. A list: few ever lie there, and an empty deque would be 760 bytes."""

    __slots__ = ("_act", "box", "holder", "idle")

    box: Inbox

    def __init__(self, holder: component, act: Callable[[Any], object]) -> None:
        super().__init__()
        self._act = act
        self.holder = holder
        self.idle = False

    def append(self, message: Any) -> None:
        """Act on the message, or keep it and wake the holder."""
        if not self.idle or self:
            size = self.box.size
            if size is not None and len(self) >= size:
                raise noSpaceInBox(len(self), size)
            super().append(message)
            self.holder.unpause()
            return
        try:
            self._act(message)
        except Exception as error:  # noqa: BLE001 - somebody's failure, said to be his
            _failed(self.holder, self._act, error)

    def popleft(self) -> Any:
        """Take the oldest message. Raises IndexError if there is none."""
        message = self.pop(0)
        if self.box.waiters:
            self.box.collected()
        return message


def _failed(holder: component, act: Callable[[Any], object], error: Exception) -> None:
    """It is the holder that has failed, not who sent the message."""
    running = holder.scheduler
    if not running:
        raise error
    running._callback_failed(act, error)


def act_when_idle(holder: component, boxname: str, act: Callable[[Any], object]) -> WhenIdle:
    """From now on act(message) is called for each message that comes to this inbox while what is
    returned says that its holder is `idle`; it is not until it says so.

    What lies there already stays there. A holder that keeps what is returned in itself lets it go
    at its end (`_axon_forget`): it is a reference cycle. Raises KeyError for an unknown box."""
    box = holder.inboxes[boxname]
    storage = WhenIdle(holder, act)
    storage.box = box
    storage.extend(box.q)
    box.q = storage
    box.owner = NEVER_ASLEEP
    return storage


def act_at_once(
    holder: component, boxname: str, act: Callable[[Any], object], *, blame_sender: bool = False
) -> None:
    """From now on act(message) is called for each message that comes to this inbox.

    blame_sender: what it raises is the failure of who sent the message, not the holder's: for one
    that serves many, who must not suffer for one's message.

    What lies there already is acted on now, in its order. Raises KeyError for an unknown box."""
    box = holder.inboxes[boxname]
    waiting = list(box.q)
    box.q = AtOnce(holder, act, blame_sender)
    box.owner = NEVER_ASLEEP
    box.size = None
    for message in waiting:
        act(message)
    if box.waiters:
        box.collected()  # it was full before, and nothing will ever be taken out of it
