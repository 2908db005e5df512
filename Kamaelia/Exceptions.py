"""
Exceptions of the library
=========================
`ProtocolError` is what every parser under `Kamaelia.Support` raises, so that the component around
it can catch one thing at its edge, log it once and turn it into a reply or a shutdown::

    class PolicySyntaxError(ProtocolError):
        "The peer's request cannot be understood."

The lower-case names are those of the original Kamaelia: what a socket adapter tells its neighbours
when a connection ends. They form a tree, so that code may catch as much of it as it cares for::

    connectionClosedown
        connectionDied
            connectionDiedSending
            connectionDiedReceiving
        connectionServerShutdown
"""


class ProtocolError(Exception):
    """A peer (or, in a LocalProtocolError, our own code) broke the rules of a protocol."""


class LocalProtocolError(ProtocolError):
    """Our own code asked a state machine for something that the protocol does not allow now."""


class socketSendFailure(Exception):
    """The operating system refused to send bytes that it should have taken."""


class connectionClosedown(Exception):
    """The connection is ending, for whatever reason."""


class connectionDied(connectionClosedown):
    """The connection broke: nobody said goodbye."""


class connectionDiedSending(connectionDied):
    """The connection broke while we were sending."""


class connectionDiedReceiving(connectionDied):
    """The connection broke while we were receiving."""


class connectionServerShutdown(connectionClosedown):
    """Our own server is going away and takes the connection with it."""


class BadRequest(Exception):
    """A request that made its handler fail, and the exception that came of it."""

    def __init__(self, request: object, innerexception: BaseException) -> None:
        super().__init__(request, innerexception)
        self.request = request
        self.exception = innerexception
