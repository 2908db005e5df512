# ends: ctrl-c
"""
A peer without connections: each datagram is answered with the same in capitals, and shown.

    python Examples/Servers/udp_peer.py [PORT]

In another terminal:

    nc -u 127.0.0.1 1500

    +-------------+ (data, (host, port)) +----------+
    | PostboxPeer | -------------------> | ANSWERER |
    +-------------+                      +----------+
           ^         (host, port, data)       |
           +----------------------------------+

A PostboxPeer is told with each message whom to send it to, so two components in a ring answer the
whole world. Nothing is promised here: a datagram may be lost, doubled, or overtaken by the next.
"""

import sys
from contextlib import suppress

from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Internet.UDP import PostboxPeer
from Kamaelia.Util.PureTransformer import PureTransformer


def answer(message: tuple[bytes, tuple[str, int]]) -> tuple[str, int, bytes]:
    data, (host, port) = message
    print(f"{host} port {port}: {data!r}", flush=True)  # as Python writes it: a stranger's bytes
    return host, port, data.upper()


peer = PostboxPeer("127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 1500)
with suppress(KeyboardInterrupt):
    print("udp: nc -u", *peer.address, flush=True)  # asking for the address takes the port
    Pipeline(peer, PureTransformer(answer), circular=True).run()
