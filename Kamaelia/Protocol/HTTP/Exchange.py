"""
One request, its handler, and the answer
========================================
What an HTTPRequestHandler does with the component that answers one request: link it, hand it the
body, make bytes of the parts that it sends, and let go of it. It is no component itself; all of it
happens in the turns of the connection's.

The handler's "inbox" gets the body as bytes, its "control" a producerFinished when the body is
complete (at once if there is none) and a shutdownMicroprocess when nobody wants the answer any
more. Its "outbox" gives the answer, in parts; the answer is complete with a part that says so, when
the handler says anything at "signal", and when it ends.

Two class attributes of a handler tell what it is like: ``wants_body = False``: it is told nothing
of a body; ``is_stream = True``: its answer has no end, so that a client that has said its last word
need not be waited for.

Example Usage
-------------
By the component of a connection, and by nobody else::

    exchange = Exchange(self, connection, received, handler)
    exchange.start()
    while not exchange.over:
        exchange.pass_body_on()
        exchange.take_parts()
        yield from self._sleep(...)
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from functools import partial

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Microprocess import microprocess
from Kamaelia.Chassis.ConnectedServer import stop_tree
from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Protocol.HTTP.Caretaker import STOP_SECONDS
from Kamaelia.Support.Protocol.HTTP.Connection import BodyEnded, BodyReceived, RequestReceived
from Kamaelia.Support.Protocol.HTTP.Messages import Request, Response, TakeOver, error_page
from Kamaelia.Support.Protocol.HTTP.ServerConnection import ServerConnection

log = logging.getLogger(__name__)

WINDOW = 4  # pieces of a body that may wait for a handler


class AnswerLost(Exception):  # noqa: N818 - said by what is wrong, as in Axon
    """The answer has begun and cannot be completed: the connection must be cut, or its client would
    take what it has for all."""


class Exchange:
    """Exchange(owner, connection, received, handler, close=False) -> one request's. close: the
    connection is to end behind it."""

    def __init__(
        self,
        owner: component,
        connection: ServerConnection,
        received: RequestReceived,
        handler: component,
        close: bool = False,
    ) -> None:
        self.owner = owner
        self.connection = connection
        self.request: Request = received.request
        self.handler = handler
        self.over = False  # the answer is complete
        self.taken_over = False  # the handler speaks with the client itself
        self.body_ended = False
        self.handler_over = False
        self._close = close
        self._wants_body = getattr(handler, "wants_body", True)
        self._awaits_continue = received.expects_continue
        self._held: bytes | None = None  # of the body: the handler had no room for it
        self._failed = False

    def start(self) -> None:
        """Link the handler and activate it."""
        owner, handler = self.owner, self.handler
        owner.link((handler, "outbox"), (owner, "_parts"))
        if "signal" in handler.outboxes:
            owner.link((handler, "signal"), (owner, "_done"))
        if "inbox" in handler.inboxes:
            owner.link((owner, "_body"), (handler, "inbox"))
            if owner.outboxes["_body"].getSize() is None:
                owner.outboxes["_body"].setSize(WINDOW)
        if "control" in handler.inboxes:
            owner.link((owner, "_tell"), (handler, "control"))
        handler.isolate(self._handler_failed)
        handler.call_on_close(self._handler_ended)
        owner.addChildren(handler)
        handler.activate(Scheduler=owner.scheduler)
        if self._awaits_continue and self._wants_body:
            self.connection.send_continue()
            self._awaits_continue = False

    def dismiss(self, message: object = None) -> None:
        """Let go of the handler: it is told to stop, and stopped if it does not obey."""
        owner, handler = self.owner, self.handler
        self.over = True
        owner.unlink(handler)
        for box in ("_parts", "_done"):
            for _ in owner.Inbox(box):
                pass
        if handler._isStopped():
            owner.removeChild(handler)
            return
        handler.call_on_close(partial(owner.removeChild, handler))
        if "control" not in handler.inboxes:
            stop_tree(handler)
            return
        # A box without room, and not none: one that sends for ever would do so without a pause.
        owner.link((handler, "outbox"), (owner, "_unwanted"))
        ordered = isinstance(message, shutdownMicroprocess)
        handler.inboxes["control"].deliver(message if ordered else shutdownMicroprocess(owner))
        if handler.scheduler:
            timer = handler.scheduler.call_later(STOP_SECONDS, self._insist)
            handler.call_on_close(timer.cancel)

    def _insist(self) -> None:
        log.warning("%s did not end when it was told to: stopped", self.handler.name)
        stop_tree(self.handler)

    def _handler_ended(self) -> None:
        self.handler_over = True
        self.owner.unpause()

    def _handler_failed(self, culprit: microprocess, error: Exception) -> None:
        if self.over and isinstance(error, noSpaceInBox):
            return  # it had more to say, and nobody wants it
        what, where = self.request.method, self.request.target
        log.error("%s %r: component %s failed", what, where, culprit.name, exc_info=error)
        self._failed = True
        if not self.handler._isStopped():  # it was a child of its
            stop_tree(self.handler)
        self.owner.unpause()

    # ---- the request's body

    @property
    def wants_body(self) -> bool:
        """More of the body could be handed on now."""
        return not self.body_ended and self._held is None and not self._awaits_continue

    def pass_body_on(self, more: Callable[[], bool]) -> int:
        """Hand what there is of the body to the handler, for as long as it has room; how many bytes
        that were. more: feeds the connection, False if there is nothing. Raises HTTPSyntaxError."""
        passed = 0
        while self._hand_on_held() and not self.body_ended:
            event = self.connection.next_event()
            if isinstance(event, BodyReceived):
                self._held = event.data
                passed += len(event.data)
            elif isinstance(event, BodyEnded):
                self.body_ended = True
                if self._wants_body and self.owner.outboxes["_tell"].target is not None:
                    self.owner.send(producerFinished(self.owner), "_tell")
            elif not more():
                break
        return passed

    def _hand_on_held(self) -> bool:
        if self._held is not None:
            if self.owner.outboxes["_body"].target is None:
                return False  # a handler without an inbox: nobody wants it
            try:
                self.owner.send(self._held, "_body")
            except noSpaceInBox:  # we are woken when there is room
                return False
            self._held = None
        return True

    # ---- the answer

    def take_parts(self, room: Callable[[], bool]) -> None:
        """Make bytes of what the handler has sent. room: there is some for the bytes. Raises
        AnswerLost."""
        owner = self.owner
        while not self.over and not self.taken_over and room():
            if self._failed:
                self._give_up()
            elif owner.dataReady("_parts"):
                self._take(owner.recv("_parts"))
            elif self.handler_over or owner.dataReady("_done"):
                self._finish()
            else:
                return

    def _take(self, message: object) -> None:
        """Take a part; what is none is the handler's fault, as an exception in it would be."""
        try:
            if isinstance(message, TakeOver):
                self._hand_over()
                return
            part = Response.of(message)
            if self.connection.can_answer:
                self._begin(part)
            self.connection.send_data(part.data)
        except (TypeError, ValueError, LookupError, LocalProtocolError) as error:
            log.error(  # noqa: TRY400 - our own frames say nothing about it
                "%s %r: %s sent what is no answer: %s",
                self.request.method,
                self.request.target,
                self.handler.name,
                error,
            )
            self._give_up()
            return
        # What is not sent to HEAD need not be made.
        if part.complete or self.request.method == "HEAD":
            self._end()

    def _hand_over(self) -> None:
        if not (self.connection.can_answer and self.body_ended):
            # What is left of a body would be taken for what the two say to each other.
            raise ValueError("TakeOver after the answer has begun, or before the body has ended")
        self.taken_over = True

    def _begin(self, part: Response) -> None:
        if part.complete and part.length is None:
            part = replace(part, length=len(part.data))
        # A client that still waits for the 100 may send the body or not: who could tell what comes?
        close = self._close or self._awaits_continue
        self.connection.send_head(part, formatdate(self.owner.scheduler.time, usegmt=True), close)
        log.info("%s %r: %d", self.request.method, self.request.target, part.status)

    def _finish(self) -> None:
        """The handler has ended."""
        if self.connection.can_answer:
            log.error("%s %r: no answer came", self.request.method, self.request.target)
            self._give_up()
        else:
            self._end()

    def _end(self) -> None:
        try:
            self.connection.end()
        except LocalProtocolError as error:
            log.error("%r: %s", self.request.target, error)  # noqa: TRY400 - says all
            raise AnswerLost from None
        self.over = True

    def _give_up(self) -> None:
        """It is the server's fault: say so if nothing has been said, and cut the line if it has."""
        if not self.connection.can_answer:
            raise AnswerLost
        page = error_page(500, "The server could not answer this request.")
        self._begin(page)
        self.connection.send_data(page.data)
        self._end()
