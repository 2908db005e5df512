"""
A live feed for a browser: server-sent events
=============================================
A request handler that turns messages into an event stream. A page reads it with two lines::

    const feed = new EventSource("/feed");
    feed.onmessage = (event) => show(event.data);

Example Usage
-------------
A counter as a feed, on port 8080::

    # ends: ctrl-c
    from Kamaelia.Chassis.ConnectedServer import ServerCore
    from Kamaelia.Protocol.HTTP.EventStream import EventStream, ServerSentEvent
    from Kamaelia.Protocol.HTTP.HTTPServer import HTTPProtocol
    from Kamaelia.Util.DataSource import DataSource


    def feed(request):
        seen = request.header("last-event-id", "0")
        first = int(seen) + 1 if seen.isdecimal() else 1
        events = [ServerSentEvent(f"number {n}", id=str(n)) for n in range(first, first + 10)]
        return EventStream(DataSource(events))


    ServerCore(protocol=HTTPProtocol([["/feed", feed]]), port=8080, host="127.0.0.1").run()

The source is a component of its own for each client: a SubscribeTo of a Backplane, say. It is
activated here, and told to stop when the client is gone. Give it as the argument, and do not put
the two into a Pipeline: that is told producerFinished once the request is complete, as every
request handler that may want its body, and a source takes that for its own end. Without a source,
what comes to "inbox" is sent.

A client that reads slowly never holds the source back: at most queue_limit events wait for it, the
oldest are dropped, and an event of the type "dropped" says how many, so that the page may load all
anew. A comment every keep_alive seconds shows proxies, and us, that the line is alive.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Protocol.HTTP.Caretaker import CaretakerMixin
from Kamaelia.Support.Protocol.HTTP.EventStream import CONTENT_TYPE, ServerSentEvent, comment
from Kamaelia.Support.Protocol.HTTP.Messages import Headers, Response

PART_BYTES = 65_536  # waiting events go out together, up to about so many

# A feed is never the same twice; and nginx would otherwise collect it.
HEADERS: Headers = (("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"))


class EventStream(CaretakerMixin, component):
    """EventStream(source=None, queue_limit=100, keep_alive=15.0, retry_seconds=None, headers=())
    -> an answer without an end; keep_alive in seconds. retry_seconds: what browsers are to wait
    before they connect again. headers: further ones."""

    Inboxes = {
        "inbox": "ServerSentEvent or str: to be sent; bytes, of a request's body, are dropped",
        "control": "producerFinished (send what waits, then end) or shutdownMicroprocess (end now)",
        "_sourceSignal": "producerFinished or shutdownMicroprocess: the source has ended",
    }
    Outboxes = {
        "outbox": "Response: the head and, later, events",
        "signal": "the shutdown that came in, or that of the source",
        "_toSource": "shutdownMicroprocess: nobody listens any more",
    }

    woken_by_collection = False  # it sends, and asks again when there was no room
    wants_body = False
    is_stream = True  # nobody need wait for its end once the client has said goodbye

    def __init__(
        self,
        source: component | None = None,
        queue_limit: int = 100,
        keep_alive: float = 15.0,
        retry_seconds: float | None = None,
        headers: Headers = (),
        **attributes: object,
    ) -> None:
        super().__init__(**attributes)
        if queue_limit < 1:
            raise ValueError("EventStream: queue_limit must be at least 1")
        self.source = source
        self.keep_alive = keep_alive
        self.retry_seconds = retry_seconds
        self.headers = headers
        self.dropped = 0  # events, since the beginning
        self._limit = queue_limit
        self._queue: deque[bytes] = deque()
        self._gap = 0  # dropped, and the client has not been told
        self._blocked = False
        self._ended: object = None  # what the source said at its end

    def main(self) -> Iterator[object]:
        self._start_source()
        first = b"" if self.retry_seconds is None else b"retry: %d\n\n" % self._retry()
        head = Response(first + comment(), 200, CONTENT_TYPE, (*HEADERS, *self.headers))
        yield from self.put(head, "outbox")
        stop = yield from self._feed()
        self.send(stop, "signal")
        if self.source is not None and not self.source._isStopped():
            last = stop if isinstance(stop, shutdownMicroprocess) else shutdownMicroprocess(self)
            self.send(last, "_toSource")
            yield from self._see_them_end()

    def _feed(self) -> Generator[object, None, object]:
        """Send events until all is over; the shutdown that says so."""
        due = self.now() + self.keep_alive
        while True:
            stop = self._told()
            if isinstance(stop, shutdownMicroprocess):
                return stop
            self._take_in()
            self._blocked = False
            if self._send_waiting() or self._say_we_live(due):
                due = self.now() + self.keep_alive
            if stop is not None and not self._queue:
                return stop
            if not self.anyReady():
                # Blocked, it is the client's turn: once it has room we are woken.
                self.pause(None if self._blocked else max(0.0, due - self.now()))
            yield 1

    def _retry(self) -> int:
        return round((self.retry_seconds or 0.0) * 1000)

    def _start_source(self) -> None:
        source = self.source
        if source is None:
            return
        self.link((source, "outbox"), (self, "inbox"))
        if "signal" in source.outboxes:
            self.link((source, "signal"), (self, "_sourceSignal"))
        if "control" in source.inboxes:
            self.link((self, "_toSource"), (source, "control"))
        self.addChildren(source)
        source.activate(Scheduler=self.scheduler)

    def _told(self) -> object:
        """What says that it is over: our own shutdown, or the end of the source."""
        for message in self.Inbox("_sourceSignal"):
            self._ended = message
        if self._ended is None and self.source is not None and self.source._isStopped():
            self._ended = producerFinished(self)
        return self.told_to_stop() or self._ended

    def _take_in(self) -> None:
        for message in self.Inbox("inbox"):
            if isinstance(message, bytes):
                continue
            event = ServerSentEvent(message) if isinstance(message, str) else message
            if not isinstance(event, ServerSentEvent):
                kind = type(message).__name__
                raise TypeError(f"{self.name}: inbox takes ServerSentEvent or str, not {kind}")
            if len(self._queue) >= self._limit:
                self._queue.popleft()
                self.dropped += 1
                self._gap += 1
            self._queue.append(event.to_wire())

    def _send_waiting(self) -> bool:
        """Send events for as long as there is room; True if any went."""
        sent = False
        while self._queue:
            batch, size = [], 0
            if self._gap:
                batch.append(ServerSentEvent(str(self._gap), event="dropped").to_wire())
            for event in self._queue:
                if batch and size + len(event) > PART_BYTES:
                    break
                batch.append(event)
                size += len(event)
            if not self._try_to_send(b"".join(batch)):
                break
            for _ in range(len(batch) - bool(self._gap)):
                self._queue.popleft()
            self._gap = 0
            sent = True
        return sent

    def _say_we_live(self, due: float) -> bool:
        return not self._queue and self.now() >= due and self._try_to_send(comment())

    def _try_to_send(self, data: bytes) -> bool:
        try:
            self.send(Response(data), "outbox")
        except noSpaceInBox:  # we are woken when there is room
            self._blocked = True
            return False
        return True


__kamaelia_components__ = (EventStream,)
