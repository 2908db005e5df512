"""
What both ends of a WebSocket do
================================
The loop between a session (Support.Protocol.HTTP.WebSocket), bytes on one side, and messages on the
other. WebSocket.py and WebSocketClient.py are the two ends; each says which of its boxes is what.

Example Usage
-------------
In a component that is an end, makes a session and then talks::

    class WebSocketClient(WebSocketTalkMixin, component): ...

Flow control: bytes are read only while no message waits for its receiver and nothing waits to be
sent, so neither one who sends without reading nor one who reads without sending fills the memory. A
ping goes out when nothing has come for ping_interval seconds; if nothing comes in answer for
ping_timeout more, the peer is taken for gone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import ClassVar

from Axon.AxonExceptions import noSpaceInBox
from Kamaelia.Protocol.HTTP.Caretaker import CaretakerMixin
from Kamaelia.Support.Protocol.HTTP.WebSocket import (
    INTERNAL_ERROR,
    LOST,
    MESSAGE_BYTES,
    Closed,
    Event,
    Session,
)

log = logging.getLogger(__name__)

NEVER = float("inf")


class WebSocketTalkMixin(CaretakerMixin):
    """WebSocketTalkMixin(max_size=1 MiB, ping_interval=20.0, ping_timeout=20.0,
    close_timeout=10.0): to be mixed into a component; times in seconds."""

    woken_by_collection = False  # it sends, and asks again when there was no room

    max_size = MESSAGE_BYTES
    ping_interval = 20.0
    ping_timeout = 20.0
    close_timeout = 10.0

    BYTES_IN: ClassVar[str]
    BYTES_OUT: ClassVar[str]
    MESSAGES_IN: ClassVar[str]
    MESSAGES_OUT: ClassVar[str]

    def __init__(self, **attributes: object) -> None:
        super().__init__(**attributes)
        self._closed: Closed | None = None  # how it ended
        self._held: Event | None = None  # its receiver had no room for it
        self._unsent = b""  # the peer had no room for it
        self._heard = 0.0
        self._pinged = False
        self._close_deadline = NEVER

    def _hear(self, session: Session) -> None:
        """Look at the boxes for shutdowns; for the two ends to say."""

    def _talk(self, session: Session) -> Iterator[object]:
        """Until the session is over."""
        self._heard = self.now()
        while True:
            self._read(session)
            self._write(session)
            self._hear(session)  # after what came, and what was said, before it
            self._read(session)  # an end of the line may bring the last event
            done = session.over or (self._closed is not None and self._held is None)
            if self._push(session) and done:
                break
            if self.now() >= self._close_deadline:
                self._closed = self._closed or Closed(LOST, "the peer did not close")
                break
            self._check_pulse(session)
            if not self._something_to_do(session):
                self.pause(self._time_left(session))
            yield 1
        self._closed = self._closed or Closed(LOST)

    def _close(self, session: Session, code: int, reason: str = "") -> None:
        """Begin to close; the peer has close_timeout to answer."""
        session.close(code, reason)
        if self._close_deadline == NEVER:
            self._close_deadline = self.now() + self.close_timeout

    # ---- from the peer

    def _read(self, session: Session) -> None:
        while self._push(session):
            if self._held is None:
                self._held = session.next_event()
            if self._held is None:
                if not self.dataReady(self.BYTES_IN):
                    return
                self._heard, self._pinged = self.now(), False
                session.receive_data(self.recv(self.BYTES_IN))
            elif self._hand_on(self._held):
                self._held = None
            else:
                return

    def _hand_on(self, event: Event) -> bool:
        """Hand an event on; False if there is no room."""
        if isinstance(event, Closed):
            self._closed = self._closed or event
        elif isinstance(event, str | bytes):
            try:
                self.send(event, self.MESSAGES_OUT)
            except noSpaceInBox:  # we are woken when there is room
                return False
        return True

    # ---- to the peer

    def _write(self, session: Session) -> None:
        while session.is_open and self.dataReady(self.MESSAGES_IN) and self._push(session):
            message = self.recv(self.MESSAGES_IN)
            if isinstance(message, Closed):
                self._close(session, message.code, message.reason)
            elif isinstance(message, str | bytes):
                session.send(message)
            else:
                log.error("%s: takes str and bytes, not %s", self.name, type(message).__name__)
                self._close(session, INTERNAL_ERROR)
        if session.is_closing:
            for _ in self.Inbox(self.MESSAGES_IN):
                pass  # too late

    def _push(self, session: Session) -> bool:
        """Send what there is to send; False while the peer has no room for it."""
        self._unsent = self._unsent or session.data_to_send()
        if self._unsent:
            try:
                self.send(self._unsent, self.BYTES_OUT)
            except noSpaceInBox:  # as above
                return False
            self._unsent = b""
        return True

    # ---- time

    def _check_pulse(self, session: Session) -> None:
        if not session.is_open or (self._held is not None and not self._unsent):
            return  # it is we who do not listen
        silent = self.now() - self._heard
        if silent >= self.ping_interval + self.ping_timeout:
            self._close(session, INTERNAL_ERROR, "no answer to a ping")
            self._close_deadline = self.now()
        elif silent >= self.ping_interval and not self._pinged:
            self._pinged = True
            session.ping(b"")
            self._push(session)

    def _time_left(self, session: Session) -> float | None:
        due = self._close_deadline
        if session.is_open and (self._held is None or self._unsent):
            silence = self.ping_interval + (self.ping_timeout if self._pinged else 0.0)
            due = min(due, self._heard + silence)
        return None if due == NEVER else max(0.0, due - self.now())

    def _something_to_do(self, session: Session) -> bool:
        """Something is in a box of which we would take it now."""
        boxes = ["control"]
        if not self._unsent:
            boxes += [self.MESSAGES_IN] if session.is_open else []
            boxes += [self.BYTES_IN] if self._held is None else []
        return any(map(self.dataReady, boxes))
