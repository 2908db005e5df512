"""
The way to an HTTP server
=========================
What the clients have in common before a byte is said: a connection for an address, with TLS if the
address asks for it, and the four boxes by which they talk through it.

Example Usage
-------------
In a component that has mixed it in, and declares the boxes::

    connection = self._connect(Url.parse("https://example.org/"), timeout=30.0)
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from Axon.Component import component
from Kamaelia.Support.Protocol.HTTP.Uri import Url

if TYPE_CHECKING:
    _Base = component
else:
    _Base = object

WINDOW = 4  # pieces that may wait for the server


class ConnectingMixin(_Base):
    """To be mixed into a component with the boxes "_received" and "_over", "_toServer" and
    "_close"."""

    __slots__ = ()

    connectionclass: Callable[..., component]
    tls: ssl.SSLContext | None

    def _connect(self, url: Url, timeout: float) -> component:
        options: dict[str, Any] = {"connect_timeout": timeout, "inbox_limit": WINDOW}
        if url.secure:
            options["tls"] = self.tls or ssl.create_default_context()
            options["server_hostname"] = url.host
        connection = self.connectionclass(url.host, url.port, **options)
        self.link((connection, "outbox"), (self, "_received"))
        self.link((connection, "signal"), (self, "_over"))
        self.link((self, "_toServer"), (connection, "inbox"))
        self.link((self, "_close"), (connection, "control"))
        self.addChildren(connection)
        connection.activate(Scheduler=self.scheduler)
        return connection
