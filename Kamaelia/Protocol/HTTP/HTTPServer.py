"""
An HTTP/1.1 server, as a protocol for ServerCore
================================================
Say which request handler answers for which addresses, and give that to a ServerCore. A handler is a
function or class that gets the request and returns a component; what that component sends is the
answer.

Example Usage
-------------
The files of a folder behind /static/, and a page for everything else::

    # ends: ctrl-c
    from Kamaelia.Chassis.ConnectedServer import ServerCore
    from Kamaelia.Protocol.HTTP.Handlers.Minimal import Minimal
    from Kamaelia.Protocol.HTTP.HTTPServer import HTTPProtocol
    from Kamaelia.Util.OneShot import OneShot


    def hello(request):
        data = f"hello {request['peer']}, you asked for {request.path}"
        return OneShot({"data": data, "content-type": "text/plain", "complete": True})


    def files(request):
        return Minimal(request, indexfilename="index.html", homedirectory="htdocs")


    routing = [["/static/", files], ["/", hello]]
    ServerCore(protocol=HTTPProtocol(routing), port=8080, host="127.0.0.1").run()

The first prefix that the address begins with decides; one that ends with a slash means a folder.
The request is typed (Support.Protocol.HTTP.Messages.Request) and reads like the original's
dictionary. A part of an answer is a Response, or the original's dictionary (keys statuscode, data,
headers, content-type, length, complete), and after the first one just bytes. Exchange.py says what
comes to a handler's boxes; EventStream.py and WebSocket.py are handlers for feeds.

Requests of one connection are answered in order. A handler that fails costs its client a 500, the
log has the traceback, and nobody else notices. Nothing is unlimited: see HTTPRequestHandler, whose
settings HTTPProtocol takes too. A client that reads slowly holds back the handler's outbox.

Unlike in the original, HTTPProtocol is here and not in Kamaelia.Support, which holds no components,
and there is no HTTPShutdownLogicHandling: HTTPRequestHandler does what it did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from Axon.Component import component
from Kamaelia.Protocol.HTTP.ErrorPage import ErrorPage
from Kamaelia.Protocol.HTTP.HTTPRequestHandler import HTTPRequestHandler, RequestHandlerFactory
from Kamaelia.Support.Protocol.HTTP.Messages import Request

ErrorHandler = Callable[[int, str], component]
# [prefix, factory] each, lists or tuples
Routing = Iterable[Sequence[str | RequestHandlerFactory]]


def HTTPServer(  # noqa: N802 - the original's name
    createRequestHandler: RequestHandlerFactory,
    **attributes: object,
) -> HTTPRequestHandler:
    """HTTPServer(createRequestHandler, **attributes) -> serves one connection, each of its requests
    with the component that createRequestHandler(request) returns."""
    return HTTPRequestHandler(createRequestHandler, **attributes)


def requestHandlers(
    routing: Routing, errorhandler: ErrorHandler | None = None
) -> RequestHandlerFactory:
    """requestHandlers(routing, errorhandler=None) -> a function that makes the handler for a
    request: by the first prefix in routing, a list of [prefix, factory], that its address begins
    with. errorhandler(status, text): makes the one for a request that none is for.

    Raises TypeError or ValueError for a routing that is none."""
    table = [_route(entry) for entry in routing]

    def create(request: Request) -> component:
        for prefix, factory in table:
            if request.target.startswith(prefix):
                return factory(request.routed(prefix))
        return (errorhandler or ErrorPage)(404, "There is nothing at this address.")

    return create


def _route(entry: Sequence[str | RequestHandlerFactory]) -> tuple[str, RequestHandlerFactory]:
    prefix, factory = entry
    if not isinstance(prefix, str) or isinstance(factory, str) or not callable(factory):
        raise TypeError(f"a route is a pair of a prefix and a function, not {entry!r}")
    if not prefix.startswith("/"):
        raise ValueError(f"no address begins with {prefix!r}: a prefix begins with a slash")
    return prefix, factory


def HTTPProtocol(  # noqa: N802 - the original's name
    routing: Routing, errorhandler: ErrorHandler | None = None, **settings: object
) -> Callable[..., HTTPRequestHandler]:
    """HTTPProtocol(routing, errorhandler=None, **settings) -> the protocol for a ServerCore: see
    requestHandlers; the settings are those of HTTPRequestHandler."""
    create = requestHandlers(routing, errorhandler)

    def protocol(**peer: object) -> HTTPRequestHandler:
        return HTTPServer(create, **{**settings, **peer})

    return protocol


__kamaelia_prefabs__ = (HTTPServer, HTTPProtocol)
