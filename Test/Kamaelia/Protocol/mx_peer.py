"""
A milter-greylist 4.6 as its peers see it, with the habits and defects of the real one.

It is made of what was seen of a real one, not of its sources: the text of its answers, a queue for
each peer that gives out the newest first and is only looked at when something new is put in,
entries that are sent as they are by then and not as they were, a store that keeps what it is told
twice, a del that must name the exact date, and one command a packet: of two it carries out the
first, says nothing and closes.

Used within a test (it has threads of its own, and blocks nobody)::

    with RealPeer(("127.0.0.2", 0), allowed=["127.0.0.1"]) as peer:
        peer.calls(("127.0.0.1", 5252))
        assert not peer.mail("192.0.2.1", "<s@example.org>", "<r@example.net>")  # and tells of it

or as a program, which reads "mail IP S R", "flush IP", "dump" and "quit" line by line::

    python -m Test.Kamaelia.Protocol.mx_peer 127.0.0.2:5252 127.0.0.1:5252 ...
"""

import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Condition, Thread
from time import time
from typing import Self

SECONDS = 3.0  # for each answer
QUEUE = 1024
LINE = 511
Address = tuple[str, int]
DONE = "201 All right, I'll do that"


@dataclass(eq=False, slots=True)
class Entry:
    """One line of its database. date: when it may pass; auto: until when it does."""

    address: str
    sender: str
    recipient: str
    date: int
    auto: bool = False

    def is_for(self, address: str, sender: str, recipient: str) -> bool:
        return (self.address, self.sender, self.recipient) == (address, sender, recipient)


@dataclass(slots=True)
class Change:
    """What waits in a queue. date: the entry's when it was put in, which is only right if there is
    a connection already: else the entry's own is sent, whatever that is by then."""

    verb: str
    entry: Entry
    date: int

    def line(self, version: int, connected: bool) -> str | None:
        entry, date = self.entry, self.date if connected else self.entry.date
        if self.verb == "flush":
            return f"flush addr {entry.address}" if version >= 3 else None
        verb = "del" if self.verb == "del2" and version < 2 else self.verb
        line = f"{verb} addr {entry.address} from {entry.sender} rcpt {entry.recipient} date {date}"
        return f"{line} aw {entry.date}" if verb == "del2" else line


@dataclass(slots=True)
class Outgoing:
    """A peer that is called."""

    address: Address
    stack: list[Change] = field(default_factory=list)
    sock: socket.socket | None = None
    version: int = 0
    dropped: int = 0
    failures: int = 0

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()
            self.sock = None


class RealPeer:
    """RealPeer(listen, allowed=(), version=3, delay=1800, ...).

    version: 2 knows no flush, 1 neither del2 nor any question for its version. delay, autowhite and
    timeout are those of its configuration, in seconds. source: the address that it calls from.

    said: lines that it has sent to others; heard: lines that others have sent to it."""

    def __init__(
        self,
        listen: Address,
        allowed: Iterable[str] = (),
        *,
        version: int = 3,
        delay: int = 1800,
        autowhite: int = 86_400,
        timeout: int = 5 * 86_400,
        clock: Callable[[], float] = time,
        source: str = "",
        seconds: float = SECONDS,
    ) -> None:
        self.allowed = set(allowed)
        self.version = version
        self.delay, self.autowhite, self.timeout = delay, autowhite, timeout
        self.clock = clock
        self.store: list[Entry] = []
        self.said: list[str] = []
        self.heard: list[str] = []
        self.peers: list[Outgoing] = []
        self._source, self._seconds = source, seconds
        self._changed = Condition()
        self._wake_ups = 0
        self._ending = False
        self._connections: set[socket.socket] = set()
        self._listener = socket.create_server(listen)
        host, port = self._listener.getsockname()[:2]
        self.address: Address = (host, port)
        self._threads = [Thread(target=work, daemon=True) for work in (self._listen, self._send)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def calls(self, address: Address) -> None:
        """From now on it is told of what changes here."""
        self.peers.append(Outgoing(address))

    def close(self) -> None:
        with self._changed:
            self._ending = True
            self._changed.notify_all()
            connections = list(self._connections)
        for each in (self._listener, *connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
        for peer in self.peers:
            peer.close()

    # ---- what happens here

    def mail(self, address: str, sender: str, recipient: str) -> bool:
        """Somebody tries; returns whether his mail is let in."""
        now = int(self.clock())
        with self._changed:
            self.store = [entry for entry in self.store if not self._expired(entry, now)]
            for entry in self.store:
                if not entry.is_for(address, sender, recipient):
                    continue
                if not entry.auto and entry.date > now:
                    return False
                before, entry.date, entry.auto = entry.date, now + self.autowhite, True
                if not self.autowhite:
                    self.store.remove(entry)  # once, and the next one waits again
                self._tell("del2", entry, before)
                return True
            entry = Entry(address, sender, recipient, now + self.delay)
            self.store.append(entry)
            self._tell("add", entry, entry.date)
        return False

    def flush(self, address: str) -> bool:
        """Forget an address; returns whether anything was known of it."""
        with self._changed:
            known = [entry for entry in self.store if entry.address == address]
            if known:
                self.store = [entry for entry in self.store if entry.address != address]
                self._tell("flush", known[0], 0)
        return bool(known)

    def knows(self, address: str, sender: str, recipient: str) -> list[Entry]:
        """All that it has of this, twice if it was told twice."""
        return [entry for entry in self.store if entry.is_for(address, sender, recipient)]

    def _expired(self, entry: Entry, now: int) -> bool:
        return entry.date < now - (0 if entry.auto else self.timeout)

    def _tell(self, verb: str, entry: Entry, date: int) -> None:
        for peer in self.peers:
            if len(peer.stack) < QUEUE:
                peer.stack.append(Change(verb, entry, date))
            else:
                peer.dropped += 1
        self._wake_ups += 1
        self._changed.notify_all()

    # ---- it calls

    def _send(self) -> None:
        seen = 0
        while True:
            with self._changed:
                while not (self._ending or self._wake_ups > seen):
                    self._changed.wait()
                if self._ending:
                    return
                seen = self._wake_ups
            for peer in list(self.peers):
                self._empty(peer)

    def _empty(self, peer: Outgoing) -> None:
        """Tell what waits, the newest first. What fails waits for the next change, not for a time:
        there is one attempt at a connection for each."""
        change: Change | None = None
        try:
            while peer.stack and not self._ending:
                connected = peer.sock is not None
                if not connected:
                    self._connect(peer)
                with self._changed:
                    change = peer.stack.pop()
                    line = change.line(peer.version, connected)
                if line is not None and not self._ask(peer, line, "\r\n").startswith("201"):
                    raise OSError("refused")  # noqa: TRY301 - handled as every failure
                change = None
        except OSError:
            peer.close()
            peer.failures += 1
            if change is not None:
                with self._changed:
                    peer.stack.append(change)

    def _connect(self, peer: Outgoing) -> None:
        source = (self._source, 0) if self._source else None
        peer.sock = socket.create_connection(peer.address, self._seconds, source)
        if not self._answer(peer).startswith("200"):
            raise OSError("no greeting")
        peer.version = 1
        for version in (3, 2):
            if self._ask(peer, f"vers{version}", "\n").startswith(f"80{version}"):
                peer.version = version
                return

    def _ask(self, peer: Outgoing, line: str, end: str) -> str:
        assert peer.sock is not None
        self.said.append(line)
        peer.sock.sendall((line + end).encode("ascii"))
        return self._answer(peer)

    def _answer(self, peer: Outgoing) -> str:
        """One line; what else came with it is never looked at."""
        assert peer.sock is not None
        data = b""
        while b"\n" not in data:
            more = peer.sock.recv(LINE + 1)
            if not more:
                raise ConnectionResetError
            data += more
        return data.split(b"\n")[0].decode("latin-1")

    # ---- it is called

    def _listen(self) -> None:
        while True:
            try:
                sock, address = self._listener.accept()
            except OSError:
                return
            with self._changed:
                self._connections.add(sock)
            thread = Thread(target=self._serve, args=(sock, address[0]), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, host: str) -> None:
        with sock, suppress(OSError):
            if host not in self.allowed:
                sock.sendall(b"106 You have no permission to talk, go away!\n")
            else:
                sock.sendall(b"200 Yeah, what do you want?\n")
                self._converse(sock, int(self.clock()))
        with self._changed:
            self._connections.discard(sock)

    def _converse(self, sock: socket.socket, since: int) -> None:
        while True:
            packet = b""
            while b"\n" not in packet:
                more = sock.recv(LINE + 1 - len(packet))
                if not more:
                    return
                packet += more
            line, _, rest = packet.partition(b"\n")
            text = line.decode("latin-1").rstrip("\r")
            self.heard.append(text)
            answer = self._obey(text.split(), since)
            if rest:
                return  # two in one packet: it has done the first, and is lost
            sock.sendall(answer.encode("latin-1") + b"\n")
            if answer.startswith("202"):
                return

    def _obey(self, words: list[str], since: int) -> str:
        if not words:
            return "101 No command"
        if words == ["quit"]:
            return "202 Good bye"
        known = ["add", "del", "del2", "flush"][: self.version + 1]
        versions = [f"vers{number}" for number in range(2, self.version + 1)]
        if words[0] in versions:
            number = words[0][-1]
            return f"80{number} Yes, I speak version {number}, what do you think?"
        if words[0] not in known:
            return f'102 Invalid command "{words[0]}"'
        keywords = ["addr", "from", "rcpt", "date", "aw"]
        keywords = keywords[: {"flush": 1, "del2": 5}.get(words[0], 4)]
        for found, keyword in zip(words[1::2], keywords, strict=False):
            if found != keyword:
                return f'104 Unexpected keyword "{found}"'
        values = words[2::2]
        if len(values) < len(keywords):
            return "103 Incomplete command"
        return self._apply(words[0], values, since)

    def _apply(self, verb: str, values: list[str], since: int) -> str:
        family = socket.AF_INET6 if ":" in values[0] else socket.AF_INET
        try:
            socket.inet_pton(family, values[0])
        except OSError:
            return "107 Invalid IP address"
        if verb == "flush":
            self.flush(values[0])  # told on to its own peers, if there was something
            return DONE
        address, sender, recipient = values[:3]
        date = wrapped(values[3])
        with self._changed:
            if verb == "add":
                self.store.append(Entry(address, sender, recipient, date))
                return DONE
            until = wrapped(values[4]) if verb == "del2" else since + self.autowhite
            for entry in self.store:
                if entry.is_for(address, sender, recipient) and entry.date == date:
                    if until > self.clock():
                        entry.date, entry.auto = until, True
                    else:
                        self.store.remove(entry)
                    break
        return DONE


def wrapped(text: str) -> int:
    """What 32 bits hold of a number; 0 for what is none."""
    digits = text if text.lstrip("-").isdigit() else "0"
    return (int(digits) + 2**31) % 2**32 - 2**31


def parse_address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def main(listen: str, *peers: str) -> None:
    others = [parse_address(each) for each in peers]
    with RealPeer(parse_address(listen), allowed=[host for host, _ in others]) as peer:
        for other in others:
            peer.calls(other)
        print("ready", *peer.address, flush=True)  # noqa: T201
        for line in sys.stdin:
            match line.split():
                case ["mail", address, sender, recipient]:
                    answer = "accept" if peer.mail(address, sender, recipient) else "tempfail"
                case ["flush", address]:
                    answer = "flushed" if peer.flush(address) else "unknown"
                case ["dump"]:
                    answer = repr(peer.store)
                case _:
                    return
            print(answer, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
