"""
Does everybody see the same messages?
=====================================
The judge in the matter of SMTP smuggling: one byte stream of a client, three readers of it::

    verdict = judge(stream, [stream[:7], stream[7:]], READINGS[3])
    assert not verdict

`Proxy` joins our ServerSession and ClientSession without a socket, by the rules of ProxyDesk.
Readers.py has the other two: who says what was meant, and a server behind that reads wrongly. What
must hold, whatever the stream:

1. the server behind gets no bare CR, no bare LF and no NUL, and no command but those we know;
2. it sees the transactions that the client meant, in order, and no other sender;
3. the messages that it takes are, byte for byte, those that the client meant to be complete;
4. the client hears of an accepted message exactly as often as one was taken;
5. what the client hears is replies, one by one, of printable text.

`judge_replies` is the other direction: the server's bytes are hostile, and the client may hear
nothing that the server did not say at that place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from Readers import (
    ABILITIES,
    LIMITS,
    HostileServer,
    LenientServer,
    Reading,
    Server,
    find_bare,
    meant,
)

from Kamaelia.Support.Protocol.SMTP.Address import NULL_PATH, Path
from Kamaelia.Support.Protocol.SMTP.ClientSession import ClientSession
from Kamaelia.Support.Protocol.SMTP.Events import (
    DataReceived,
    DataRequested,
    MessageComplete,
    MessageFailed,
    Parameters,
    RecipientGiven,
    ReplyReceived,
    SenderGiven,
    ServerEvent,
    SessionEnded,
    SessionFailed,
    TransactionReset,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerLimits, ServerSession

LOST = Reply.of(451, "4.4.2", "connection to the mail server lost")
GO_ON = Reply.of(354, "", "End data with <CR><LF>.<CR><LF>")
_reply_line = re.compile(rb"([2-5]\d\d)([ -])[ -~]*\r\n").fullmatch


# --- the proxy between them ---------------------------------------------------------------------


@dataclass(slots=True)
class Visit:
    """One session of the proxy with the server behind it."""

    session: ClientSession
    server: Server
    heard: list[tuple[str, Reply]] = field(default_factory=list)
    failed: bool = False


class Proxy:
    """Proxy(connect, banner) -> our two sessions, joined by ProxyDesk's rules; `connect` gives the
    server for each new session, `banner` is what that says first."""

    def __init__(
        self,
        connect: Callable[[], Server],
        banner: bytes = b"220 lenient ESMTP\r\n",
        limits: ServerLimits = LIMITS,
    ) -> None:
        self._connect = connect
        self._banner = banner
        self._sender: tuple[Path, Parameters] = (NULL_PATH, {})
        self._visit: Visit | None = None
        self._told = False  # the server behind knows of MAIL
        self._early: Reply | None = None
        self.visits: list[Visit] = []
        self.wire = b""
        self.accepted = 0  # messages of which the client heard a 2xx
        self.sent_away = False  # before all that the client had to say was read
        self.server = ServerSession(
            "mx.example.org", capabilities=lambda: ABILITIES, limits=limits, tag="abc"
        )
        self.server.greet()

    def run(self, pieces: Iterable[bytes], eof: bool = True) -> None:
        for piece in pieces:
            self.server.receive_data(piece)
            self._drain()
        self.sent_away = self.server.closed
        if eof:
            self.server.receive_eof()
            self._drain()

    def _drain(self) -> None:
        while (event := self.server.next_event()) is not None:
            self._handle(event)
        self.wire += self.server.data_to_send()

    def _handle(self, event: ServerEvent) -> None:
        visit = self._visit
        match event:
            case SenderGiven(path=path, parameters=parameters):
                self._sender, self._told, self._early = (path, parameters), False, None
            case RecipientGiven():
                self.server.reply(self._recipient(event))
            case DataRequested():
                self.server.reply(self._data())
            case DataReceived(data=data):
                if visit is not None and self._early is None:
                    visit.session.send_data(data)
                    self._early = self._exchange(visit, ".", early=True)
            case MessageComplete():
                reply = self._dot()
                self.accepted += reply.is_positive
                self._told = False
                self.server.reply(reply)
            case MessageFailed():
                self._visit, self._told = None, False
            case TransactionReset():
                if self._told and visit is not None and not visit.session.closed:
                    visit.session.reset()
                    self._in_time(self._exchange(visit, "RSET"))
                self._told = False
            case SessionEnded():
                self._visit = None

    def _recipient(self, event: RecipientGiven) -> Reply:
        if self._visit is None or self._visit.session.closed:
            if self._told:
                return LOST  # those who were taken before are lost, too
            self._visit = self._open()
        visit = self._visit
        if not visit.session.ready:
            return LOST
        refusal = None
        if not self._told:
            self._told = True
            visit.session.mail(*self._sender)
            visit.session.rcpt(event.path, event.parameters)
            answer = self._exchange(visit, "MAIL")
            refusal = answer if answer is not None and not answer.is_positive else None
        else:
            visit.session.rcpt(event.path, event.parameters)
        last = self._exchange(visit, "RCPT") or self._heard(visit, "RCPT")
        return refusal or self._in_time(last)

    def _data(self) -> Reply:
        if self._visit is None or not self._visit.session.ready:
            return LOST
        self._visit.session.data()
        reply = self._in_time(self._exchange(self._visit, "DATA"))
        return GO_ON if reply.code == 354 else reply

    def _dot(self) -> Reply:
        if self._early is not None:
            return self._early
        if self._visit is None or self._visit.session.closed:
            return LOST
        self._visit.session.end_data()
        return self._in_time(self._exchange(self._visit, "."))

    def _open(self) -> Visit:
        visit = Visit(ClientSession("proxy.example.org"), self._connect())
        self.visits.append(visit)
        visit.session.receive_data(self._banner)
        self._exchange(visit, "")
        return visit

    def _exchange(self, visit: Visit, command: str, early: bool = False) -> Reply | None:
        """Carry bytes to and fro till nobody says more; the last reply to that command in it."""
        known = len(visit.heard)
        while True:
            while (event := visit.session.next_event()) is not None:
                if isinstance(event, ReplyReceived):
                    visit.heard.append((event.command, event.reply))
                elif isinstance(event, SessionFailed):
                    visit.failed = True
            out = visit.session.data_to_send()
            if not out:
                break
            visit.session.receive_data(visit.server.feed(out))
        if early and visit.failed:
            return LOST
        return next((r for c, r in reversed(visit.heard[known:]) if c == command), None)

    def _in_time(self, reply: Reply | None) -> Reply:
        """A server that does not answer is left, as its owner's time-out would do."""
        if reply is None:
            self._visit = None
        return reply or LOST

    @staticmethod
    def _heard(visit: Visit, command: str) -> Reply | None:
        return visit.heard[-1][1] if visit.heard and visit.heard[-1][0] == command else None


# --- the verdicts -------------------------------------------------------------------------------


def judge(
    stream: bytes,
    pieces: Sequence[bytes],
    reading: Reading,
    pipelining: bool = True,
    limits: ServerLimits = LIMITS,
) -> list[str]:
    """Play a client's stream, in these pieces, before a server that reads so; what was wrong.

    A client whom we sent away need not have had all of its messages delivered, but of those none
    may be another, and it must have heard what became of them."""
    servers: list[LenientServer] = []

    def connect() -> Server:
        servers.append(LenientServer(reading, pipelining))
        return servers[-1]

    proxy = Proxy(connect, limits=limits)
    proxy.run(pieces)
    wrong = [f"not a reply: {bad!r}" for bad in _bad_replies(proxy.wire)]
    for server in servers:
        if found := find_bare(server.heard):
            wrong.append(f"{found.group()!r} for the server behind: {server.heard!r}")
        wrong += [f"no command of ours: {line!r}" for line in server.unknown]
    meaning = meant(stream)
    begun = [sender for server in servers for sender in server.begun]
    messages = [message for server in servers for message in server.messages]
    if proxy.sent_away:
        del meaning.begun[len(begun) :], meaning.messages[len(messages) :]
    if begun != meaning.begun:
        wrong.append(f"transactions {meaning.begun} became {begun}")
    if messages != meaning.messages:
        wrong.append(f"messages {meaning.messages} became {messages}")
    if proxy.accepted != len(messages):
        wrong.append(f"{len(messages)} taken, and the client heard so {proxy.accepted} times")
    return wrong


def judge_replies(script: Sequence[bytes], size: int = 1000) -> list[str]:
    """Play two messages of a client that keeps the rules, in pieces of that size, before a server
    that says these pieces; what was wrong."""
    servers: list[HostileServer] = []
    banner, *rest = script or [b""]

    def connect() -> Server:
        servers.append(HostileServer(list(rest) if not servers else []))
        return servers[-1]

    proxy = Proxy(connect, banner)
    asked = 1 + _well_behaved(proxy, size)
    wrong = [f"not a reply: {bad!r}" for bad in _bad_replies(proxy.wire)]
    heard = len(_last_lines(proxy.wire))
    if heard > asked or (heard < asked and b"\r\n421 " not in proxy.wire):
        wrong.append(f"{heard} replies to {asked} commands: {proxy.wire!r}")
    for visit, server in zip(proxy.visits, servers, strict=True):
        wrong += _unsaid(visit, banner + server.said)
    taken = [r for v in proxy.visits for c, r in v.heard if c == "." and r.is_positive]
    if proxy.accepted > len(taken):
        wrong.append(f"{proxy.accepted} accepted, {len(taken)} taken")
    return wrong


def _well_behaved(proxy: Proxy, size: int) -> int:
    """A client that waits for each reply, and gives its message only after 354; how many replies
    it asked for."""
    asked = 0
    rcpt = b"RCPT TO:<c@d>\r\n"
    transaction = [b"MAIL FROM:<a@b>\r\n", rcpt, rcpt, b"DATA\r\n", b"..a\r\nb\r\n.\r\n"]
    for command in [b"EHLO c\r\n", *transaction, b"RSET\r\n", *transaction, b"QUIT\r\n"]:
        if command.endswith(b"\r\n.\r\n") and not _last_lines(proxy.wire)[-1].startswith(b"354 "):
            continue
        asked += 1
        proxy.run([command[i : i + size] for i in range(0, len(command), size)], eof=False)
    return asked


def _last_lines(wire: bytes) -> list[bytes]:
    return [line for line in wire.split(b"\r\n") if line[3:4] == b" "]


def _unsaid(visit: Visit, said: bytes) -> Iterator[str]:
    """Replies that the server did not give at that place, by a reader that knows lines only."""
    codes = list(_codes(said))
    begin = 3 if codes[1:2] and codes[1] >= 500 else 2  # after the banner, EHLO and perhaps HELO
    given = [reply.code for _, reply in visit.heard]
    if given != codes[begin : begin + len(given)]:
        yield f"{codes} became {visit.heard}"


def _codes(said: bytes) -> Iterator[int]:
    """The code of each whole reply: that of a last line, if all lines before it had the same."""
    open_code = b""
    for line in said.split(b"\n")[:-1]:
        code, sign = line[:3], line[3:4]
        if not code.isdigit() or (open_code and code != open_code):
            return
        open_code = code if sign == b"-" else b""
        if not open_code:
            yield int(code)


def _bad_replies(wire: bytes) -> Iterator[bytes]:
    """Lines of our output that are none of a reply, or of one that changes its mind."""
    code = b""
    for line in wire.splitlines(keepends=True):
        found = _reply_line(line)
        if found is None or len(line) > 512 or (code and found[1] != code):
            yield line
            return
        code = found[1] if found[2] == b"-" else b""
