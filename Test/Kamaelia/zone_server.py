"""
A name server for tests: a zone, and a server for it on loopback, by UDP and TCP on one port.

    zone = Zone("example.test.", "www 60 A 192.0.2.1")
    server = ZoneServer(world, zone)
    Resolver([server.address])

What it replies is the work of a function (query, over_tcp) -> replies. A `Zone` is an honest one;
`silent`, `failing` and `saying` are, or make, others.
"""

import socket
from collections.abc import Callable, Iterable, Iterator

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone

from Axon.Component import component
from Kamaelia.Chassis.ConnectedServer import ServerCore
from Kamaelia.Internet.UDP import PostboxPeer
from Kamaelia.Support.Protocol.DNS.Wire import Frames, framed
from Test.Kamaelia.network import World

Message = dns.message.Message
Replies = Callable[[Message, bool], Iterable[bytes]]

SOA = "@ 300 SOA ns.{origin} hostmaster.{origin} 1 3600 600 86400 120\n"
CHAIN = 8
ATTEMPTS = 50


class Zone:
    """Zone(origin, records) -> replies as a server does that looks up for others.

    records: lines of a master file; an SOA with a minimum of 120 seconds is there already."""

    def __init__(self, origin: str, records: str = "") -> None:
        text = SOA.format(origin=origin) + f"@ 300 NS ns.{origin}\n" + records + "\n"
        self.origin = dns.name.from_text(origin)
        self.zone = dns.zone.from_text(text, origin=self.origin, relativize=False)

    def __call__(self, query: Message, over_tcp: bool) -> list[bytes]:
        return [self.reply(query, over_tcp).to_wire(max_size=65_535)]

    def reply(self, query: Message, over_tcp: bool) -> Message:
        reply = self.blank(query)
        name, kind = query.question[0].name, query.question[0].rdtype
        for _ in range(CHAIN):
            found = self._get(name, kind)
            if found is not None:
                reply.answer.append(found)
                break
            alias = self._get(name, dns.rdatatype.CNAME)
            if alias is None:
                self._deny(reply, name)
                break
            reply.answer.append(alias)
            name = alias[0].target
        size = 65_535 if over_tcp else query.payload or 512
        if len(reply.to_wire(max_size=65_535)) > size:
            reply = self.blank(query)
            reply.flags |= dns.flags.TC
        return reply

    def blank(self, query: Message, code: dns.rcode.Rcode = dns.rcode.NOERROR) -> Message:
        reply = dns.message.make_response(query, recursion_available=True)
        reply.set_rcode(code)
        return reply

    def _get(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.rrset.RRset | None:
        if not name.is_subdomain(self.origin):
            return None
        try:
            return self.zone.get_rrset(name, kind)
        except KeyError:
            return None

    def _deny(self, reply: Message, name: dns.name.Name) -> None:
        """Not there; say for how long that is so."""
        if not name.is_subdomain(self.origin) or self.zone.get_node(name) is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        soa = self._get(self.origin, dns.rdatatype.SOA)
        assert soa is not None
        reply.authority.append(soa)


# ---- dishonest ones


def rrset(text: str) -> dns.rrset.RRset:
    """Of a record in master file form, with everything: "www.example.org. 60 IN A 192.0.2.1"."""
    name, ttl, kind_of_net, kind, data = text.split(None, 4)
    return dns.rrset.from_text(name, int(ttl), kind_of_net, kind, data)


def silent(_query: Message, _over_tcp: bool) -> list[bytes]:
    return []


def failing(code: dns.rcode.Rcode = dns.rcode.SERVFAIL) -> Replies:
    def replies(query: Message, _over_tcp: bool) -> list[bytes]:
        reply = dns.message.make_response(query)
        reply.set_rcode(code)
        return [reply.to_wire()]

    return replies


def saying(*texts: str, code: dns.rcode.Rcode = dns.rcode.NOERROR) -> Replies:
    """These records, in master file form, whatever was asked for."""

    def replies(query: Message, _over_tcp: bool) -> list[bytes]:
        reply = dns.message.make_response(query, recursion_available=True)
        reply.set_rcode(code)
        reply.answer += [rrset(text) for text in texts]
        return [reply.to_wire(max_size=65_535)]

    return replies


# ---- the server


class _Datagrams(component):
    """Between a PostboxPeer and the replies."""

    Inboxes = {"inbox": "(bytes, (str, int)): a query", "control": "the shutdown"}
    Outboxes = {"outbox": "(str, int, bytes): a reply", "signal": "the shutdown that came in"}

    def __init__(self, server: "ZoneServer") -> None:
        super().__init__()
        self.server = server

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            for data, (host, port) in self.Inbox("inbox"):
                self.server.clients.append((host, port))
                for reply in self.server.replies_to(data, over_tcp=False):
                    self.send((host, port, reply), "outbox")
            self.pause()
            yield 1


class _Stream(component):
    """The protocol of one connection."""

    Inboxes = {"inbox": "bytes: queries", "control": "the shutdown"}
    Outboxes = {"outbox": "bytes: replies", "signal": "the shutdown that came in"}

    def __init__(self, server: "ZoneServer", **peer: object) -> None:
        super().__init__(**peer)
        self.server = server

    def main(self) -> Iterator[object]:
        frames = Frames()
        while not self.told_to_stop():
            for data in self.Inbox("inbox"):
                frames.receive_data(data)
                while (wire := frames.message()) is not None:
                    for reply in self.server.replies_to(wire, over_tcp=True):
                        yield from self.put(self.server.frame(reply), "outbox")
            if not self.anyReady():
                self.pause()
            yield 1


class ZoneServer:
    """ZoneServer(world, replies) -> `address` of a server there; `asked`: (name, kind, by TCP?) of
    every query so far, `clients`: the address of each datagram."""

    frame = staticmethod(framed)

    def __init__(self, world: World, replies: Replies) -> None:
        self.replies = replies
        self.asked: list[tuple[str, str, bool]] = []
        self.queries: list[Message] = []
        self.clients: list[tuple[str, int]] = []
        self.peer, self.tcp = self._opened(world)
        self.address = self.peer.address
        datagrams = _Datagrams(self)
        datagrams.link((self.peer, "outbox"), (datagrams, "inbox"))
        datagrams.link((datagrams, "outbox"), (self.peer, "inbox"))
        world.run(datagrams, self.peer)

    def _opened(self, world: World) -> tuple[PostboxPeer, ServerCore]:
        """Both on one port: what is free for datagrams need not be free for connections."""
        for _ in range(ATTEMPTS):
            peer = PostboxPeer("127.0.0.1", 0)
            tcp = ServerCore(protocol=self._connected, host="127.0.0.1", port=peer.address[1])
            try:
                world.run(tcp)  # it listens from here on
            except OSError:
                peer.stop()
            else:
                return peer, tcp
        raise OSError(f"no port is free for both in {ATTEMPTS} attempts")

    def _connected(self, **peer: object) -> _Stream:
        return _Stream(self, **peer)

    def replies_to(self, wire: bytes, over_tcp: bool) -> list[bytes]:
        query = dns.message.from_wire(wire)
        (question,) = query.question
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((question.name.to_text().lower(), kind, over_tcp))
        self.queries.append(query)
        return list(self.replies(query, over_tcp))


def nobody_there(world: World) -> tuple[str, int]:
    """An address of loopback at which nothing listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        host, port = sock.getsockname()
        return host, port
