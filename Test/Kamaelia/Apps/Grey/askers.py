"""
The same attempt at each door
=============================
Three who bring a mail to a running greylister and say what they hear: a client of the proxy, a mail
server that has it as a milter, and a Postfix that has it as its policy service. Each speaks its
protocol by hand, so that a mistake of ours is not made twice.

    heard = asker(grey).bring(Try(client="192.0.2.7", recipients=("b@example.org",)))
    heard.answers, heard.header
"""

from __future__ import annotations

import re
import socket
import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from Test.Kamaelia.Apps.Grey.support import FRIEND, PATIENCE, FakeServer, Grey

PASS = "pass"  # noqa: S105 - not a password
HERE = "127.0.0.1"
LETTER = b"From: a@example.net\r\nSubject: greetings\r\n\r\nhello\r\n"
_ID = re.compile(r" \([0-9a-f]{10}\)$")


@dataclass(frozen=True)
class Try:
    """One mail; `after`: seconds to wait before it."""

    after: int = 0
    client: str = "192.0.2.7"
    name: str = "mx.example.net"
    helo: str = "mx.example.net"
    sender: str = "a@example.net"
    recipients: tuple[str, ...] = ("b@example.org",)


@dataclass
class Heard:
    """For each recipient PASS, or "4" or "5", the enhanced code and the words; the X-Greylist of
    the message without its date, and what was said at its end, where that can be."""

    answers: list[str] = field(default_factory=list)
    header: str = ""
    end: str = ""


def words(klass: str, ecode: str, text: str) -> str:
    """Without the identifier of the session, which is another at each door."""
    assert _ID.search(text), text
    return f"{klass} {ecode} {_ID.sub('', text)}"


def without_date(value: str) -> str:
    return " ".join(value.split(";")[0].split())


def without_quotes(address: str) -> str:
    local, at, domain = address.rpartition("@")
    if local.startswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    return local + at + domain


class Asker(ABC):
    """Asker(grey, server) -> brings mail at one door of it."""

    def __init__(self, grey: Grey, server: FakeServer) -> None:
        self.grey = grey
        self.server = server

    def at(self, number: int) -> tuple[str, int]:
        return self.grey.server.addresses[number]

    @abstractmethod
    def bring(self, mail: Try) -> Heard: ...


class AtProxy(Asker):
    """A front that says by XCLIENT whose mail it is."""

    def bring(self, mail: Try) -> Heard:
        client = self.grey.client(FRIEND)
        assert client.ask(b"EHLO front\r\n").startswith("250")
        address = f"IPV6:{mail.client}" if ":" in mail.client else mail.client
        name = mail.name or "[UNAVAILABLE]"
        described = f"XCLIENT ADDR={address} NAME={name}\r\n"
        assert client.ask(described.encode()).startswith("220")
        assert client.ask(f"EHLO {mail.helo}\r\n".encode()).startswith("250")
        utf8 = "" if (mail.sender + mail.recipients[0]).isascii() else " SMTPUTF8"
        assert client.ask(f"MAIL FROM:<{mail.sender}>{utf8}\r\n".encode()).startswith("250")
        heard = Heard(
            [self._answer(client.ask(f"RCPT TO:<{r}>\r\n".encode())) for r in mail.recipients]
        )
        if PASS in heard.answers:
            before = len(self.server.messages)
            assert client.ask(b"DATA\r\n").startswith("354")
            heard.end = self._answer(client.ask(LETTER + b".\r\n"))
        if heard.end == PASS:
            message = self.server.messages[before].decode()
            head = re.sub(r"\r\n[ \t]+", " ", message.partition("\r\n\r\n")[0])
            for line in head.split("\r\n"):
                if line.startswith("X-Greylist: "):
                    heard.header = without_date(line.removeprefix("X-Greylist: "))
        client.ask(b"QUIT\r\n")
        return heard

    def _answer(self, reply: str) -> str:
        if reply.startswith("250"):
            return PASS
        code, ecode, text = reply.split(" ", 2)
        return words(code[0], ecode, text)


def _packet(command: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data) + 1) + command + data


def _texts(*texts: str) -> bytes:
    return b"".join(text.encode() + b"\0" for text in texts)


# Which bit of the agreement says that nothing is answered to it.
_SILENT = {b"C": 0x1000, b"H": 0x2000, b"M": 0x4000, b"R": 0x8000, b"T": 0x10000, b"N": 0x40000}
_SILENT |= {b"L": 0x80, b"B": 0x80000}
_UNWANTED = {
    b"C": 0x1,
    b"H": 0x2,
    b"M": 0x4,
    b"R": 0x8,
    b"B": 0x10,
    b"L": 0x20,
    b"N": 0x40,
    b"T": 0x200,
}


class AtMilter(Asker):
    """A mail server that offers all of version 6, as Postfix does."""

    def bring(self, mail: Try) -> Heard:
        with socket.create_connection(self.at(1), timeout=PATIENCE) as self.sock:
            self.sock.sendall(_packet(b"O", struct.pack(">III", 6, 0x1FF, 0x1FFFFF)))
            _, reply = self._read()
            self.agreed = struct.unpack(">III", reply[:12])[2]
            family = b"6" if ":" in mail.client else b"4"
            named = mail.name or f"[{mail.client}]"
            at = _texts(named) + family + struct.pack(">H", 4000) + _texts(mail.client)
            self._macros(b"C", "j", "mx.example.org", "{if_addr}", HERE)
            self._say(b"C", at)
            self._say(b"H", _texts(mail.helo))
            self._macros(b"M", "i", "4Q1234")
            self._say(b"M", _texts(f"<{mail.sender}>"))
            heard = Heard([self._recipient(r) for r in mail.recipients])
            if PASS in heard.answers:
                self._say(b"T")
                for name, value in (("From", "a@example.net"), ("Subject", "greetings")):
                    self._say(b"L", _texts(name, value))
                self._say(b"N")
                self._say(b"B", b"hello\r\n")
                self.sock.sendall(_packet(b"E"))
                heard.header, heard.end = self._edits()
            self.sock.sendall(_packet(b"Q"))
        return heard

    def _macros(self, stage: bytes, *pairs: str) -> None:
        self.sock.sendall(_packet(b"D", stage + _texts(*pairs)))

    def _say(self, command: bytes, data: bytes = b"") -> bytes:
        if self.agreed & _UNWANTED[command]:
            return b"c"
        self.sock.sendall(_packet(command, data))
        if self.agreed & _SILENT[command]:
            return b"c"
        return self._read()[0]

    def _recipient(self, recipient: str) -> str:
        self.sock.sendall(_packet(b"R", _texts(f"<{recipient}>")))
        return self._answer(*self._read())

    def _answer(self, command: bytes, data: bytes) -> str:
        if command == b"c":
            return PASS
        assert command == b"y", (command, data)
        code, ecode, text = data.rstrip(b"\0").decode().replace("%%", "%").split(" ", 2)
        return words(code[0], ecode, text)

    def _edits(self) -> tuple[str, str]:
        """X-Greylist, and what is said in the end."""
        header = ""
        while True:
            command, data = self._read()
            if command in b"cy":
                return header, self._answer(command, data)
            assert command in b"hi", (command, data)
            name, value, _ = (data[4:] if command == b"i" else data).split(b"\0")
            if name == b"X-Greylist":
                header = without_date(value.decode())

    def _read(self) -> tuple[bytes, bytes]:
        while True:
            (size,) = struct.unpack(">I", self._exactly(4))
            data = self._exactly(size)
            if data[:1] != b"p":
                return data[:1], data[1:]

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.sock.recv(count - len(data))
            assert more, "the milter has hung up"
            data += more
        return data


class AtPolicyService(Asker):
    """A Postfix that asks about each recipient of a message, with one `instance`."""

    count = 0

    def bring(self, mail: Try) -> Heard:
        AtPolicyService.count += 1
        heard = Heard()
        with socket.create_connection(self.at(2), timeout=PATIENCE) as sock:
            for recipient in mail.recipients:
                sock.sendall(self._question(mail, recipient))
                heard.answers.append(self._answer(self._line(sock), heard))
        return heard

    def _question(self, mail: Try, recipient: str) -> bytes:
        """Postfix tells addresses without their quotes."""
        asked = {
            "request": "smtpd_access_policy",
            "protocol_state": "RCPT",
            "protocol_name": "ESMTP",
            "client_address": mail.client,
            "client_name": mail.name or "unknown",
            "reverse_client_name": mail.name or "unknown",
            "helo_name": mail.helo,
            "sender": without_quotes(mail.sender),
            "recipient": without_quotes(recipient),
            "instance": f"123.{self.count}",
            "server_address": HERE,
            "sasl_username": "",
            "size": "0",
        }
        return "".join(f"{name}={value}\n" for name, value in asked.items()).encode() + b"\n"

    def _line(self, sock: socket.socket) -> str:
        data = b""
        while not data.endswith(b"\n\n"):
            more = sock.recv(4096)
            assert more, "the policy service has hung up"
            data += more
        return data.decode().removeprefix("action=").rstrip("\n")

    def _answer(self, action: str, heard: Heard) -> str:
        verb, _, rest = action.partition(" ")
        if verb == "DUNNO":
            return PASS
        if verb == "PREPEND":
            name, _, value = rest.partition(": ")
            if name == "X-Greylist":
                heard.header = without_date(value)
            return PASS
        ecode, _, text = rest.partition(" ")
        return words("4" if verb == "DEFER_IF_PERMIT" else verb[0], ecode, text)
