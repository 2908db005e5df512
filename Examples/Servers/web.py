# ends: ctrl-c
"""
A web server with a page that lives: its clock, and how many are looking. See also pages/live.js.

    python Examples/Servers/web.py [PORT]

Open the address that it prints in a browser, and then in a second window; or

    curl -N http://127.0.0.1:8080/events

    PeriodicTick --tick--> NEWS --event--> PublishTo ---> Backplane "LIVE"      (once)
    browser <--bytes-- EventStream <--event-- SubscribeTo <---/                 (for each visitor)
"""

import json
import sys
import time
from contextlib import suppress
from pathlib import Path

from Kamaelia.Apps.SA.Time import PeriodicTick
from Kamaelia.Chassis.ConnectedServer import FastRestartServer
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Protocol.HTTP.EventStream import EventStream
from Kamaelia.Protocol.HTTP.Handlers.Minimal import Minimal
from Kamaelia.Protocol.HTTP.HTTPServer import HTTPProtocol
from Kamaelia.Support.Protocol.HTTP.EventStream import ServerSentEvent
from Kamaelia.Support.Protocol.HTTP.Messages import Request
from Kamaelia.Util.Backplane import Backplane, PublishTo, SubscribeTo
from Kamaelia.Util.PureTransformer import PureTransformer

PAGES = Path(__file__).with_name("pages")
visitors: set[EventStream] = set()


def news(tick: object) -> ServerSentEvent:
    facts = {"clock": time.strftime("%H:%M:%S"), "visitors": len(visitors)}
    return ServerSentEvent(json.dumps(facts))


def events(request: Request) -> EventStream:
    stream = EventStream(SubscribeTo("LIVE"), retry_seconds=1)
    visitors.add(stream)
    stream.call_on_close(lambda: visitors.discard(stream))
    return stream


def files(request: Request) -> Minimal:
    return Minimal(request, indexfilename="live.html", homedirectory=PAGES)


port = int(sys.argv[1]) if sys.argv[1:] else 8080
protocol = HTTPProtocol([["/events", events], ["/", files]])  # the first that fits
server = FastRestartServer(protocol=protocol, host="127.0.0.1", port=port)
with suppress(KeyboardInterrupt):
    server.activate()
    Backplane("LIVE").activate()
    Pipeline(PeriodicTick(1), PureTransformer(news), PublishTo("LIVE")).activate()
    print(f"open http://{server.host}:{server.address[1]}/", flush=True)
    server.run()
