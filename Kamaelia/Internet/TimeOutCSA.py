"""
Drop idle connections
=====================
Makes a kind of ConnectedSocketAdapter that closes when no byte has gone either way for a time,
to be given to a server as its ``CSA``.

Example Usage
-------------
An echo server that forgets clients which say nothing for a minute::

    class PatientTCPServer(TCPServer):
        CSA = NoActivityTimeout(ConnectedSocketAdapter, timeout=60)


    ServerCore(protocol=EchoProtocol, port=1500, TCPS=PatientTCPServer).run()

How does it work?
-----------------
Each connection has one timer in the scheduler. A byte moves the timer's time and touches
nothing else, so that activity costs next to nothing; there is no thread and no further
component.
"""

from __future__ import annotations

from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter


def NoActivityTimeout(  # noqa: N802 - the original's name
    someclass: type[ConnectedSocketAdapter] = ConnectedSocketAdapter,
    timeout: float = 2,
    debug: bool = False,
) -> type[ConnectedSocketAdapter]:
    """A subclass of someclass that closes after timeout seconds without activity. debug is taken
    and not needed."""
    if timeout <= 0:
        raise ValueError(f"a time-out of {timeout} seconds leaves no time for anything")
    return type(f"{someclass.__name__}WithTimeout", (someclass,), {"inactivity_timeout": timeout})


__kamaelia_prefabs__ = (NoActivityTimeout,)
