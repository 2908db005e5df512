"""
A site with rules, as its administrator has it: kamaelia-grey with a greylist.conf of free text, a
mail server behind it that shows what arrived, and a DNS server that knows the names of the tests.

    site = Site(folder, boxes.port, resolver)
    site.write("racl blacklist spf fail\\n")
    with site:
        assert site.asks("127.0.1.1", "a@example.net", "anna@example.org").code == 451
"""

from __future__ import annotations

import os
import signal
import socketserver
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from Test.Kamaelia.zone_server import Zone
from Test.System.clients import Answer, Client
from Test.System.processes import Program, free_port, wait_until

QUIET = "slow.test."  # nobody ever answers for this domain

Question = tuple[str, str]

_TEST = """
good 60 TXT "v=spf1 ip4:127.0.1.0/24 -all"
bad 60 TXT "v=spf1 ip4:127.0.99.0/24 -all"
open 60 TXT "v=spf1 +all"
farm 60 TXT "v=spf1 ip4:127.0.20.0/24 ip4:127.0.30.0/24 -all"
mxd 60 MX 10 mail.mxd
mail.mxd 60 A 127.0.40.5
n1.farm 60 A 127.0.50.1
n2.farm 60 A 127.0.60.1
mx.nice 60 A 127.0.70.1
"""
_NAMES = """
1.50.0 60 PTR n1.farm.test.
1.60.0 60 PTR n2.farm.test.
1.70.0 60 PTR mx.nice.test.
1.72.0 60 PTR liar.test.
"""
_LISTED = """
1.80.0.127 60 A 127.0.0.11
2.80.0.127 60 A 127.0.0.2
1.81.0.127 60 A 127.0.0.3
"""


def zones() -> tuple[Zone, ...]:
    """What the DNS knows: domains below test, the names of clients, and the list bl.example."""
    places = (("test.", _TEST), ("127.in-addr.arpa.", _NAMES), ("bl.example.", _LISTED))
    return tuple(Zone(origin, records) for origin, records in places)


def _on_one_port(
    datagrams: type[socketserver.BaseRequestHandler], streams: type[socketserver.BaseRequestHandler]
) -> tuple[socketserver.ThreadingUDPServer, socketserver.ThreadingTCPServer]:
    """A port that is free for one of the two may be somebody's for the other: try some."""
    for _ in range(20):
        tcp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), streams)
        with suppress(OSError):
            return socketserver.ThreadingUDPServer(tcp.server_address[:2], datagrams), tcp
        tcp.server_close()
    raise RuntimeError("no port is free for both UDP and TCP")


class Names:
    """Names(zones) -> a DNS server on loopback, by UDP and TCP, in threads; `asked`: what was."""

    def __init__(self, *zones: Zone) -> None:
        self._zones = zones
        self.asked: list[Question] = []
        self._quiet = dns.name.from_text(QUIET)

    def reply(self, wire: bytes, over_tcp: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        name, kind = query.question[0].name, query.question[0].rdtype
        self.asked.append((name.to_text().lower(), dns.rdatatype.to_text(kind)))
        if name.is_subdomain(self._quiet):
            return None
        for zone in self._zones:
            if name.is_subdomain(zone.origin):
                return zone(query, over_tcp)[0]
        refusal = dns.message.make_response(query, recursion_available=True)
        refusal.set_rcode(dns.rcode.NXDOMAIN)
        return refusal.to_wire()

    @contextmanager
    def serving(self) -> Iterator[tuple[str, int]]:
        """The address that it can be asked at, as long as the `with` lasts."""
        names = self

        class Datagrams(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, sock = self.request
                if (answer := names.reply(data, over_tcp=False)) is not None:
                    sock.sendto(answer, self.client_address)

        class Streams(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while len(head := self.rfile.read(2)) == 2:
                    answer = names.reply(self.rfile.read(*struct.unpack("!H", head)), over_tcp=True)
                    if answer is not None:
                        self.wfile.write(struct.pack("!H", len(answer)) + answer)

        udp, tcp = _on_one_port(Datagrams, Streams)
        with udp, tcp:
            servers: list[socketserver.BaseServer] = [udp, tcp]
            udp.daemon_threads = tcp.daemon_threads = True
            threads = [threading.Thread(target=one.serve_forever, args=(0.05,)) for one in servers]
            for thread in threads:
                thread.start()
            try:
                host, port = udp.server_address[:2]
                yield str(host), port
            finally:
                for one in servers:
                    one.shutdown()
                for thread in threads:
                    thread.join()


class Mailboxes:
    """aiosmtpd: what arrived, in `taken`; recipients in `unknown` are refused."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.unknown = {"nobody@example.org"}
        self._controller = Controller(
            self, hostname="127.0.0.1", port=free_port(), data_size_limit=100_000_000
        )

    @property
    def port(self) -> int:
        return self._controller.port

    async def handle_RCPT(  # noqa: N802 (the name that aiosmtpd calls)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.unknown:
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        self.taken.append(envelope)
        return "250 2.0.0 taken"

    def __enter__(self) -> Mailboxes:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def last(self) -> bytes:
        """The content of the message that came last."""
        content = self.taken[-1].content
        assert isinstance(content, bytes)
        return content


class Visitor(Client):
    """A client that says what it wants in one call each."""

    def introduce(self, sender: str, helo: str) -> Visitor:
        assert self.banner.code == 220, self.banner
        assert self.ask(f"EHLO {helo}").code == 250
        assert (answer := self.ask(f"MAIL FROM:<{sender}>")).code == 250, answer
        return self

    def to(self, recipient: str) -> Answer:
        return self.ask(f"RCPT TO:<{recipient}>")

    def send(self, content: bytes = b"Subject: hello\r\n\r\nhello\r\n") -> Answer:
        go_on = self.ask("DATA")
        if go_on.code != 354:
            return go_on
        self.sock.sendall(content + b".\r\n")
        return self.read()


BASE = """
listen:
    127.0.0.1
port = {port}
servername = mx.example.org
smtp_ip = 127.0.0.1
smtp_port = {smtp_port}
relay_check = no
database = {folder}/greylist.sqlite3
greylist_log = {folder}/mail.log
allowed_senders:
    127.0.0.1
allowed_domains:
    example.org
drain_timeout = 2s
lookup_timeout = 1s
decision_timeout = 2s
"""


class Site(Program):
    """Site(folder, smtp_port, resolver) -> kamaelia-grey with what write() was given."""

    def __init__(self, folder: Path, smtp_port: int, resolver: tuple[str, int] | None) -> None:
        super().__init__("grey", folder)
        self.port = free_port()
        self.config = folder / "greylist.conf"
        self.mail_log = folder / "mail.log"
        self._base = BASE.format(port=self.port, smtp_port=smtp_port, folder=folder)
        if resolver is not None:
            self._base += f"resolvers:\n    {resolver[0]}  {resolver[1]}\n"
        self._starts = 0

    clock = staticmethod(monotonic)

    def write(self, text: str) -> None:
        self.write_to(self.config, text)

    def write_to(self, path: Path, text: str) -> None:
        path.write_bytes((self._base + text).encode())

    def end_if_running(self) -> None:
        if self._process is not None:
            self.end()

    def command(self, *options: object) -> list[str]:
        start = [sys.executable, "-m", "Kamaelia.Apps.Grey", "-f", self.config, *options]
        return [str(word) for word in start]

    def start(self, *options: object) -> None:
        if not self.config.exists():
            self.write("")
        self.spawn(self.command("-D", *options))
        self._starts += 1
        self.wait_for(" taking mail on ", self._starts)
        self.wait_for(r" mail server .*(?: offers | cannot be used)", self._starts)

    @contextmanager
    def visitor(
        self, source: str, sender: str = "a@example.net", helo: str = "client.example.net"
    ) -> Iterator[Visitor]:
        with Visitor(("127.0.0.1", self.port), source) as client:
            yield client.introduce(sender, helo)

    def asks(self, source: str, sender: str, recipient: str, helo: str = "client.x.test") -> Answer:
        """What a client is told about one recipient."""
        with self.visitor(source, sender, helo) as client:
            return client.to(recipient)

    def logged(self, *words: str) -> list[str]:
        """The lines of the mail log in which all these words stand."""
        text = self.mail_log.read_text(encoding="ascii") if self.mail_log.exists() else ""
        return [line for line in text.splitlines() if all(word in line for word in words)]

    def wait_for_log(self, *words: str) -> str:
        wait_until(f"{words} in the mail log", lambda: self.logged(*words))
        return self.logged(*words)[-1]

    def reload(self, text: str, said: str) -> None:
        """Write the file anew, have it read, and wait for what the program says of it."""
        self.write(text)
        os.kill(self.pid, signal.SIGHUP)
        self.wait_for(said)
