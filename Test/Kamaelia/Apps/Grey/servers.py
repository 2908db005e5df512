"""
Mail servers that can do more than take mail, and clients that come by other ways than in the clear.

``AbleServer`` is a FakeServer with STARTTLS, XCLIENT, AUTH, LMTP and the PROXY protocol; it does
what a test does not ask for as a FakeServer does::

    backend = AbleServer(EHLO=ehlo(b"STARTTLS"), tls=tls.server_context())
    backend = AbleServer(EHLO=ehlo(b"XCLIENT ADDR PORT"), XCLIENT=b"550 5.7.0 not you\\r\\n")
    backend = AbleServer(AUTH=b"334 \\r\\n", RESPONSE=b"235 2.7.0 welcome\\r\\n")
    backend = AbleServer(lmtp=True, DOT=[b"250 2.0.0 first\\r\\n", b"452 4.2.2 second\\r\\n"])
    backend = AbleServer(proxy=True)                 # headers[0] is what came before the banner

``Caller`` is a Client that may say something before the banner, and go on in TLS.
"""

from __future__ import annotations

import random
import socket
import ssl
from typing import Self

from Test.Kamaelia.Apps.Grey.support import (
    FRIEND,
    PATIENCE,
    Answer,
    Client,
    FakeServer,
    Visit,
)

V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_MORE: dict[str, Answer] = {
    "STARTTLS": b"220 2.0.0 go on\r\n",
    "XCLIENT": b"220 mail.example.org ESMTP\r\n",
    "AUTH": b"235 2.7.0 welcome\r\n",
    "RESPONSE": b"235 2.7.0 welcome\r\n",  # to the line that answers a 334
    "LHLO": b"250-mail.example.org\r\n250 PIPELINING\r\n",
}


def ehlo(*keywords: bytes) -> bytes:
    """The reply of a server that offers these, and nothing else."""
    lines = [b"mail.example.org", *keywords]
    return b"".join(b"250-%b\r\n" % line for line in lines[:-1]) + b"250 %b\r\n" % lines[-1]


class AbleServer(FakeServer):
    """AbleServer(tls=None, lmtp=False, proxy=False, **answers) -> a mail server on loopback.

    tls: what to go on with after STARTTLS; without it the client's handshake is never answered.
    lmtp: LHLO instead of EHLO, and a reply for each recipient after the dot. proxy: a PROXY header
    has to come first. headers, xclients, responses: what came of each, of all connections."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        lmtp: bool = False,
        proxy: bool = False,
        body: tuple[int, Answer] | None = None,
        **answers: Answer | list[Answer],
    ) -> None:
        self._tls = tls
        self._lmtp = lmtp
        self._proxy = proxy
        self._taken: dict[int, int] = {}  # recipients of the message, by visit
        self.headers: list[bytes] = []
        self.xclients: list[bytes] = []
        self.responses: list[bytes] = []
        more = {verb: answers.pop(verb, answer) for verb, answer in _MORE.items()}
        super().__init__(body=body, receive_buffer=None, **answers)
        for verb, answer in more.items():
            self._answers[verb] = list(answer) if isinstance(answer, list) else [answer]
        if lmtp:
            for verb in ("EHLO", "HELO"):
                del self._answers[verb]

    # ---- for the test

    @property
    def mail_visits(self) -> list[Visit]:
        """The connections over which a sender was given."""
        return [visit for visit in self.visits if "MAIL" in visit.verbs()]

    # ---- in its threads

    def _serve(self, visit: Visit) -> None:
        if self._proxy:
            try:
                self._read_header(visit)
            except Exception:  # noqa: BLE001 - the client left: the visit ends as any other does
                visit.how = "no header"
        super()._serve(visit)

    def _read_header(self, visit: Visit) -> None:
        while len(visit.unread) < len(V2_SIGNATURE):
            self._read(visit)
        if visit.unread.startswith(V2_SIGNATURE):
            while len(visit.unread) < 16:
                self._read(visit)
            size = 16 + int.from_bytes(visit.unread[14:16], "big")
            while len(visit.unread) < size:
                self._read(visit)
            header = bytes(visit.unread[:size])
            del visit.unread[:size]
        else:
            header = self._read_to(b"\r\n", visit) + b"\r\n"
        with self._lock:
            self.headers.append(header)
            self._lock.notify_all()

    def _act(self, verb: str, line: bytes, visit: Visit) -> bytes:
        said = super()._act(verb, line, visit)
        good = said.startswith(b"2")
        if verb == "MAIL":
            self._taken[id(visit)] = 0
        elif verb == "RCPT":
            self._taken[id(visit)] = self._taken.get(id(visit), 0) + good
        elif verb == "STARTTLS" and good and self._tls is not None:
            visit.sock = self._tls.wrap_socket(visit.sock, server_side=True)
        elif verb == "XCLIENT":
            with self._lock:
                self.xclients.append(line)
        elif verb in ("AUTH", "RESPONSE") and said.startswith(b"334"):
            self._take_response(visit)
        elif verb == "DOT" and self._lmtp:
            for _ in range(self._taken.get(id(visit), 1) - 1):
                said = super()._act(verb, line, visit)
        return said

    def _take_response(self, visit: Visit) -> None:
        line = self._read_to(b"\r\n", visit)
        with self._lock:
            self.responses.append(line)
            self._lock.notify_all()
        self._act("RESPONSE", line, visit)


class Caller(Client):
    """Caller(address, first=b"", source=FRIEND, tls=None, name=None) -> a Client.

    first: said before the banner is read. tls: the connection begins with it, asking for that
    name."""

    def __init__(
        self,
        address: tuple[str, int],
        first: bytes = b"",
        source: str = FRIEND,
        tls: ssl.SSLContext | None = None,
        name: str | None = None,
    ) -> None:
        # Not that of Client, which reads the banner before anything can be said.
        self.sock = socket.socket()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(PATIENCE)
        self.sock.bind((source, 0))
        self.port: int = self.sock.getsockname()[1]
        try:
            self.sock.connect(address)
            self.sock.sendall(first)
            if tls is not None:
                self.sock = tls.wrap_socket(self.sock, server_hostname=name)
        except OSError:
            self.sock.close()
            raise
        self._file = self.sock.makefile("rb")
        self.banner = ""

    def greeted(self) -> Self:
        """After the banner."""
        self.banner = self.reply()
        return self

    def start_tls(self, tls: ssl.SSLContext, name: str | None = None) -> Self:
        """STARTTLS, and the handshake; EHLO is still to come."""
        assert self.ask(b"STARTTLS\r\n").startswith("220")
        self._file.close()
        self.sock = tls.wrap_socket(self.sock, server_hostname=name)
        self._file = self.sock.makefile("rb")
        return self

    @property
    def encrypted(self) -> ssl.SSLSocket:
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.sock

    def _line(self) -> str:
        try:
            return super()._line()
        except (ssl.SSLError, BrokenPipeError):
            return ""  # it was cut off


def free_port() -> int:
    """A port that nobody has now, for a setting that must name one. Below those that the system
    gives to connections: one of them could take it meanwhile."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
