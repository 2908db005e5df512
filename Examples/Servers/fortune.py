# ends: ctrl-c
"""
A server that says something wise to everybody who connects, as slowly as one reads.

    python Examples/Servers/fortune.py [PORT [BITS_A_SECOND]]

In another terminal:

    nc 127.0.0.1 1500

    FortuneCookieProtocol --bytes, 320 bits a second--> client's socket     (one for each client)

The protocol ends after its saying, which closes the connection. The wisdom is that of the program
fortune, or of the dozen built in where there is none. The second argument is for the impatient: a
server wants a function that makes a component, and partial() fixes some of its settings.
"""

import sys
from contextlib import suppress
from functools import partial

from Kamaelia.Chassis.ConnectedServer import FastRestartServer
from Kamaelia.Protocol.FortuneCookieProtocol import FortuneCookieProtocol

port = int(sys.argv[1]) if sys.argv[1:] else 1500
bitrate = float(sys.argv[2]) if sys.argv[2:] else 320.0
protocol = partial(FortuneCookieProtocol, bitrate=bitrate)
server = FastRestartServer(protocol=protocol, host="127.0.0.1", port=port)
with suppress(KeyboardInterrupt):
    server.activate()
    print("fortunes: nc", *server.address, flush=True)
    server.run()
