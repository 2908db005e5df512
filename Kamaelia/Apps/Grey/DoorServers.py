"""
A server for each door
======================
What listens at the doors of a configuration: a ServerCore each, with the protocol that is spoken
there. GreyServer says who serves whom; here is what is different from one kind of door to the next.

Example Usage
-------------
By GreyServer, with None for sockets that are to be opened now::

    servers = servers_of(config, listening, {DoorKind.SMTP: self._proxy, ...})
    for server in servers:
        server.activate()
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from Axon.Component import component
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Doors import REUSE_ADDRESS, DoorKind, doors_of, kind_of, open_doors
from Kamaelia.Chassis.ConnectedServer import ServerCore
from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
from Kamaelia.Internet.PromptSocketAdapter import PromptSocketAdapter
from Kamaelia.Internet.TCPServer import TCPServer

# Clients above max_connections hear 421. Above this many more they wait in the kernel: even a 421
# costs a descriptor and a session for as long as the client likes to look at it.
REFUSALS_AT_ONCE = 100
# Connections to the port of peers: of those that are (SyncService.CONNECTIONS), and as many more
# that are not known yet, or have just been sent away.
MOST_PEERS = 1_000
Protocols = Mapping[DoorKind, Callable[..., component]]


class _ClientSocket(ConnectedSocketAdapter):
    """A client that shuts its end after its dot waits for the mail server's answer, as others do.
    The session sees to the time: it ends as soon as nothing is owed to such a client."""

    __slots__ = ()

    half_close_timeout = 3_600.0


def servers_of(
    config: Config, listening: Sequence[socket.socket] | None, protocols: Protocols
) -> list[ServerCore]:
    """One for each socket; without sockets one for each door of the configuration, whose ports are
    opened when it is activated. Raises OSError for a socket's file that cannot be had; then none of
    the others is there, either."""
    if listening is not None:
        return [
            _server({"sock": sock, "port": None}, kind_of(sock, config), config, protocols)
            for sock in listening
        ]
    doors = doors_of(config)
    (opened,) = open_doors([door for door in doors if door.place.path])
    files = iter(opened)
    servers = []
    for door in doors:
        place: dict[str, Any] = {"host": door.place.host, "port": door.place.port}
        if door.place.path:
            place = {"sock": next(files), "port": None}
        servers.append(_server(place, door.kind, config, protocols))
    return servers


def _server(
    place: dict[str, Any], kind: DoorKind, config: Config, protocols: Protocols
) -> ServerCore:
    more: dict[str, Any] = {"connection_limit": config.max_connections}
    if kind is DoorKind.SYNC:
        more = {"connection_limit": MOST_PEERS}
    elif kind is DoorKind.MILTER and not _is_file(place.get("sock")):
        # Sendmail writes macros and command in two pieces: 40 ms for each command without this.
        more["TCPS"] = partial(TCPServer, CSA=PromptSocketAdapter)
    elif kind in (DoorKind.SMTP, DoorKind.SMTPS):
        more = {
            "connection_limit": config.max_connections + REFUSALS_AT_ONCE,
            "TCPS": partial(TCPServer, CSA=_ClientSocket),
        }
    server = ServerCore(**place, **more, socketOptions=REUSE_ADDRESS, protocol=protocols[kind])
    server.name = f"{kind.value.title().replace(' ', '')}_{server.id}"  # for who looks from outside
    return server


def _is_file(sock: socket.socket | None) -> bool:
    return sock is not None and sock.family == socket.AF_UNIX
