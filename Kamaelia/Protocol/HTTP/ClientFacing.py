"""
The client's end of an HTTP connection: boxes and patience
==========================================================
What HTTPRequestHandler knows of its client, apart from requests and answers: bytes that come, bytes
that the client has no room for yet, how long one waits for it, and the ways in which it goes.

Example Usage
-------------
In a component that speaks HTTP with a client::

    class HTTPRequestHandler(ClientFacingMixin, component): ...
"""

from __future__ import annotations

from collections.abc import Iterator

from Axon.AxonExceptions import noSpaceInBox
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.IPC import socketShutdown
from Kamaelia.Protocol.HTTP.Caretaker import CaretakerMixin
from Kamaelia.Support.Protocol.HTTP.Connection import HTTPSyntaxError
from Kamaelia.Support.Protocol.HTTP.ServerConnection import DEFAULT_LIMITS, ServerConnection

WINDOW = 4  # messages that may wait for the client, beside what its socket holds
NEVER = float("inf")


class Dropped(Exception):  # noqa: N818 - nothing is wrong with it
    """The client is gone, or given up; ordered: no, we were told to stop. message goes out of
    "signal"."""

    def __init__(self, message: object, ordered: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.ordered = ordered


class ClientFacingMixin(CaretakerMixin):
    """ClientFacingMixin(limits=Limits(), write_timeout=60.0, finish_timeout=60.0, peer="",
    peerport=0, localip="", localport=0): to be mixed into a component; times in seconds."""

    woken_by_collection = False  # it sends, and asks again when there was no room

    limits = DEFAULT_LIMITS
    write_timeout = 60.0
    finish_timeout = 60.0
    peer = ""  # ServerCore says this, and the next three
    peerport = 0
    localip = ""
    localport = 0

    def __init__(self, **attributes: object) -> None:
        super().__init__(**attributes)
        who = {key: getattr(self, key) for key in ("peer", "peerport", "localip", "localport")}
        self._connection = ServerConnection(self.limits, who)
        self._finished: producerFinished | None = None  # the client has sent its last byte
        self._unsent = b""  # the client had no room for it
        self._write_deadline = self._body_deadline = self._finish_deadline = NEVER

    def _limit_outbox(self) -> None:
        if self.outboxes["outbox"].getSize() is None:
            self.outboxes["outbox"].setSize(WINDOW)  # or a slow client would fill the memory

    def _sleep(self, until: float, *boxes: str) -> Iterator[object]:
        """Until something is in one of these boxes, or it is time. Raises Dropped."""
        if not any(map(self.dataReady, ("control", *boxes))):
            self.pause(None if until == NEVER else max(0.0, until - self.now()))
        yield 1
        for message in self.Inbox("control"):
            if isinstance(message, shutdownMicroprocess) or message is shutdownMicroprocess:
                raise Dropped(message, ordered=True)
            if isinstance(message, producerFinished):
                self._client_finished(message)
            else:
                self.send(message, "signal")

    def _client_finished(self, message: producerFinished) -> None:
        self._finished = message
        self._finish_deadline = self.now() + self.finish_timeout
        details = message.message if isinstance(message, socketShutdown) else None
        if isinstance(details, list) and details[-1] is not None:  # [socket, why it broke]
            raise Dropped(message)
        if any(getattr(handler, "is_stream", False) for handler in self.children):
            raise Dropped(message)  # its answer has no end: there is nothing to wait for

    def _feed(self) -> bool:
        """Give the connection what has come; False if nothing has."""
        if self.dataReady("inbox"):
            data = self.recv("inbox")
            if not isinstance(data, bytes):
                raise TypeError(f"{self.name}: inbox takes bytes, not {type(data).__name__}")
            self._connection.receive_data(data)
            return True
        if self._finished is not None:
            self._connection.receive_eof()
        return self._finished is not None

    def _push(self) -> bool:
        """Send what there is to send; False while the client has no room for it."""
        # What waited may not be all: more may have been made since.
        while self._unsent or self._more_to_send():
            try:
                self.send(self._unsent, "outbox")
            except noSpaceInBox:
                if self._write_deadline == NEVER:
                    self._write_deadline = self.now() + self.write_timeout
                return False
            self._unsent = b""
        self._write_deadline = NEVER
        return True

    def _more_to_send(self) -> bool:
        self._unsent = self._connection.data_to_send()
        return bool(self._unsent)

    def _deadline(self) -> float:
        return min(self._write_deadline, self._body_deadline, self._finish_deadline)

    def _watch_the_time(self) -> None:
        """Raises what the deadline that is over means."""
        now = self.now()
        if now >= min(self._write_deadline, self._finish_deadline):
            raise Dropped(shutdownMicroprocess(self))
        if now >= self._body_deadline:
            raise HTTPSyntaxError(408, "the body took too long")
