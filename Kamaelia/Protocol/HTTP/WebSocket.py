"""
WebSocket for the HTTP server
=============================
A route under which pages open a WebSocket. Behind it stands a component for each client that gets
messages, str or bytes, and sends such.

Example Usage
-------------
Everything a client says comes back to it, from ``new WebSocket("ws://localhost:8080/echo")``::

    # ends: ctrl-c
    from Kamaelia.Chassis.ConnectedServer import ServerCore
    from Kamaelia.Protocol.EchoProtocol import EchoProtocol
    from Kamaelia.Protocol.HTTP.HTTPServer import HTTPProtocol
    from Kamaelia.Protocol.HTTP.WebSocket import WebSocketProtocol


    def echo(request):
        return EchoProtocol()


    pages = ["http://localhost:8080"]
    routing = [["/echo", WebSocketProtocol(echo, origins=pages)]]
    ServerCore(protocol=HTTPProtocol(routing), port=8080, host="127.0.0.1").run()

The component is the application. Its "inbox" gets messages and its "outbox" gives them. When the
client has closed, its "control" gets a producerFinished whose message is a Closed with code and
reason. It closes by ending, by a word at "signal", or by sending Closed(code, reason). An exception
in it closes its connection with code 1011 and nothing else.

Any page of any site may open a WebSocket to any server, and the browser sends the server's cookies
with it. So give `origins` where it matters who is asking; None in it stands for a client that is no
page.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Microprocess import microprocess
from Kamaelia.Chassis.ConnectedServer import stop_tree
from Kamaelia.Protocol.HTTP.WebSocketTalk import WebSocketTalkMixin
from Kamaelia.Support.Protocol.HTTP.Messages import Request, TakeOver, error_page
from Kamaelia.Support.Protocol.HTTP.WebSocket import (
    GOING_AWAY,
    INTERNAL_ERROR,
    NORMAL,
    ServerSession,
    Session,
)

log = logging.getLogger(__name__)

Application = Callable[[Request], component]
Origins = Sequence[str | re.Pattern[str] | None]

WINDOW = 16  # messages that may wait, for either side


class WebSocketHandler(WebSocketTalkMixin, component):
    """WebSocketHandler(request, application, origins=None, subprotocols=(), max_size=1 MiB,
    ping_interval=20.0, ping_timeout=20.0, close_timeout=10.0) -> a request handler; times in
    seconds.

    application: called with the request, once the client has been accepted; returns the component
    to talk with it."""

    Inboxes = {
        "inbox": "bytes: from the client, after the handshake",
        "control": "producerFinished (the client sends no more) or shutdownMicroprocess (say"
        " goodbye and end)",
        "_messages": "str, bytes or Closed: from the application",
        "_done": "object: from the application, it has ended",
    }
    Outboxes = {
        "outbox": "TakeOver, then bytes: to the client; or a Response, if this is no WebSocket",
        "signal": "the shutdown that came in, or producerFinished",
        "_toApplication": "str or bytes: from the client",
        "_tellApplication": "producerFinished: the client is gone; its message is a Closed",
    }

    wants_body = False
    is_stream = False  # who closes a WebSocket properly still has a word to hear

    BYTES_IN, BYTES_OUT = "inbox", "outbox"
    MESSAGES_IN, MESSAGES_OUT = "_messages", "_toApplication"

    def __init__(
        self,
        request: Request,
        application: Application,
        origins: Origins | None = None,
        subprotocols: Sequence[str] = (),
        **settings: object,
    ) -> None:
        super().__init__(**settings)
        self.request = request
        self.application = application
        self._session = ServerSession(self.max_size, origins, subprotocols)
        self.setInboxSize("_messages", WINDOW)
        self._application: component | None = None
        self._application_over = False
        self._told: object = None

    def main(self) -> Iterator[object]:
        if "websocket" not in self.request.header("upgrade").lower():
            page = error_page(426, "This address is for WebSockets.", (("Upgrade", "websocket"),))
            yield from self.put(page, "outbox")
            return
        if self.request.header("content-length", "0") != "0" or self.request.header(
            "transfer-encoding"
        ):
            yield from self.put(error_page(400, "A WebSocket begins without a body."), "outbox")
            return
        session = self._session
        session.receive_data(head_of(self.request))
        if session.next_event() is not None:  # accepted
            self._start(self.application(self.request))
        yield from self.put(TakeOver(), "outbox")
        yield from self._talk(session)
        self.send(self._told or producerFinished(self), "signal")
        if self._application is not None and not self._application_over:
            self.send(self._told or producerFinished(self, self._closed), "_tellApplication")
            yield from self._see_them_end()

    def _start(self, application: component) -> None:
        self._application = application
        self.link((application, "outbox"), (self, "_messages"))
        self.link((self, "_toApplication"), (application, "inbox"))
        if "signal" in application.outboxes:
            self.link((application, "signal"), (self, "_done"))
        if "control" in application.inboxes:
            self.link((self, "_tellApplication"), (application, "control"))
        if self.outboxes["_toApplication"].getSize() is None:
            self.outboxes["_toApplication"].setSize(WINDOW)
        application.isolate(self._application_failed)
        application.call_on_close(self._application_ended)
        self.addChildren(application)
        application.activate(Scheduler=self.scheduler)

    def _application_ended(self) -> None:
        self._application_over = True
        self.unpause()

    def _application_failed(self, culprit: microprocess, error: Exception) -> None:
        log.error("%r: component %s failed", self.request.target, culprit.name, exc_info=error)
        self._close(self._session, INTERNAL_ERROR)
        if self._application is not None and not self._application._isStopped():
            stop_tree(self._application)
        self.unpause()

    def _hear(self, session: Session) -> None:
        stop = self.told_to_stop()
        if isinstance(stop, shutdownMicroprocess):
            self._told = stop
            self._close(session, GOING_AWAY, "the server is going away")
            self._close_deadline = self.now()  # after what is sent now
        elif stop is not None and not self.dataReady("inbox"):
            session.receive_eof()
        if (self._application_over or self.dataReady("_done")) and not self.dataReady("_messages"):
            self._close(session, NORMAL)


def head_of(request: Request) -> bytes:
    """The request as it came: websockets reads the handshake itself."""
    lines = [f"{request.method} {request.target} HTTP/{request.version}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def WebSocketProtocol(  # noqa: N802 - named like the component that it makes
    application: Application, **settings: object
) -> Callable[[Request], WebSocketHandler]:
    """WebSocketProtocol(application, **settings) -> a function for a routing; the settings are
    those of WebSocketHandler."""

    def handler(request: Request) -> WebSocketHandler:
        return WebSocketHandler(request, application, **settings)  # type: ignore[arg-type]

    return handler


__kamaelia_components__ = (WebSocketHandler,)
__kamaelia_prefabs__ = (WebSocketProtocol,)
