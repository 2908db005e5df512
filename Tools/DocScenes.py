"""
Pictures of the documents
=========================
The drawings in Docs that belong to no component: each is made from the wiring of the program that
it shows, so that it cannot be another one. Tools/DocGen.py writes them with the reference.

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

from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Server import GreyServer
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore


def smtp_proxy() -> Drawing:
    """What the proxy makes for one client, and whom that talks to."""
    server = GreyServer(loads("servername = mx.example.org\n", "picture"), open_store=MemoryStore)
    made = server.doors[0].make_protocol(
        peer="192.0.2.7", peerport=1024, localip="192.0.2.25", localport=25
    )
    return of_snapshot(blueprint(made), "One client's session of the proxy")


SCENES: dict[str, Callable[[], Drawing]] = {"Docs/pictures/smtp-proxy.svg": smtp_proxy}
