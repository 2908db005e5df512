"""
The proxy: the graph of one connection
======================================
What ServerCore makes for each client. The picture, which is also the wiring below::

    client's      +---------+ events  +------+ attempts +---------+  questions  +--------------+
    socket  <---> | SESSION | ------> | DESK | -------> | DECIDER | <---------> | StoreService |
                  |         | <------ |      | <------- |         |             | (1 a process)|
                  +---------+ replies +------+ decisions+---------+             +--------------+
                                       |    ^
                              commands v    | replies
                                      +-------+
                                      | RELAY | <---> TCPClient <---> the real mail server
                                      +-------+

A component of one's own goes between any two: what passes there is in the box texts of both.

Example Usage
-------------
Server.py does this for every client::

    proxy = SMTPProxy(
        peer="192.0.2.7", settings=settings, backend=backend, make_decider=make_decider,
        mail_log=mail_log
    )
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from Axon.Component import component
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Apps.Grey.FrontDoor.ProxyDesk import ProxyDesk
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Protocol.SMTP import SMTPClientSession, SMTPServerSession
from Kamaelia.Support.Protocol.SMTP.ClientCommands import (
    ClientTimes,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerLimits, ServerSession

LINKAGES = {
    ("self", "inbox"): ("SESSION", "inbox"),
    ("self", "control"): ("SESSION", "control"),
    ("SESSION", "outbox"): ("self", "outbox"),
    ("SESSION", "signal"): ("self", "signal"),
    ("SESSION", "events"): ("DESK", "inbox"),
    ("DESK", "outbox"): ("SESSION", "replies"),
    ("DESK", "attempts"): ("DECIDER", "inbox"),
    ("DECIDER", "outbox"): ("DESK", "decisions"),
    ("DESK", "to_backend"): ("RELAY", "inbox"),
    ("DESK", "abandon"): ("RELAY", "abandon"),
    ("RELAY", "outbox"): ("DESK", "backend"),
    # When the client is gone the desk finishes, then those it worked with.
    ("DESK", "signal"): ("DECIDER", "control"),
    ("DECIDER", "signal"): ("RELAY", "control"),
}

TOO_MANY = Reply.of(421, "4.3.2", "too many connections, try again later")
BROKEN = Reply.of(421, "4.3.0", "internal error, try again later")


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """What does not change from client to client. Times in seconds, sizes in bytes."""

    hostname: str
    greeting: str = "ESMTP"
    size_limit: int = 52_428_800
    timeout: float = 300.0
    limits: ServerLimits = field(default_factory=ServerLimits)
    times: ClientTimes = field(default_factory=ClientTimes)


class SMTPProxy(Graphline):
    """SMTPProxy(peer, settings, backend, make_decider, mail_log, clock, full=False) -> one client's
    graph.

    make_decider: called without arguments for a component that answers Attempts with Decisions.
    mail_log: a component that takes Decided and Outcome. full: refuse this client, there are too
    many. clock: seconds since the epoch."""

    def __init__(
        self,
        peer: str,
        settings: ProxySettings,
        backend: Backend,
        make_decider: Callable[[], component],
        mail_log: component,
        clock: Callable[[], float],
        full: bool = False,
    ) -> None:
        self.session_id = secrets.token_hex(5)
        session = ServerSession(
            settings.hostname,
            capabilities=lambda: backend.offered(settings.size_limit),
            limits=settings.limits,
            tag=self.session_id,
        )
        refusal = TOO_MANY.tagged(self.session_id) if full else None
        desk = ProxyDesk(peer, self.session_id, backend, clock)
        decider = make_decider()
        super().__init__(
            LINKAGES,
            SESSION=SMTPServerSession(session, settings.greeting, refusal, settings.timeout),
            DESK=desk,
            DECIDER=decider,
            RELAY=SMTPClientSession(backend.host, backend.port, settings.hostname, settings.times),
        )
        self.link((desk, "outcomes"), (mail_log, "inbox"))
        self.link((decider, "log"), (mail_log, "inbox"))

    def last_words(self) -> bytes:
        """What the client hears when one of our components fails."""
        return BROKEN.tagged(self.session_id).to_wire()


__kamaelia_components__ = (SMTPProxy,)
