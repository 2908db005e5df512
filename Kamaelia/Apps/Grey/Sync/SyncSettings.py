"""
With whom records are shared, and how that goes
===============================================

>>> settings = SyncSettings(peers=(("mx2.example.org", 3),))
>>> settings.port, settings.queue_limit
(5252, 1024)
"""

from dataclasses import dataclass

from Kamaelia.Support.Protocol.MXSync.Commands import PORT


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """peers: name or address of each machine, and how many seconds it may take to answer (0: for
    ever). port: on which they are called. listen_host, listen_port: where we are called ("*" or ""
    for any address), by which we know ourselves. source: from which address they are called ("*" or
    "": the system's choice). queue_limit: how much may wait for one of them."""

    peers: tuple[tuple[str, float], ...] = ()
    port: int = PORT
    listen_host: str = "*"
    listen_port: int = PORT
    source: str = "*"
    queue_limit: int = 1024


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """How it goes with one peer, for a person. version: 0 while there is no connection. sent,
    dropped: since the start; dropped are those for which there was no room, and those that the peer
    refused. last_error: why the last connection failed, "" if it did not. ourselves: it is this
    machine, and never called."""

    name: str
    connected: bool
    version: int
    queued: int
    sent: int
    dropped: int
    last_error: str
    ourselves: bool = False
