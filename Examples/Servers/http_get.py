"""
Fetch from web servers: the addresses given, or two of a server that is a part of this program.

    python Examples/Servers/http_get.py [URL ...]

    +------+ address +--------+ body  +--------+ text +------+
    | URLS | ------> | CLIENT | ----> |  SIZE  | ---> | SHOW |
    +------+         +--------+       +--------+      +------+
                         | failure    +--------+ text    ^
                         +----------> | REASON | --------+
                                      +--------+

https is checked, redirects are followed, and what could not be had is a message like all others.
"""

import sys

from Kamaelia.Chassis.ConnectedServer import ServerCore
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Protocol.HTTP.HTTPClient import SimpleHTTPClient
from Kamaelia.Protocol.HTTP.HTTPServer import HTTPProtocol
from Kamaelia.Support.Protocol.HTTP.Messages import Request, Response
from Kamaelia.Util.Console import ConsoleEchoer
from Kamaelia.Util.DataSource import DataSource
from Kamaelia.Util.OneShot import OneShot
from Kamaelia.Util.PureTransformer import PureTransformer


def hello(request: Request) -> OneShot:
    return OneShot(Response(b"hello, whoever you are", content_type="text/plain", complete=True))


def size(body: bytes) -> str:
    return f"{len(body)} bytes: {body[:30]!r}\n"


client, urls = SimpleHTTPClient(), sys.argv[1:]
if not urls:
    protocol = HTTPProtocol([["/hello", hello]])
    server = ServerCore(protocol=protocol, host="127.0.0.1", port=0).activate()
    client.call_on_close(server.stop)
    urls = [f"http://127.0.0.1:{server.address[1]}/{path}" for path in ("hello", "nothing")]
Graphline(
    URLS=DataSource(urls),
    CLIENT=client,
    SIZE=PureTransformer(size),
    REASON=PureTransformer(lambda failure: f"{failure.url}: {failure.reason}\n"),
    SHOW=ConsoleEchoer(),
    linkages={
        ("URLS", "outbox"): ("CLIENT", "inbox"),
        ("URLS", "signal"): ("CLIENT", "control"),
        ("CLIENT", "outbox"): ("SIZE", "inbox"),
        ("CLIENT", "errors"): ("REASON", "inbox"),
        ("SIZE", "outbox"): ("SHOW", "inbox"),
        ("REASON", "outbox"): ("SHOW", "inbox"),
        ("CLIENT", "signal"): ("SIZE", "control"),
        ("SIZE", "signal"): ("REASON", "control"),
        ("REASON", "signal"): ("SHOW", "control"),
    },
).run()
