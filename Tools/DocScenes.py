"""
Pictures of the documents
=========================
The drawings in Docs that belong to no component: each is made of the components that it shows.
Tools/DocGen.py writes them with the reference.

Example Usage
-------------
::

    from DocScenes import SCENES

    for path, draw in SCENES.items():
        print(path, draw().description)
"""

from __future__ import annotations

from collections.abc import Callable

from Blueprint import blueprint
from DotText import Drawing, of_snapshot

from Kamaelia.Apps.Grey.Core.Types import Policy
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Apps.Grey.FrontDoor.ProxyDesk import ProxyDesk
from Kamaelia.Apps.Grey.GreylistDecider import GreylistDecider
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Apps.Grey.Store.StoreService import StoreService
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Protocol.SMTP import SMTPServerSession
from Kamaelia.Protocol.SMTPClient import SMTPClientSession
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerSession

# As FrontDoor/SMTPProxy.py and RelayPool.py link them, one after the other as they are needed.
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
}


def smtp_proxy() -> Drawing:
    """The proxy for one client whose mail passes."""
    session = ServerSession("mx.example.org", capabilities=Capabilities)
    policy = Policy()
    made = Graphline(
        LINKAGES,
        SESSION=SMTPServerSession(session),
        DESK=ProxyDesk("192.0.2.7", "picture", Backend("192.0.2.25", 25), lambda: 0.0),
        DECIDER=GreylistDecider(policy, StoreService(MemoryStore, policy.lifetimes)),
        RELAY=SMTPClientSession("192.0.2.25", 25, "mx.example.org"),
    )
    return of_snapshot(blueprint(made), "One client's session of the proxy")


SCENES: dict[str, Callable[[], Drawing]] = {"Docs/pictures/smtp-proxy.svg": smtp_proxy}
