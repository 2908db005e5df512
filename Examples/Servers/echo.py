# ends: ctrl-c
"""
The smallest server: what a client says comes back to it.

    python Examples/Servers/echo.py [PORT]

In another terminal, and as often at once as you like:

    nc 127.0.0.1 1500

    client's socket --bytes--> EchoProtocol --bytes--> client's socket      (one for each client)

A protocol is a component: "inbox" is what the client sends, "outbox" what it gets. The server, a
ServerCore that can be started again at once, makes one for every client, and tells it when that is
gone. A client that sends and does not read is not read from any more, until it does. Ctrl-C ends
it.
"""

import sys
from contextlib import suppress

from Kamaelia.Chassis.ConnectedServer import FastRestartServer
from Kamaelia.Protocol.EchoProtocol import EchoProtocol

port = int(sys.argv[1]) if sys.argv[1:] else 1500
server = FastRestartServer(protocol=EchoProtocol, host="127.0.0.1", port=port)
with suppress(KeyboardInterrupt):
    server.activate()  # here the port is taken: an OSError if it cannot be had
    print("echo: nc", *server.address, flush=True)
    server.run()
