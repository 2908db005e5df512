"""
One HTTP connection of a server
===============================
Bytes of a client in, bytes for it out; in between, for each request, a component that answers it.
HTTPServer.py has what most programs use: a protocol for ServerCore, with routing.

Example Usage
-------------
Without a network: two requests in a row, answered in order::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Protocol.HTTP.HTTPRequestHandler import HTTPRequestHandler
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.OneShot import OneShot
    from Kamaelia.Util.PureTransformer import PureTransformer
    from Kamaelia.Util.Console import ConsoleEchoer

    requests = [b"GET /a HTTP/1.1\\r\\nHost: x\\r\\n\\r\\nGET /b HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"]


    def answer(request):
        return OneShot({"data": f"you asked for {request.path}\\n", "complete": True})


    Pipeline(
        DataSource(requests),
        HTTPRequestHandler(answer),
        PureTransformer(lambda data: data.decode().split("\\r\\n\\r\\n")[1]),
        ConsoleEchoer(),
    ).run()

It prints::

    you asked for /a
    you asked for /b

States: waiting for a request (idle_timeout, and head_timeout from its first byte on); answering
(body_timeout while the client owes us some of the body, write_timeout while it takes nothing);
reading the rest of a body that nobody wanted. What is broken or too large is answered with a small
page, and closes the connection; an answer that breaks off is cut off, so that nobody takes it for
whole.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from email.utils import formatdate

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Protocol.HTTP.ClientFacing import NEVER, ClientFacingMixin, Dropped
from Kamaelia.Protocol.HTTP.ErrorPage import ErrorPage
from Kamaelia.Protocol.HTTP.Exchange import AnswerLost, Exchange
from Kamaelia.Support.Protocol.HTTP.Connection import (
    BodyEnded,
    BodyReceived,
    HTTPSyntaxError,
    RequestReceived,
)
from Kamaelia.Support.Protocol.HTTP.Messages import Request, error_page

log = logging.getLogger(__name__)

RequestHandlerFactory = Callable[[Request], component]

PROGRESS_BYTES = 4_096  # what a client must send of a body within body_timeout
DRAIN_BYTES = 65_536  # read of a body that nobody wanted, for the sake of the next request
FAREWELL_SECONDS = 1.0  # for a handler that speaks with the client itself, to say goodbye


class HTTPRequestHandler(ClientFacingMixin, component):
    """HTTPRequestHandler(requestHandlerFactory, limits=Limits(), head_timeout=30.0,
    idle_timeout=60.0, body_timeout=30.0, write_timeout=60.0, finish_timeout=60.0,
    requests_limit=1000, parts_limit=16) -> serves one connection; times in seconds.

    requestHandlerFactory: called with a Request; returns the component that answers it.
    finish_timeout: for an answer after the client has sent its last byte. parts_limit: parts of an
    answer that may wait for a slow client; a handler that has more waits (`put`)."""

    Inboxes = {
        "inbox": "bytes: from the client, sliced anywhere",
        "control": "producerFinished (the client sends no more) or shutdownMicroprocess (stop now)",
        "_parts": "Response, dict or bytes: of the answer, from the handler",
        "_done": "object: from the handler, the answer is complete",
        "_unwanted": "object: never has room; from a handler whose answer nobody wants any more",
    }
    Outboxes = {
        "outbox": "bytes: to the client",
        "signal": "producerFinished: close the connection; shutdownMicroprocess: the one that came"
        " in, or: cut it off, since an answer is not complete",
        "_body": "bytes: of the request, to its handler",
        "_tell": "producerFinished: to the handler, the body is complete",
    }

    woken_by_collection = False  # it sends, and asks again when there was no room

    head_timeout = 30.0
    idle_timeout = 60.0
    body_timeout = 30.0
    requests_limit = 1000
    parts_limit: int | None = 16

    def __init__(
        self,
        requestHandlerFactory: RequestHandlerFactory,
        **attributes: object,
    ) -> None:
        super().__init__(**attributes)
        self.requestHandlerFactory = requestHandlerFactory
        self._since_progress = 0
        self.setInboxSize("_parts", self.parts_limit)
        self.setInboxSize("_unwanted", 0)

    def main(self) -> Iterator[object]:
        self._limit_outbox()
        last: object = None
        try:
            while (received := (yield from self._next_request())) is not None:
                yield from self._answer(received)
                if not self._connection.reusable:
                    break
                self._connection.next_cycle()
        except HTTPSyntaxError as error:
            last = yield from self._refuse(error)
        except AnswerLost:
            last = shutdownMicroprocess(self)
        except Dropped as dropped:
            last = dropped.message
        self.send(last or self._finished or producerFinished(self), "signal")
        yield from self._see_them_end()

    # ---- a request

    def _next_request(self) -> Generator[object, None, RequestReceived | None]:
        """None at a proper end: the client has nothing more to ask."""
        connection, begun = self._connection, False
        deadline = self.now() + self.idle_timeout
        while True:
            event = connection.next_event()
            if isinstance(event, RequestReceived):
                return event
            if event is not None:
                return None  # it has closed its end
            if connection.in_head and not begun:
                # Counted from its first byte, and not begun again by each: whoever sends a head one
                # byte at a time would stay for ever.
                begun, deadline = True, self.now() + self.head_timeout
            if self._feed():
                continue
            if self.now() < deadline:
                yield from self._sleep(deadline, "inbox")
            elif begun:
                raise HTTPSyntaxError(408, "the request took too long")
            else:
                return None

    def _answer(self, received: RequestReceived) -> Iterator[object]:
        handler = self._make_handler(received.request)
        close = self._connection.requests >= self.requests_limit or self._finished is not None
        exchange = Exchange(self, self._connection, received, handler, close)
        stop: object = None
        try:
            exchange.start()
            while not (exchange.over and self._push()):
                self._body_came(exchange.pass_body_on(self._feed), exchange)
                exchange.take_parts(self._push)
                if exchange.taken_over:
                    yield from self._converse(exchange)
                    return
                if not exchange.over or self._unsent:
                    self._watch_the_time()
                    yield from self._sleep(self._deadline(), *self._interesting(exchange))
        except Dropped as dropped:
            stop = dropped.message
            raise
        finally:
            exchange.dismiss(stop)
        if self._connection.stays_open and not exchange.body_ended:
            yield from self._drain()

    def _make_handler(self, request: Request) -> component:
        try:
            handler = self.requestHandlerFactory(request)
        except Exception:
            log.exception("%s %r: no handler could be made", request.method, request.target)
            return ErrorPage(500, "The server could not answer this request.")
        if not isinstance(handler, component):
            log.error("%s %r: %r is no component", request.method, request.target, handler)
            return ErrorPage(500, "The server could not answer this request.")
        return handler

    def _interesting(self, exchange: Exchange) -> list[str]:
        """The boxes in which something could be of use now."""
        boxes = ["inbox"] if exchange.wants_body else []
        return boxes if self._unsent else [*boxes, "_parts", "_done"]

    def _body_came(self, size: int, exchange: Exchange) -> None:
        """The client's time for the body: begins again for each so many bytes, not for each piece,
        and stands still while it is the handler that is waited for."""
        self._since_progress += size
        if not exchange.wants_body:
            self._body_deadline, self._since_progress = NEVER, 0
        elif self._body_deadline == NEVER or self._since_progress >= PROGRESS_BYTES:
            self._body_deadline, self._since_progress = self.now() + self.body_timeout, 0

    def _drain(self) -> Iterator[object]:
        """Read what is left of a body that nobody wanted, if that is little: the next request
        stands behind it."""
        deadline, left = self.now() + self.body_timeout, DRAIN_BYTES
        self._body_deadline = NEVER
        while left > 0 and self._connection.in_body:
            event = self._connection.next_event()
            if isinstance(event, BodyReceived):
                left -= len(event.data)
            elif isinstance(event, BodyEnded) or self.now() >= deadline:
                return
            elif not self._feed():
                yield from self._sleep(deadline, "inbox")

    def _refuse(self, error: HTTPSyntaxError) -> Generator[object, None, object]:
        """Say what is wrong with the request; what to say at "signal"."""
        log.info("request of %s refused: %d %s", self.peer, error.status, error)
        if not self._connection.can_answer:
            return shutdownMicroprocess(self)
        page = error_page(error.status, str(error))
        page = replace(page, length=len(page.data))
        self._connection.send_head(page, formatdate(self.scheduler.time, usegmt=True), close=True)
        self._connection.send_data(page.data)
        self._connection.end()
        self._body_deadline = NEVER
        try:
            while not self._push():
                self._watch_the_time()
                yield from self._sleep(self._deadline())
        except Dropped as dropped:
            return dropped.message
        return None

    # ---- a handler that speaks with the client itself

    def _converse(self, exchange: Exchange) -> Iterator[object]:
        """Hand bytes on, both ways, until the handler ends."""
        self._body_deadline = NEVER
        try:
            yield from self._relay(exchange, self._connection.take_rest())
        except Dropped as dropped:
            if dropped.ordered:
                self.send(dropped.message, "_tell")
                self._write_deadline = self._finish_deadline = NEVER
                self._body_deadline = self.now() + FAREWELL_SECONDS
                with suppress(Dropped, HTTPSyntaxError):
                    yield from self._relay(exchange, b"")
            raise

    def _relay(self, exchange: Exchange, rest: bytes) -> Iterator[object]:
        told = False
        while True:
            rest = self._hand_on(rest)
            if self._finished is not None and not (told or rest or self.dataReady("inbox")):
                told = True
                self.send(self._finished, "_tell")
            while self._push() and self.dataReady("_parts"):
                self._unsent = self.recv("_parts")
            if not self._unsent and (exchange.handler_over or self.dataReady("_done")):
                return
            self._watch_the_time()
            boxes = [] if rest else ["inbox"]
            yield from self._sleep(self._deadline(), *boxes, *([] if self._unsent else ["_parts"]))

    def _hand_on(self, rest: bytes) -> bytes:
        """Give a handler what has come, as long as it has room; what is left of it."""
        while rest or self.dataReady("inbox"):
            rest = rest or self.recv("inbox")
            try:
                self.send(rest, "_body")
            except noSpaceInBox:
                return rest
            rest = b""
        return b""


__kamaelia_components__ = (HTTPRequestHandler,)
