# ends: ctrl-c
"""
A room on a web page: what one says all hear, both ways over a WebSocket.

    python Examples/Servers/websocket.py [PORT]

Open the address that it prints in two browser windows, and talk.

            text   +------+       +-----------+
    browser -----> | TIDY | ----> | PublishTo | ---> Backplane "ROOM"
                   +------+       +-----------+              |
            text   +-------------+                           |
    browser <----- | SubscribeTo | <-------------------------+      (a set for each visitor)
                   +-------------+

It is the chat server of chat.py. The library speaks HTTP and WebSocket and makes messages of it;
behind that stands an ordinary component.
"""

import sys
from contextlib import suppress
from pathlib import Path

from Kamaelia.Chassis.ConnectedServer import FastRestartServer
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Protocol.HTTP.Handlers.Minimal import Minimal
from Kamaelia.Protocol.HTTP.HTTPServer import HTTPProtocol
from Kamaelia.Protocol.HTTP.WebSocket import WebSocketProtocol
from Kamaelia.Support.Protocol.HTTP.Messages import Request
from Kamaelia.Util.Backplane import Backplane, PublishTo, SubscribeTo, WhenFull
from Kamaelia.Util.PureTransformer import PureTransformer

PAGES = Path(__file__).with_name("pages")
origins: list[str] = []  # whose pages may talk with us; any page of the web could try


def tidy(message: str | bytes) -> str | None:
    return message[:500] if isinstance(message, str) else None


def member(request: Request) -> Pipeline:
    return Pipeline(PureTransformer(tidy), PublishTo("ROOM"), SubscribeTo("ROOM"))


def files(request: Request) -> Minimal:
    return Minimal(request, indexfilename="room.html", homedirectory=PAGES)


port = int(sys.argv[1]) if sys.argv[1:] else 8080
talk = WebSocketProtocol(member, origins=origins, max_size=4096)
protocol = HTTPProtocol([["/talk", talk], ["/", files]])
server = FastRestartServer(protocol=protocol, host="127.0.0.1", port=port)
with suppress(KeyboardInterrupt):
    server.activate()
    Backplane("ROOM", WhenFull.DROP_OLDEST).activate()
    port = server.address[1]  # the one that the system chose, if it was to
    origins += [f"http://127.0.0.1:{port}", f"http://localhost:{port}"]
    print(f"open http://127.0.0.1:{port}/", flush=True)
    server.run()
