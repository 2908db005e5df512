"""
Seeing messages go by
=====================
A send is the engine's hottest path and has no question in it like "is anybody watching?". So while
somebody is, the two functions through which messages move, ``component.send`` and
``Inbox.deliver``, are exchanged for ones that tell; afterwards they are put back. The exchange is
for the whole process; what is told is what concerns a scheduler with instruments.

A bound method that a component keeps (``send = self.send``) from before the exchange is not seen.

Example Usage
-------------
Done by ``scheduler.add_instrument``::

    TAP.open(tell)  # tell(message, outbox or None, inbox or None)
    ...
    TAP.close(tell)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from Axon.Box import Inbox, Outbox

if TYPE_CHECKING:
    from Axon.Component import component

Tell = Callable[[Any, Outbox | None, Inbox | None], object]
Send = Callable[..., None]


class MessageTap:
    """MessageTap() -> exchanges the functions; there is one, TAP."""

    def __init__(self) -> None:
        self._listeners: dict[Tell, None] = {}
        self._restore: list[Callable[[], None]] = []
        self._sending = 0
        self._component: type[component] | None = None

    def serve(self, kind: type[component]) -> None:
        """Component says which class has the send."""
        self._component = kind

    def open(self, tell: Tell) -> None:
        """Call tell for every message from now on."""
        if not self._listeners:
            self._exchange()
        self._listeners[tell] = None

    def close(self, tell: Tell) -> None:
        self._listeners.pop(tell, None)
        if not self._listeners:
            while self._restore:
                self._restore.pop()()

    def _exchange(self) -> None:
        deliver = Inbox.deliver

        def seen_deliver(box: Inbox, message: Any) -> None:
            deliver(box, message)
            if not self._sending:
                final = box.final()
                self._tell(message, None, final if isinstance(final, Inbox) else None)

        self._set(Inbox, "deliver", seen_deliver)
        self._set(Inbox, "append", seen_deliver)
        kind = self._component
        if kind is None:
            return
        send = kind.send

        def seen_send(sender: component, message: Any, boxname: str = "outbox") -> None:
            outbox = sender.outboxes.get(boxname)  # an unknown one is for send() to refuse
            sink: Any = outbox.sink if outbox is not None else None
            self._sending += 1  # a delivery inside of this send is this message once more
            try:
                send(sender, message, boxname)
            finally:
                self._sending -= 1
            inbox = sink if isinstance(sink, Inbox) else getattr(sink, "box", None)
            self._tell(message, outbox, inbox)

        self._set(kind, "send", seen_send)

    def _set(self, kind: type, name: str, function: Send) -> None:
        before = getattr(kind, name)
        self._restore.append(lambda: setattr(kind, name, before))
        setattr(kind, name, function)

    def _tell(self, message: Any, outbox: Outbox | None, inbox: Inbox | None) -> None:
        for tell in list(self._listeners):
            tell(message, outbox, inbox)


TAP = MessageTap()
